package synth

import "math"

// Assumed effects, by code.
var (
	chipRisk      = [...]float64{chipOK: -.45, noChip: 0, unreadable: .80, signerUnknown: .10, mismatch: 3.0, badSig: 2.8}
	supportRisk   = [...]float64{-.15, .55, 2.2, .10}
	employerRisk  = [...]float64{0, .35, .80, .10}
	insuranceRisk = [...]float64{0, .15, .9}
	purposeRisk   = [...]float64{0, .12, -.15, .18, .25, 0}
	channelRisk   = [...]float64{0, -.15, .10, .30}
)

// risk is the log-odds of a false document up to the intercept of state and
// group. It reads emitted values only, a missing one adding nothing, so that
// the true probability is also the best score anyone can give.
func (c *country) risk(d *Row) float64 {
	t := (float64(d.Month) - 12.5) / 12 * c.preset.Drift
	return c.documentRisk(d, t) + c.paperRisk(d, t) + c.historyRisk(d) +
		purposeRisk[d.Purpose] + channelRisk[d.Channel] + .22*t
}

func (c *country) documentRisk(d *Row, t float64) float64 {
	b, q := c.drift, familyQuality[d.Family]
	z, l := 0.0, 0.0
	if !math.IsNaN(d.Optical) {
		z = (82 - d.Optical) / 7
	}
	if !math.IsNaN(d.TemplateDistance) {
		l = math.Log(max(d.TemplateDistance, .05)) / .45
	}
	f := chipRisk[d.Chip] * (1 + .35*b.chip) * (1 - .10*t)
	f += (.30*z + .75*max(0, z-1)) * (1 + .35*b.optical)
	f += (.25*l + .55*max(0, l-1)) * (1 + .35*b.template)
	if z > 1 && l > 1 {
		f += 2
	}
	if d.MRZFailures > 0 {
		mrz := 1 + .5*float64(d.MRZFailures-1)
		if d.Channel == onlineA {
			mrz *= .4
		}
		f += mrz
	}
	f += -.45*q*(1+.35*b.family) + .02*(d.DocAge-3.5)
	if d.DocAge < .5 && d.Chip == noChip {
		f += 1.6
	}
	if d.SLTD {
		f += 4
	}
	return f
}

func (c *country) paperRisk(d *Row, t float64) float64 {
	s := 0.0
	if !math.IsNaN(d.Bank) {
		s = max(0, .75-d.Bank) / .15
	}
	papers := supportRisk[d.Support] + employerRisk[d.Employer] + insuranceRisk[d.Insurance]
	if s > 1 && d.Employer == employerNone {
		papers += 2
	}
	return papers*(1+.30*c.drift.support)*(1+.20*t) + .50*s*(1+.35*c.drift.bank)
}

func (c *country) historyRisk(d *Row) float64 {
	reuse := .60 * math.Log1p(float64(d.Reuse))
	if d.Reuse >= 3 && d.Channel == serviceProvider {
		reuse += 1.6
	}
	history := -.40*math.Log1p(float64(d.PriorVisas)) + .30*float64(min(d.PriorRefusals, 3))
	return reuse*(1+.35*c.drift.reuse) + history*(1+.30*c.drift.history)
}

// attention is the part of an examiner's choice that the file itself causes.
func attention(d *Row) float64 {
	f := 0.0
	if d.Chip >= mismatch || d.SLTD {
		f += 2
	}
	for _, hit := range [...]bool{d.MRZFailures > 0, d.Optical < 72, d.Support == contradiction, d.Reuse >= 3} {
		if hit {
			f++
		}
	}
	return .9*f - .3*(math.Log(d.Workload)-math.Log(28))/.25
}

// prejudice is the part that β adds: who the applicant is.
func prejudice(d *Row) float64 {
	h := [groups]float64{-.8, -.8, 0, 0, 1, 1}[d.Group]
	if d.Sex == male && (d.Age == 1 || d.Age == 2) {
		h += .4
	}
	return h
}

// decide draws truth, examination and finding.
func (c *country) decide(r *random, d *Row, s solution) {
	beta := c.preset.Bias
	d.Probability = sigmoid(c.risk(d) + s.group[d.Group])
	d.Fraud = r.chance(d.Probability)
	d.Examined = r.chance(sigmoid(s.examined + attention(d) + beta*prejudice(d)))
	found := .0003 + beta*[groups]float64{0, 0, 0, 0, .010, .010}[d.Group]
	if d.Fraud {
		found = .90 - beta*[groups]float64{.25, .25, 0, 0, -.05, -.05}[d.Group]
	}
	hit := r.chance(found)
	switch {
	case !d.Examined && !c.preset.UnexaminedIsNegative:
		d.Found = -1
	case d.Examined && hit:
		d.Found = 1
	}
}
