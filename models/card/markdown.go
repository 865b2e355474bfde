package card

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// absent stands where nobody recorded a fact.
const absent = "not recorded"

// notice opens and closes every card.
const notice = "A score is an advisory. A human looks at the case, decides and gives the reason; the score alone decides nothing."

// page builds Markdown from facts.
type page struct{ strings.Builder }

// Markdown renders the record for people. Equal records give equal text.
func (r *Record) Markdown() []byte {
	var p page
	p.head(1, "Model card: "+text(r.Name))
	p.para(notice)
	p.facts([]fact{
		{"Federation", r.Federation},
		{"Provider", r.Provider},
		{"Contact", r.Contact},
		{"Created", r.Created},
		{"Made by program version", r.Code},
		{"Artifact digest", r.Model.Digest},
	})
	r.purpose(&p)
	r.data(&p)
	r.training(&p)
	r.results(&p)
	r.limits(&p)
	r.instructions(&p)
	return []byte(p.String())
}

func (r *Record) purpose(p *page) {
	u := r.Purpose
	p.head(2, "What it is for")
	p.items("Intended use", r.Intended)
	p.items("Not for", r.Excluded)
	p.head(3, "Declaration")
	p.facts([]fact{
		{"Purpose", u.Code},
		{"Unit that is scored", u.Unit},
		{"What is predicted", u.Target},
		{"Use", u.Use},
		{"Profiling of natural persons", yesNo(u.Profiling)},
		{"Annex III", strings.Join(u.AnnexIII, ", ")},
		{"Exemption of Art. 6(3)", u.Article63},
		{"Data-protection regime", u.Regime},
		{"Legal basis", u.LegalBasis},
		{"Deployers", strings.Join(u.Deployers, ", ")},
		{"Valid until", u.ValidUntil},
		{"Rules checked", u.Lawpack},
	})
	p.pairs("Answers on prohibited practices (Art. 5)", u.Article5)
	p.pairs("References", u.References)
}

// labelled is how many rows are positive, or the cases that rows count.
func (d Data) labelled() fact {
	if d.Cases != nil {
		return fact{"Cases counted in them", count(d.Cases)}
	}
	return fact{"Positive rows", count(d.Positives)}
}

func (r *Record) data(p *page) {
	p.head(2, "Data")
	p.para("Rows stay with the members. Counts are sums over all members, made under masks; no member's count is published.")
	facts := []fact{
		{"Schema", r.Data.Schema},
		{"Rows trained on", count(r.Data.Rows)},
		r.Data.labelled(),
	}
	if r.Data.Counted != "" {
		facts = append(facts, fact{"How these were counted", r.Data.Counted})
	}
	p.facts(append(facts, []fact{
		{"Rows the figures are from", count(r.Data.Evaluated)},
		{"Columns denied as features", strings.Join(r.Data.Denied, ", ")},
	}...))
	p.pairs("Data sets", r.Data.Sets)
	p.head(3, "Features")
	rows := make([][]string, 0, len(r.Data.Features))
	for _, f := range r.Data.Features {
		rows = append(rows, []string{f.Name, f.Type, or(f.Unit), or(f.Missing), or(f.Why), f.ProxyOf, f.Contested})
	}
	p.table([]string{"Column", "Type", "Unit", "Empty means", "Why it is used", "Proxy of", "Contested because"}, rows)
	p.head(3, "Groups (evaluated, never features)")
	rows = nil
	for _, g := range r.Data.Groups {
		rows = append(rows, []string{g.Name, or(strings.Join(g.Values, ", "))})
	}
	p.table([]string{"Column", "Values"}, rows)
}

func (r *Record) training(p *page) {
	p.head(2, "Training")
	facts := []fact{
		{"Plan", r.Plan.Name},
		{"Plan digest", r.Plan.Digest},
		{"Members", strings.Join(r.Plan.Members, ", ")},
		{"Fewest members in a sum", number(r.Plan.MinCohort)},
		{"Architecture", r.Model.Architecture},
		{"Parameters", number(r.Model.Parameters)},
		{"Algorithm", r.Plan.Algorithm},
		{"Training rounds", number(r.Plan.Rounds)},
		{"Privacy", r.Plan.Privacy},
	}
	if r.Model.From != "" {
		facts = append(facts, fact{"Started from the release", r.Model.From})
	}
	if s := r.Model.Stop; s != nil {
		facts = append(facts, fact{"Early stopping", s.words()})
	}
	p.facts(facts)
	r.tried(p)
}

// tried lists the settings that a search compared.
func (r *Record) tried(p *page) {
	if len(r.Model.Tried) == 0 {
		return
	}
	p.para("Settings were compared by the loss of validation rows, which are part of the training rows:")
	var rows [][]string
	for _, t := range r.Model.Tried {
		settings, loss, chosen := t.Settings, "", ""
		if settings == "" {
			settings = "as in the plan"
		}
		if t.Loss != nil {
			loss = figure(*t.Loss)
		}
		if t.Chosen {
			chosen = "chosen"
		}
		rows = append(rows, []string{settings, fmt.Sprint(t.Rounds), loss, chosen})
	}
	p.table([]string{"settings", "rounds", "lowest loss (nats a row)", ""}, rows)
}

func (s *Stop) words() string {
	text := fmt.Sprintf("%d rounds were run, these are the parameters after %d", s.Rounds, s.Chosen)
	if s.Loss != nil {
		text += fmt.Sprintf(", of the lowest validation loss (%s nats a row)", figure(*s.Loss))
	}
	return text
}

func (r *Record) results(p *page) {
	p.head(2, "Results")
	p.para("Figures are taken from report.json of the same release, where their method and intervals are explained.")
	p.figures(r.Figures, func(Figure) bool { return true })
	p.head(3, "Gates")
	p.para("Thresholds were fixed in the plan before training; not enough data is not a pass.")
	rows := make([][]string, 0, len(r.Gates))
	for _, g := range r.Gates {
		reached := ""
		if g.Value != nil {
			reached = figure(*g.Value)
		}
		rows = append(rows, []string{strings.TrimSpace(g.Metric + " " + g.Group), g.Wanted, reached, g.Result, g.Answer})
	}
	p.table([]string{"Metric", "Wanted", "Reached", "Result", "Answer of the approvers"}, rows)
	p.head(3, "Score bands")
	rows = nil
	for _, b := range r.Bands {
		rows = append(rows, []string{b.Name, short(b.From), or(b.Means)})
	}
	p.table([]string{"Band", "From probability", "Meaning"}, rows)
}

func (r *Record) limits(p *page) {
	p.head(2, "Limits and risks")
	p.items("Known limits", r.Limits)
	p.items("Risks", r.Risks)
	p.items("Groups that may be affected", r.Purpose.Affected)
}

// fact is one line of a list of facts; an empty value is not recorded.
type fact struct{ name, value string }

func (p *page) head(level int, s string) { fmt.Fprintf(p, "%s %s\n\n", strings.Repeat("#", level), s) }

func (p *page) para(s string) { p.WriteString(s + "\n\n") }

func (p *page) facts(list []fact) {
	for _, f := range list {
		fmt.Fprintf(p, "- **%s:** %s\n", f.name, text(or(f.value)))
	}
	p.WriteByte('\n')
}

func (p *page) items(name string, list []string) {
	if len(list) == 0 {
		fmt.Fprintf(p, "**%s:** %s\n\n", name, absent)
		return
	}
	fmt.Fprintf(p, "**%s:**\n\n", name)
	for _, s := range list {
		fmt.Fprintf(p, "- %s\n", text(s))
	}
	p.WriteByte('\n')
}

func (p *page) pairs(name string, m map[string]string) {
	list := make([]string, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, k+": "+m[k])
	}
	p.items(name, list)
}

func (p *page) table(header []string, rows [][]string) {
	if len(rows) == 0 {
		p.para(absent)
		return
	}
	p.row(header)
	p.WriteString("|" + strings.Repeat("---|", len(header)) + "\n")
	for _, cells := range rows {
		p.row(cells)
	}
	p.WriteByte('\n')
}

func (p *page) row(cells []string) {
	p.WriteByte('|')
	for _, c := range cells {
		p.WriteString(" " + text(c) + " |")
	}
	p.WriteByte('\n')
}

// figures shows those figures that keep wants.
func (p *page) figures(list []Figure, keep func(Figure) bool) {
	var rows [][]string
	for _, f := range list {
		if !keep(f) {
			continue
		}
		value, interval := "not measurable", ""
		if f.Value != nil {
			value = figure(*f.Value)
		}
		if f.Low != nil && f.High != nil {
			interval = figure(*f.Low) + " to " + figure(*f.High)
		}
		rows = append(rows, []string{f.Name, f.Group, value, interval, f.Pointer})
	}
	p.table([]string{"Figure", "Group", "Value", "95 % interval", "In report.json"}, rows)
}

func figure(v float64) string { return strconv.FormatFloat(v, 'f', 4, 64) }

func or(s string) string {
	if s == "" {
		return absent
	}
	return s
}

func yesNo(b *bool) string {
	switch {
	case b == nil:
		return ""
	case *b:
		return "yes"
	}
	return "no"
}

func number(n *int) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(*n)
}

func count(n *int64) string {
	if n == nil {
		return ""
	}
	return strconv.FormatInt(*n, 10)
}

// text keeps recorded text from acting as Markdown or HTML, and on one line.
func text(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case strings.ContainsRune("\\`*_[]<>|#&", r):
			b.WriteByte('\\')
			b.WriteRune(r)
		case unicode.IsControl(r) || r == '\u2028' || r == '\u2029':
			b.WriteByte(' ')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
