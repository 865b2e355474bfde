package report

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/koinon-eu/koinon/benchmarks/fairness"
	"github.com/koinon-eu/koinon/benchmarks/metrics"
)

// standingLimits is what every reader must know before using a figure.
func (r *Report) standingLimits() []string {
	limits := []string{
		"A score orders cases for an expert's examination. It is not a finding and decides nothing by itself.",
		"Only rows that were examined are counted. A case nobody examined has no label and is in no figure here.",
		"Intervals are 95 % intervals. They cover the chance in the test rows, not changes of practice over time nor members that did not take part.",
		"The gap in false alarms finds a column that stands in for a group. It does not find labels that were wrong for a group from the start.",
		"Found over expected finds labels or risks that differ between groups, but cannot tell which of the two it is: only a blind re-examination of a random sample can. Good calibration within groups on biased labels proves nothing.",
		"The largest gap is the largest of several, so it is above zero even without any bias, and its interval lies high rather than low.",
		"A group that is not judged is not thereby cleared.",
		"What a model gains by federation goes mostly to members with few rows. A large member with practice of its own may gain nothing. Each member sees its own figures on its own machine; none is in this report.",
	}
	if e := r.Overall.AUROCError; e != nil {
		limits = append(limits, fmt.Sprintf("Scores were counted in %d bins. AUROC is off by at most %s through that; Brier, ECE and log loss by less than 0.000001.", r.Overall.Bins, decimals(*e, 4)))
	}
	return limits
}

// headline says the verdict in a sentence.
func (r *Report) headline() string {
	n := map[fairness.Outcome]int{}
	for _, g := range r.Gates {
		n[g.Outcome]++
	}
	all := len(r.Gates)
	switch {
	case all == 0:
		return "The plan set no gates, so nothing is passed."
	case r.Verdict == fairness.Pass:
		return fmt.Sprintf("The candidate passes all %d gates the plan set before training.", all)
	}
	var parts []string
	if n[fairness.Pass] > 0 {
		parts = append(parts, fmt.Sprintf("passes %d", n[fairness.Pass]))
	}
	for _, part := range []struct {
		outcome fairness.Outcome
		words   string
	}{
		{fairness.Fail, "fails %d"},
		{fairness.NotEnough, "lacks the evidence for %d"},
		{fairness.AnswerRequired, "needs a written answer from its approvers for %d"},
	} {
		if n[part.outcome] > 0 {
			parts = append(parts, fmt.Sprintf(part.words, n[part.outcome]))
		}
	}
	return fmt.Sprintf("Of %d gates the plan set before training, the candidate %s.", all, enumerate(parts))
}

// enumerate joins words with commas and a last "and".
func enumerate(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// spaced makes a column's name read as words.
func spaced(name string) string { return strings.ReplaceAll(name, "_", " ") }

// gainSentence says what members gained.
func (r *Report) gainSentence() string {
	g := r.Gain
	if g.Mean == nil {
		return "No member has enough rows of both classes to compare the federated model with one of its own."
	}
	text := fmt.Sprintf("%d of %d members rank their own test rows better with the federated model than with a model of their own; the mean gain in AUROC is %s [%s, %s]", g.Gained, g.Members, signed(g.Mean.Value), signed(g.Mean.Low), signed(g.Mean.High))
	if g.Spread != nil {
		text += fmt.Sprintf(", the spread between members %s", decimals(*g.Spread, 3))
	}
	return text + "."
}

var metricNames = map[string]string{
	fairness.AUROC: "AUROC", fairness.AUPRC: "AUPRC", fairness.Brier: "Brier score",
	fairness.ECE: "calibration error (ECE)", fairness.LogLoss: "log loss",
	fairness.Gain:         "gain over models of their own (mean AUROC)",
	fairness.SelectionGap: "gap in flags", fairness.FPRGap: "gap in false alarms (FPR)",
	fairness.TPRGap: "gap in share found (TPR)", fairness.FNRGap: "gap in share missed (FNR)",
	fairness.OverExpected: "found over expected",
	fairness.DevianceGain: "gain in Poisson deviance over the baseline", fairness.Coverage: "share inside the 80 % interval",
}

// gateName says what a gate judges, gateLimit what it must hold.
func gateName(g fairness.Gate) string {
	if g.Group == "" {
		return metricNames[g.Metric]
	}
	return metricNames[g.Metric] + ", " + spaced(g.Group)
}

func gateLimit(g fairness.Gate) string {
	number := func(x float64) string { return strings.Replace(strconv.FormatFloat(x, 'f', -1, 64), "-", "−", 1) }
	bound := map[fairness.Bound]string{fairness.Lower: "lower bound ", fairness.Upper: "upper bound "}[g.Bound]
	switch {
	case g.Share > 0:
		return "≥ " + number(*g.AtLeast) + " in a share of ≥ " + number(g.Share) + " of nodes"
	case g.AtLeast != nil:
		return bound + "≥ " + number(*g.AtLeast)
	case g.AtMost != nil:
		return bound + "≤ " + number(*g.AtMost)
	}
	text := "interval contains " + number(*g.IntervalContains)
	if g.Else == fairness.Answer {
		text += ", else answer in writing"
	}
	return text
}

func gateEvidence(e fairness.Evidence) string {
	var parts []string
	for _, p := range []struct {
		n    int64
		what string
	}{
		{e.Rows, "rows"},
		{e.Positives, "found"},
		{e.Negatives, "not found"},
		{e.Nodes, "nodes"},
		{e.PositivesPerGroup, "found a group"},
		{e.NegativesPerGroup, "not found a group"},
	} {
		if p.n > 0 {
			parts = append(parts, count(p.n)+" "+p.what)
		}
	}
	return strings.Join(parts, ", ")
}

// decimals writes x with d decimals; −0 is 0.
func decimals(x float64, d int) string {
	s := strconv.FormatFloat(x, 'f', d, 64)
	if strings.Trim(s, "-0.") == "" {
		s = strings.TrimPrefix(s, "-")
	}
	return strings.Replace(s, "-", "−", 1)
}

func signed(x float64) string {
	s := decimals(x, 3)
	if x > 0 && strings.Trim(s, "0.") != "" {
		return "+" + s
	}
	return s
}

// percent writes a rate in per cent with as many digits as it deserves.
func percent(x float64) string {
	d := 1
	if x > 0 && x < .001 {
		d = 2
	}
	return strings.TrimSuffix(strings.TrimSuffix(decimals(x*100, d), "0"), ".") + "\u202f%"
}

// count groups thousands with a thin space.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

func optional(x *float64, d int) string {
	if x == nil {
		return "–"
	}
	return decimals(*x, d)
}

func estimate(e *metrics.Estimate, d int) string {
	if e == nil {
		return "–"
	}
	return decimals(e.Value, d)
}

func interval(e *metrics.Estimate, d int) string {
	if e == nil {
		return ""
	}
	return "[" + decimals(e.Low, d) + ", " + decimals(e.High, d) + "]"
}

func groupRows(g Group) string {
	switch {
	case g.Rows == nil:
		return fmt.Sprintf("< %d", fairness.SmallCell)
	case g.About:
		return "≈ " + count(*g.Rows)
	}
	return count(*g.Rows)
}

func groupFound(g Group) string {
	switch {
	case g.Found == nil:
		return "·"
	case g.About:
		return "≈ " + count(*g.Found)
	}
	return count(*g.Found)
}
