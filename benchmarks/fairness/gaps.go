package fairness

import "github.com/koinon-eu/koinon/benchmarks/metrics"

// Convention says what a gap makes of a rate over nothing.
type Convention string

const (
	// Strict leaves an undefined rate out; a ratio over a largest rate of 0 is nil.
	Strict Convention = "strict"
	// Fairlearn counts an undefined rate as 0, which can widen a gap.
	Fairlearn Convention = "fairlearn"
)

// Gap is how far apart groups are on one rate: difference largest − smallest,
// ratio smallest ÷ largest. Nil is undefined.
type Gap struct {
	Difference *float64 `json:"difference"`
	Ratio      *float64 `json:"ratio"`
}

// Gaps are the gaps of one group column. EqualizedOdds is the worse of the TPR
// and the FPR gap.
type Gaps struct {
	SelectionRate Gap `json:"selection_rate"`
	TPR           Gap `json:"tpr"`
	FPR           Gap `json:"fpr"`
	FNR           Gap `json:"fnr"`
	EqualizedOdds Gap `json:"equalized_odds"`
}

// Between is the gap between the rates of groups.
func (c Convention) Between(rates []*float64) Gap {
	rates = c.defined(rates)
	if len(rates) == 0 {
		return Gap{}
	}
	least, most := *rates[0], *rates[0]
	for _, r := range rates[1:] {
		least, most = min(least, *r), max(most, *r)
	}
	return Gap{Difference: number(most - least), Ratio: quotient(least, most)}
}

// ToOverall is the largest distance of a group's rate from everyone's: of the
// differences, and of the ratios taken below 1.
func (c Convention) ToOverall(rates []*float64, overall *float64) Gap {
	rates = c.defined(rates)
	whole := c.defined([]*float64{overall})
	if len(rates) == 0 || len(whole) == 0 {
		return Gap{}
	}
	var gap Gap
	for _, r := range rates {
		d := Gap{Difference: number(max(*r-*whole[0], *whole[0]-*r)), Ratio: quotient(min(*r, *whole[0]), max(*r, *whole[0]))}
		if gap.Difference == nil {
			gap = d
		}
		gap = Worst(gap, d)
	}
	return gap
}

// Worst takes the larger difference and the smaller ratio of those defined.
func Worst(a, b Gap) Gap {
	return Gap{
		Difference: pick(a.Difference, b.Difference, func(x, y float64) float64 { return max(x, y) }),
		Ratio:      pick(a.Ratio, b.Ratio, func(x, y float64) float64 { return min(x, y) }),
	}
}

// Mean averages differences and ratios; nil where either is.
func Mean(a, b Gap) Gap { return Gap{mean(a.Difference, b.Difference), mean(a.Ratio, b.Ratio)} }

// Gaps measures every gap between the confusions of groups.
func (c Convention) Gaps(groups []metrics.Confusion) Gaps {
	between := func(rate func(metrics.Confusion) *float64) Gap {
		rates := make([]*float64, len(groups))
		for i, g := range groups {
			rates[i] = rate(g)
		}
		return c.Between(rates)
	}
	g := Gaps{
		SelectionRate: between(metrics.Confusion.Selection),
		TPR:           between(metrics.Confusion.TPR),
		FPR:           between(metrics.Confusion.FPR),
		FNR:           between(metrics.Confusion.FNR),
	}
	g.EqualizedOdds = Worst(g.TPR, g.FPR)
	return g
}

func (c Convention) defined(rates []*float64) []*float64 {
	var out []*float64
	for _, r := range rates {
		switch {
		case r != nil:
			out = append(out, r)
		case c == Fairlearn:
			out = append(out, number(0))
		}
	}
	return out
}

func number(x float64) *float64 { return &x }

func quotient(x, of float64) *float64 {
	if of == 0 {
		return nil
	}
	return number(x / of)
}

func pick(a, b *float64, f func(x, y float64) float64) *float64 {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return number(f(*a, *b))
}

func mean(a, b *float64) *float64 {
	if a == nil || b == nil {
		return nil
	}
	return number((*a + *b) / 2)
}
