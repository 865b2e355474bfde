package finetune

import (
	"bytes"
	_ "embed" // the page
	"fmt"
	"html/template"
	"strings"

	"github.com/koinon-eu/koinon/benchmarks/metrics"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// view is a report in words, for both forms.
type view struct {
	*Report
	Title, Verdict, Note string
	Facts                [][2]string
	Sides                [][]string // model, AUROC, AUPRC, TPR at 5 % FPR, Brier, log loss
	GroupRows            [][]string
}

var (
	sideHead  = []string{"Model", "AUROC (95 %)", "AUPRC", "TPR at 5 % FPR", "Brier", "Log loss"}
	groupHead = []string{"Group", "Rows", "Found", "Federated", "Fine-tuned", "Alone", "Fine-tuned − federated"}
)

// SideHead and GroupHead are the heads of the two tables.
func (view) SideHead() []string { return sideHead }

// GroupHead is the head of the table of groups.
func (view) GroupHead() []string { return groupHead }

// Verdict says in one sentence whether fine-tuning helps this member.
func (r *Report) Verdict() string {
	g := r.OverFederated
	switch {
	case r.Epochs == 0:
		return "The rows that judge found no better parameters: keep the federated model."
	case g == nil:
		return "Too few test rows of one label to say whether fine-tuning helps."
	case g.Low > 0:
		text := "Fine-tuning helps on this member's test rows: AUROC " + difference(g) + " over the federated model."
		if a := r.OverAlone; a != nil && a.Low <= 0 {
			text += " It is not clearly better than a model of this member's rows alone."
		}
		return text
	case g.High < 0:
		return "Fine-tuning harms on this member's test rows: AUROC " + difference(g) + " against the federated model. Keep the federated model."
	}
	return "No clear difference on this member's test rows: AUROC " + difference(g) + " against the federated model. Keep the federated model unless there is another reason."
}

func (r *Report) view() view {
	v := view{
		Report: r, Title: "Fine-tuning of " + r.Model + " at " + r.Member, Verdict: r.Verdict(),
		Note: "Intervals are DeLong's for AUROC, and for a difference that of the paired difference on the same rows. " +
			"The federated threshold is the federation's operating point; the others are set on the rows that judged.",
	}
	v.Facts = [][2]string{
		{"Started from", r.Source},
		{"Digest of that", r.From},
		{"Made", r.Time.Format("2006-01-02 15:04:05 UTC")},
		{"Training rows", fmt.Sprintf("%d trained, %d judged when to stop", r.LearnRows, r.JudgeRows)},
		{"Test rows", fmt.Sprintf("%d, of which %d found", r.TestRows, r.Positives)},
		{"Settings", r.Settings.words()},
		{"Epochs", fmt.Sprintf("parameters after %d of %d that were run", r.Epochs, r.EpochsRun)},
		{"Validation loss", r.loss()},
		{"Artifact", r.artifact()},
		{"Fine-tuned − alone", difference(r.OverAlone)},
		{"Fine-tuned − federated", difference(r.OverFederated)},
	}
	v.Sides = append(v.Sides, r.Federated.row("federated"), r.Tuned.row("fine-tuned"))
	if r.Alone != nil {
		v.Sides = append(v.Sides, r.Alone.row("alone"))
	}
	for _, g := range r.Groups {
		v.GroupRows = append(v.GroupRows, []string{
			g.Column + " = " + g.Value, fmt.Sprint(g.Rows), fmt.Sprint(g.Positives),
			interval(g.Federated), interval(g.Tuned), interval(g.Alone), difference(g.OverFederated),
		})
	}
	return v
}

func (s Settings) words() string {
	text := fmt.Sprintf("%s, up to %d epochs, rate %g, batch %d, proximal %g, patience %d, seed %d", s.Architecture.Kind, s.Epochs, s.Rate, s.Batch, s.Proximal, s.Patience, s.Seed)
	if s.Frozen {
		text += ", embeddings frozen"
	}
	return text
}

func (r *Report) loss() string {
	if len(r.Losses) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.4f nats a row before, %.4f kept", r.Losses[0], r.Losses[r.Epochs])
}

func (r *Report) artifact() string {
	if r.Artifact == "" {
		return "none: nothing better was found"
	}
	return r.Artifact
}

func (s Side) row(name string) []string {
	return []string{name, interval(s.Interval), number(s.AUPRC), number(s.TPRAtFPR.At5), number(s.Brier), number(s.LogLoss)}
}

func number(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.4f", *v)
}

func interval(e *metrics.Estimate) string {
	if e == nil {
		return "-"
	}
	return fmt.Sprintf("%.4f (%.3f to %.3f)", e.Value, e.Low, e.High)
}

func difference(e *metrics.Estimate) string {
	if e == nil {
		return "-"
	}
	return fmt.Sprintf("%+.4f (%+.4f to %+.4f)", e.Value, e.Low, e.High)
}

// Markdown returns the report as text.
func (r *Report) Markdown() []byte {
	v := r.view()
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n> %s\n\n**%s**\n\n", v.Title, r.Notice, v.Verdict)
	for _, f := range v.Facts {
		fmt.Fprintf(&b, "- %s: %s\n", f[0], f[1])
	}
	b.WriteString("\n## Test rows\n\n")
	table(&b, sideHead, v.Sides)
	if len(v.GroupRows) > 0 {
		b.WriteString("\n## Groups\n\n")
		table(&b, groupHead, v.GroupRows)
	}
	if r.Hidden > 0 {
		fmt.Fprintf(&b, "\n%d groups with fewer than %d test rows are not shown.\n", r.Hidden, leastRows)
	}
	fmt.Fprintf(&b, "\n%s\n", v.Note)
	return []byte(b.String())
}

func table(b *strings.Builder, head []string, rows [][]string) {
	line := func(cells []string) {
		for _, c := range cells {
			b.WriteString("| " + strings.NewReplacer("|", "\\|", "\n", " ", "<", "&lt;").Replace(c) + " ")
		}
		b.WriteString("|\n")
	}
	line(head)
	b.WriteString(strings.Repeat("|---", len(head)) + "|\n")
	for _, row := range rows {
		line(row)
	}
}

// HTML returns the report as one page that needs nothing else.
func (r *Report) HTML() ([]byte, error) {
	var b bytes.Buffer
	if err := page.Execute(&b, r.view()); err != nil {
		return nil, fmt.Errorf("fine-tune report: %w", err)
	}
	return b.Bytes(), nil
}
