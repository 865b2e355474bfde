package synth

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// figures are gathered over rows.
type figures struct{ rows []Row }

func (f figures) where(keep func(Row) bool) figures {
	var out figures
	for _, r := range f.rows {
		if keep(r) {
			out.rows = append(out.rows, r)
		}
	}
	return out
}

func (f figures) share(hit func(Row) bool) float64 {
	return float64(len(f.where(hit).rows)) / float64(len(f.rows))
}

// mean leaves missing values out.
func (f figures) mean(value func(Row) float64) float64 {
	sum, n := 0.0, 0
	for _, r := range f.rows {
		if v := value(r); !math.IsNaN(v) {
			sum += v
			n++
		}
	}
	return sum / float64(n)
}

func (f figures) correlation(x, y func(Row) float64) float64 {
	g := f.where(func(r Row) bool { return !math.IsNaN(x(r)) && !math.IsNaN(y(r)) })
	mx, my := g.mean(x), g.mean(y)
	var xx, yy, xy float64
	for _, r := range g.rows {
		a, b := x(r)-mx, y(r)-my
		xx, yy, xy = xx+a*a, yy+b*b, xy+a*b
	}
	return xy / math.Sqrt(xx*yy)
}

// ranks gives each value its mean rank.
func ranks(v []float64) []float64 {
	order := make([]int, len(v))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(v[a], v[b]) })
	out := make([]float64, len(v))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && v[order[j]] == v[order[i]] {
			j++
		}
		for _, k := range order[i:j] {
			out[k] = float64(i+j+1) / 2
		}
		i = j
	}
	return out
}

// auroc is of a value against the true label, missing values left out.
func (f figures) auroc(value func(Row) float64) float64 {
	g := f.where(func(r Row) bool { return !math.IsNaN(value(r)) })
	v := make([]float64, len(g.rows))
	for i, r := range g.rows {
		v[i] = value(r)
	}
	sum, pos := 0.0, 0.0
	for i, rank := range ranks(v) {
		if g.rows[i].Fraud {
			sum += rank
			pos++
		}
	}
	return (sum - pos*(pos+1)/2) / (pos * (float64(len(v)) - pos))
}

// byRate orders the codes of a column by their true rate, the most a single
// column can give away.
func (f figures) byRate(code func(Row) int) func(Row) float64 {
	n, hit := map[int]float64{}, map[int]float64{}
	for _, r := range f.rows {
		n[code(r)]++
		if r.Fraud {
			hit[code(r)]++
		}
	}
	return func(r Row) float64 { return hit[code(r)] / n[code(r)] }
}

func demo(t *testing.T, total int) (all figures, states []figures) {
	sizes, err := Sizes(total, Demo5(), DemoExponent)
	require.NoError(t, err)
	for i, s := range Demo5() {
		rows, err := Rows("demo", s, sizes[i], 7)
		require.NoError(t, err)
		f := figures{slices.Collect(rows)}
		states = append(states, f)
		all.rows = append(all.rows, f.rows...)
	}
	return all, states
}

// TestVectors holds the tables to the figures of the specification. With
// -short a quarter of the rows and twice the tolerance.
func TestVectors(t *testing.T) {
	total, slack := 200_000, 1.0
	if testing.Short() {
		total, slack = 50_000, 2.0
	}
	all, states := demo(t, total)
	check := func(name string, want, tolerance, got float64) {
		require.InDelta(t, want, got, slack*tolerance, "%s", name)
	}
	perState := func(name string, want, tolerance []float64, f func(figures) float64) {
		for i, s := range Demo5() {
			check(name+" "+s, want[i], tolerance[min(i, len(tolerance)-1)], f(states[i]))
		}
	}
	fraud := func(r Row) bool { return r.Fraud }
	examined := func(r Row) bool { return r.Examined }
	optical := func(r Row) float64 { return r.Optical }
	bank := func(r Row) float64 { return r.Bank }
	quality := func(r Row) float64 { return familyQuality[r.Family] }
	axis := func(r Row) float64 { return groupAxis[r.Group] }

	perState("true rate", []float64{.0108, .0171, .0128, .0222, .0192}, []float64{.0022, .0024, .0021, .0040, .0032},
		func(f figures) float64 { return f.share(fraud) })
	perState("found among examined", []float64{.0109, .0166, .0133, .0222, .0190}, []float64{.0024, .0026, .0029, .0051, .0035},
		func(f figures) float64 {
			return f.where(examined).share(func(r Row) bool { return r.Found == 1 })
		})
	perState("examined", []float64{.676, .836, .705, .623, .717}, []float64{.017},
		func(f figures) float64 { return f.share(examined) })
	perState("optical missing", []float64{.111, .084, .257, .149, .185}, []float64{.010},
		func(f figures) float64 { return f.share(func(r Row) bool { return math.IsNaN(r.Optical) }) })
	perState("optical mean", []float64{83.39, 79.68, 78.77, 83.15, 83.73}, []float64{.35},
		func(f figures) float64 { return f.mean(optical) })
	perState("bank missing", []float64{.300, .320, .050, .173, .205}, []float64{.012},
		func(f figures) float64 { return f.share(func(r Row) bool { return math.IsNaN(r.Bank) }) })
	perState("workload mean", []float64{36.9, 47.1, 52.2, 31.4, 40.9}, []float64{.3},
		func(f figures) float64 { return f.mean(func(r Row) float64 { return r.Workload }) })

	for _, c := range []struct {
		name            string
		want, tolerance float64
		hit             func(Row) bool
	}{
		{"chip ok", .674, .0034, func(r Row) bool { return r.Chip == chipOK }},
		{"no_chip", .159, .003, func(r Row) bool { return r.Chip == noChip }},
		{"signer_unknown", .148, .003, func(r Row) bool { return r.Chip == signerUnknown }},
		{"data_mismatch", .0010, .0002, func(r Row) bool { return r.Chip == mismatch }},
		{"signature_invalid", .0016, .0003, func(r Row) bool { return r.Chip == badSig }},
		{"support minor", .159, .002, func(r Row) bool { return r.Support == 1 }},
		{"contradiction", .0150, .001, func(r Row) bool { return r.Support == contradiction }},
		{"mrz > 0", .0161, .0011, func(r Row) bool { return r.MRZFailures > 0 }},
		{"reuse > 0", .0729, .0014, func(r Row) bool { return r.Reuse > 0 }},
		{"reuse >= 3", .0308, .0008, func(r Row) bool { return r.Reuse >= 3 }},
		{"template missing", .0447, .0021, func(r Row) bool { return math.IsNaN(r.TemplateDistance) }},
		{"sltd", .0002, .0001, func(r Row) bool { return r.SLTD }},
	} {
		check(c.name, c.want, c.tolerance, all.share(c.hit))
	}
	check("prior visas", 1.269, .014, all.mean(func(r Row) float64 { return float64(r.PriorVisas) }))
	check("bank mean", .815, .001, all.mean(bank))
	check("optical, q", .179, .008, all.correlation(optical, quality))
	check("bank, g", -.123, .006, all.correlation(bank, axis))
	check("q, g", -.037, .008, all.correlation(quality, axis))
	check("age, validity left", -.484, .005, rankCorrelation(all,
		func(r Row) float64 { return r.DocAge }, func(r Row) float64 { return r.ValidityLeft }))
	months := func(a, b int) float64 {
		return all.where(func(r Row) bool { return r.Month >= a && r.Month <= b }).share(fraud)
	}
	check("months 19-24 over 1-6", 1.52, .37, months(19, 24)/months(1, 6))
	testAUROC(t, all, check)
}

func rankCorrelation(f figures, x, y func(Row) float64) float64 {
	a, b := make([]float64, len(f.rows)), make([]float64, len(f.rows))
	for i, r := range f.rows {
		a[i], b[i] = x(r), y(r)
	}
	a, b = ranks(a), ranks(b)
	mean := (float64(len(a)) + 1) / 2
	var xx, yy, xy float64
	for i := range a {
		xx += (a[i] - mean) * (a[i] - mean)
		yy += (b[i] - mean) * (b[i] - mean)
		xy += (a[i] - mean) * (b[i] - mean)
	}
	return xy / math.Sqrt(xx*yy)
}

// testAUROC checks how much each column alone tells, and that none tells too
// much.
func testAUROC(t *testing.T, all figures, check func(string, float64, float64, float64)) {
	numbers := map[string]func(Row) float64{
		"optical":     func(r Row) float64 { return -r.Optical },
		"distance":    func(r Row) float64 { return r.TemplateDistance },
		"bank":        func(r Row) float64 { return -r.Bank },
		"prior visas": func(r Row) float64 { return -float64(r.PriorVisas) },
		"reuse":       func(r Row) float64 { return float64(r.Reuse) },
		"refusals":    func(r Row) float64 { return float64(r.PriorRefusals) },
		"workload":    func(r Row) float64 { return r.Workload },
		"age":         func(r Row) float64 { return r.DocAge },
		"validity":    func(r Row) float64 { return r.ValidityLeft },
		"month":       func(r Row) float64 { return float64(r.Month) },
		"mrz":         func(r Row) float64 { return float64(r.MRZFailures) },
		"chip": func(r Row) float64 {
			return [...]float64{chipOK: 0, signerUnknown: 1, noChip: 2, unreadable: 3, badSig: 4, mismatch: 5}[r.Chip]
		},
	}
	for name, code := range map[string]func(Row) int{
		"support": func(r Row) int { return r.Support }, "family": func(r Row) int { return r.Family },
		"employer": func(r Row) int { return r.Employer }, "insurance": func(r Row) int { return r.Insurance },
		"channel": func(r Row) int { return r.Channel }, "purpose": func(r Row) int { return r.Purpose },
		"season": func(r Row) int { return r.Season }, "group": func(r Row) int { return r.Group },
		"region": func(r Row) int { return r.Region }, "sex": func(r Row) int { return r.Sex },
		"chip code": func(r Row) int { return r.Chip }, "age band": func(r Row) int { return r.Age },
	} {
		numbers[name] = all.byRate(code)
	}
	got := map[string]float64{}
	for name, value := range numbers {
		got[name] = all.auroc(value)
		require.Less(t, max(got[name], 1-got[name]), .75, "%s alone tells too much: a leak", name)
	}
	check("oracle", .882, .022, all.auroc(func(r Row) float64 { return r.Probability }))
	check("optical", .711, .037, got["optical"])
	check("distance", .694, .030, got["distance"])
	check("chip", .671, .016, got["chip"])
	check("support", .596, .025, got["support"])
	check("reuse", .552, .013, got["reuse"])
	check("prior visas", .549, .023, got["prior visas"])
	check("bank", .530, .024, got["bank"])
}

// TestGroupsAreEqualWithoutProxy: at γ = 0 the group moves nothing, so the six
// intercepts of a state agree.
func TestGroupsAreEqualWithoutProxy(t *testing.T) {
	states := Demo5()
	if testing.Short() {
		states = states[3:4]
	}
	p, err := PresetNamed("neutral")
	require.NoError(t, err)
	for _, s := range states {
		a := newCountry(p, s).solve(s).group
		require.LessOrEqual(t, slices.Max(a[:])-slices.Min(a[:]), .1, fmt.Sprint(s, a))
	}
}
