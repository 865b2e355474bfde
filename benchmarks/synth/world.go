package synth

import (
	"fmt"
	"math"
)

// Preset is a set of the generator's knobs.
type Preset struct {
	Name    string
	Mix     float64 // how much the groups' shares differ between states
	Proxy   float64 // γ: how far document technique follows the group
	Bias    float64 // β: biased checking and findings
	Shift   float64 // δ: covariate shift between states
	Concept float64 // κ: what predicts fraud differs between states
	Drift   float64 // τ: change over the months

	UnexaminedIsNegative bool // the common mistake: not examined counted as not false
}

var presets = []Preset{
	{Name: "neutral", Shift: 1, Concept: 1, Drift: 1},
	{Name: "demo", Mix: .5, Proxy: .05, Shift: 1, Concept: 1, Drift: 1},
	{Name: "proxy", Mix: .5, Proxy: .3, Shift: 1, Concept: 1, Drift: 1},
	{Name: "biased", Mix: .5, Proxy: .3, Bias: 1, Shift: 1, Concept: 1, Drift: 1, UnexaminedIsNegative: true},
}

// PresetNamed returns a preset: neutral, demo, proxy or biased.
func PresetNamed(name string) (Preset, error) {
	for _, p := range presets {
		if p.Name == name {
			return p, nil
		}
	}
	return Preset{}, fmt.Errorf("preset %q: the presets are neutral, demo, proxy, biased", name)
}

const (
	groups   = 6
	families = 12
)

// Assumptions about document families, T01 to T12, and groups, N1 to N6.
var (
	groupAxis = [groups]float64{-1, -.6, -.2, .2, .6, 1}
	groupMix  = [groups]float64{.22, .20, .18, .16, .14, .10}

	familyQuality  = [families]float64{1, .8, .6, .6, .4, .2, 0, -.2, -.4, -.6, -.8, -1}
	familyChip     = [families]float64{.99, .99, .98, .97, .95, .90, .85, .60, .40, .10, 0, 0}
	familySigner   = [families]float64{.99, .98, .97, .95, .90, .85, .70, .60, .40, .30, .30, .30}
	familyValidity = [families]float64{120, 120, 120, 60, 120, 120, 60, 120, 60, 60, 60, 60} // months
	familyKnown    = [families]float64{.99, .99, .99, .98, .98, .97, .95, .92, .90, .80, .70, .60}
	familyShare    = [families]float64{.16, .14, .13, .12, .11, .09, .08, .06, .05, .03, .02, .01}
)

// kernel is the share of a family in a group when technique follows it wholly.
func kernel(group, family int) float64 {
	if family/2 == group {
		return .4
	}
	return .02
}

// drift is how a state's own concept scales the parts of the risk.
type drift struct{ chip, optical, template, support, bank, reuse, history, family float64 }

// country holds what is fixed for a state under a preset.
type country struct {
	preset Preset
	rate   float64           // true share of false documents, the same in every group
	mix    []float64         // of groups
	family [groups][]float64 // of families in a group
	opticalShift, opticalMissing,
	trust, // share of signers we hold certificates of
	bankShift, bankMissing,
	load, examined, prior, reuse float64
	channel []float64
	drift   drift
}

func clip(x, lo, hi float64) float64 { return max(lo, min(hi, x)) }

// rateOf returns π of a state.
func rateOf(state string) float64 {
	if r, ok := trueRate[state]; ok {
		return r
	}
	return clip(.0125*math.Exp(.45*world(state+"/rate")), .006, .028)
}

// newCountry sets up a state of the world.
func newCountry(p Preset, state string) *country {
	w := func(name string) float64 { return world(state + "/" + name) }
	d := p.Shift
	provider := clip(.72+.12*d*w("provider"), .35, .92)
	b := func(name string) float64 { return clip(p.Concept*w("b/"+name), -2, 2) }
	c := &country{
		preset: p, rate: rateOf(state),
		opticalShift: 3 * d * w("optical"), opticalMissing: clip(.22+.08*d*w("optmiss"), .05, .45),
		trust:     clip(.92+.06*d*w("trust"), .70, 1),
		bankShift: .35 * d * w("bank"), bankMissing: clip(.22+.07*d*w("bankmiss"), .05, .45),
		load: 28 * math.Exp(.3*d*w("load")), examined: clip(.70+.08*w("exam"), .5, .9),
		prior: math.Exp(.3 * d * w("prior")), reuse: clip(.06*math.Exp(.4*d*w("reuse")), .02, .15),
		channel: []float64{provider, .48 * (1 - provider), .32 * (1 - provider), .20 * (1 - provider)},
		drift: drift{
			b("chip"), b("optical"), b("template"), b("support"), b("bank"), b("reuse"), b("history"), b("family"),
		},
	}
	for i := range groups {
		c.mix = append(c.mix, groupMix[i]*math.Exp(p.Mix*w(fmt.Sprintf("mix%d", i))))
	}
	normalise(c.mix)
	var base []float64
	for j := range families {
		base = append(base, familyShare[j]*math.Exp(.5*d*w(fmt.Sprintf("tpl%d", j))))
	}
	normalise(base)
	for i := range groups {
		for j := range families {
			c.family[i] = append(c.family[i], (1-p.Proxy)*base[j]+p.Proxy*kernel(i, j))
		}
	}
	return c
}

func normalise(p []float64) {
	sum := 0.0
	for _, v := range p {
		sum += v
	}
	for i := range p {
		p[i] /= sum
	}
}
