package card

import (
	"strconv"

	"github.com/koinon-eu/koinon/benchmarks/report"
)

// Answered is the result of a gate whose finding the approvers answered;
// before, the report has it as answerRequired.
const (
	Answered       = "answered"
	answerRequired = "answer required"
)

// estimate has the fields of the report's figures with an interval.
type estimate struct{ Value, Low, High float64 }

// AddReport takes figures, gates and limits from a report. answers holds, by
// the place of a gate in the report, what approvers wrote to a finding that
// the plan asks an answer for.
func (r *Record) AddReport(rep *report.Report, answers map[int]string) {
	r.Data.Evaluated = &rep.Rows
	r.Limits = append(r.Limits, rep.Limits...)
	r.gates(rep, answers)
	if f := rep.Forecasts; f != nil {
		r.forecasts(f)
		return
	}
	o := rep.Overall
	r.single("AUROC", "", (*estimate)(o.AUROC), "overall", "auroc")
	r.plain("AUPRC", "", o.AUPRC, "overall", "auprc")
	r.single("TPR at 1 % FPR", "", (*estimate)(o.TPRAtFPR.At1), "overall", "tpr_at_fpr", "0.01")
	r.single("TPR at 5 % FPR", "", (*estimate)(o.TPRAtFPR.At5), "overall", "tpr_at_fpr", "0.05")
	r.plain("Brier score", "", o.Brier, "overall", "brier")
	r.plain("Calibration error (ECE)", "", o.ECE, "overall", "ece")
	r.plain("Log loss", "", o.LogLoss, "overall", "log_loss")
	if h := rep.Histograms; h != nil {
		r.plain("Share of opened histogram cells with fewer than 5 rows", "", &h.Share, "histograms", "share")
	}
	if p := rep.Operating; p != nil {
		r.single("Selection rate at the operating point", "", (*estimate)(p.Selection), "operating", "selection_rate")
		r.single("TPR at the operating point", "", (*estimate)(p.TPR), "operating", "tpr")
		r.single("FPR at the operating point", "", (*estimate)(p.FPR), "operating", "fpr")
		r.single("PPV at the operating point", "", (*estimate)(p.PPV), "operating", "ppv")
	}
	for i, c := range rep.Columns {
		r.column(strconv.Itoa(i), c)
	}
}

// forecasts takes the figures of a plan of counts.
func (r *Record) forecasts(f *report.Forecasts) {
	r.plain("Poisson deviance of a row", "", f.Deviance, "forecasts", "poisson_deviance")
	r.plain("Poisson deviance of the baseline", "", f.BaseDeviance, "forecasts", "baseline_poisson_deviance")
	r.plain("Gain in Poisson deviance over the baseline", "", f.BaseGain, "forecasts", "poisson_deviance_gain")
	r.single("Share inside the 80 % interval", "", (*estimate)(f.Coverage), "forecasts", "coverage80")
	r.plain("Observed over expected", "", f.Ratio, "forecasts", "observed_over_expected")
	for i, c := range f.Columns {
		for j, g := range c.Groups {
			at := []string{"forecasts", "columns", strconv.Itoa(i), "groups", strconv.Itoa(j)}
			who := c.Name + " = " + g.Value
			r.plain("Gain over the baseline", who, g.BaseGain, append(at, "poisson_deviance_gain")...)
			r.single("Share inside the 80 % interval", who, (*estimate)(g.Coverage), append(at, "coverage80")...)
		}
	}
}

// gates takes the gates with what approvers answered.
func (r *Record) gates(rep *report.Report, answers map[int]string) {
	for i, g := range rep.Gates {
		result, answer := string(g.Outcome), answers[i]
		if result == answerRequired && answer != "" {
			result = Answered
		}
		r.Gates = append(r.Gates, Gate{
			Metric: g.Gate.Metric, Group: g.Gate.Group,
			Wanted: wanted(string(g.Gate.Bound), g.Gate.AtLeast, g.Gate.AtMost, g.Gate.IntervalContains) + ofNodes(g.Gate.Share),
			Value:  g.Value, Result: result, Answer: answer,
		})
	}
}

func (r *Record) column(index string, c report.Column) {
	for i, g := range c.Groups {
		who, at := c.Name+" = "+g.Value, strconv.Itoa(i)
		r.single("Selection rate", who, (*estimate)(g.Selection), "columns", index, "groups", at, "selection_rate")
		r.single("FPR", who, (*estimate)(g.FPR), "columns", index, "groups", at, "fpr")
		r.single("FNR", who, (*estimate)(g.FNR), "columns", index, "groups", at, "fnr")
		r.single("AUROC", who, (*estimate)(g.AUROC), "columns", index, "groups", at, "auroc")
	}
	for i, g := range c.Gaps {
		r.single("Largest gap: "+g.Rate, c.Name, (*estimate)(g.Difference), "columns", index, "gaps", strconv.Itoa(i), "difference")
	}
}

// plain adds a figure without an interval.
func (r *Record) plain(name, group string, value *float64, tokens ...string) {
	r.Figures = append(r.Figures, Figure{Name: name, Group: group, Value: value, Pointer: Pointer(tokens...)})
}

// single adds a figure with its interval; nil is one that could not be
// measured or is withheld.
func (r *Record) single(name, group string, e *estimate, tokens ...string) {
	at := Pointer(tokens...)
	if e == nil {
		r.Figures = append(r.Figures, Figure{Name: name, Group: group, Pointer: at})
		return
	}
	r.Figures = append(r.Figures, Figure{
		Name: name, Group: group,
		Value: &e.Value, Pointer: at + "/value",
		Low: &e.Low, LowPointer: at + "/low",
		High: &e.High, HighPointer: at + "/high",
	})
}

// wanted says in words what a gate asks.
func wanted(bound string, atLeast, atMost, contains *float64) string {
	var text string
	switch {
	case atLeast != nil:
		text = "at least " + short(*atLeast)
	case atMost != nil:
		text = "at most " + short(*atMost)
	case contains != nil:
		text = "interval contains " + short(*contains)
	}
	if bound == "lower" || bound == "upper" {
		text += " (" + bound + " end of the 95 % interval)"
	}
	return text
}

// ofNodes says in how many nodes it must hold.
func ofNodes(share float64) string {
	if share == 0 {
		return ""
	}
	return " in a share of at least " + short(share) + " of nodes"
}

func short(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }
