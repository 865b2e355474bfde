package fairness

import "github.com/koinon-eu/koinon/benchmarks/metrics"

// FourFifths is the smallest ÷ largest rate of *not* being flagged, the figure
// of the four-fifths rule. It is near 1 whenever flags are rare, so it is given
// for comparison and never as a pass mark. Nil when every group is flagged whole.
func FourFifths(groups []metrics.Confusion) *float64 {
	rates := make([]*float64, 0, len(groups))
	for _, g := range groups {
		if s := g.Selection(); s != nil {
			rates = append(rates, number(1-*s))
		}
	}
	return Strict.Between(rates).Ratio
}

// Disparity is a group's rate ÷ the reference group's (Aequitas); nil when
// either is undefined or the reference is 0.
func Disparity(group, reference *float64) *float64 {
	if group == nil || reference == nil {
		return nil
	}
	return quotient(*group, *reference)
}

// Privilege compares all other groups, pooled, with a privileged one (AIF360):
// others minus privileged, and for DisparateImpact others ÷ privileged.
type Privilege struct {
	StatisticalParity, DisparateImpact, EqualOpportunity, AverageOdds *float64
}

// ComparePrivileged computes Privilege.
func ComparePrivileged(privileged, others metrics.Confusion) Privilege {
	minus := func(a, b *float64) *float64 {
		if a == nil || b == nil {
			return nil
		}
		return number(*a - *b)
	}
	tpr := minus(others.TPR(), privileged.TPR())
	return Privilege{
		StatisticalParity: minus(others.Selection(), privileged.Selection()),
		DisparateImpact:   Disparity(others.Selection(), privileged.Selection()),
		EqualOpportunity:  tpr,
		AverageOdds:       mean(tpr, minus(others.FPR(), privileged.FPR())),
	}
}
