package synth

import "math"

// Row is one application's documents. Absent numbers are NaN.
type Row struct {
	ID               uint64
	Month            int // 1 to 24; 1 is January 2024
	Day              int // of the month, from 1
	Season           int
	Sex              int
	Age              int
	Group            int // N1 is 0
	Region           int
	Family           int // T01 is 0
	Channel          int
	Purpose          int
	DocAge           float64 // years, one decimal
	ValidityLeft     float64 // months
	MRZFailures      int
	Chip             int
	Optical          float64
	TemplateDistance float64
	SLTD             bool
	Support          int
	Bank             float64
	Employer         int
	Insurance        int
	Reuse            int
	Workload         float64
	PriorVisas       int
	PriorRefusals    int
	PriorOverstay    bool

	Examined bool
	Found    int // 1, 0, or −1 where the label is empty

	// The truth, which no national table holds.
	Probability float64 // Bayes-optimal
	Fraud       bool
}

// Values of the coded columns, in the order of their codes.
var (
	sexes      = []string{"female", "male", "unspecified"}
	ages       = []string{"0-17", "18-24", "25-34", "35-49", "50-64", "65+"}
	chips      = []string{"ok", "no_chip", "unreadable", "signer_unknown", "data_mismatch", "signature_invalid"}
	supports   = []string{"consistent", "minor_issue", "contradiction", "not_checked"}
	employers  = []string{"match", "partial", "none", "not_applicable"}
	insurances = []string{"valid", "unverified", "invalid"}
	channels   = []string{"service_provider", "consulate", "online", "border_or_asylum"}
	purposes   = []string{"tourism", "family", "business", "study", "work", "protection"}
	seasons    = []string{"winter", "spring", "summer", "autumn"}
)

// Codes the rules speak of.
const (
	male                                = 1
	chipOK, noChip, unreadable          = 0, 1, 2
	signerUnknown, mismatch, badSig     = 3, 4, 5
	contradiction                       = 2
	employerNone                        = 2
	serviceProvider, consulate, onlineA = 0, 1, 2
)

var (
	sexShare       = []float64{.478, .517, .005}
	ageShare       = []float64{.09, .14, .27, .29, .15, .06}
	purposeShare   = []float64{.50, .20, .12, .08, .07, .03}
	insuranceShare = []float64{.86, .12, .02}
	monthShare     = func() []float64 {
		p := make([]float64, 24)
		for i := range p {
			p[i] = 1 + .35*peak(i%12+1)
		}
		normalise(p)
		return p
	}()
)

// peak is 1 in June and falls off on both sides.
func peak(month int) float64 {
	d := (float64(month) - 6) / 1.5
	return math.Exp(-.5 * d * d)
}

// draw makes the facts of one file, all that is known before examination.
func (c *country) draw(r *random) Row {
	var d Row
	d.Month = 1 + r.pick(monthShare)
	month := (d.Month-1)%12 + 1
	d.Day = 1 + r.intn(daysIn(d.Month))
	d.Season = month % 12 / 3
	d.Group = r.pick(c.mix)
	d.Sex, d.Age = r.pick(sexShare), r.pick(ageShare)
	d.Region = d.Group % 5
	if !r.chance(.8) {
		d.Region = r.intn(5)
	}
	d.Family = r.pick(c.family[d.Group])
	d.Channel, d.Purpose = r.pick(c.channel), r.pick(purposeShare)
	c.drawDocument(r, &d)
	c.drawPapers(r, &d)
	d.Workload = round(c.load*math.Exp(.25*peak(month)+.18*r.normal()), 1)
	d.PriorVisas = r.negativeBinomial(.8, 1.1*c.prior*math.Exp(-.5*c.preset.Proxy*groupAxis[d.Group]))
	d.PriorRefusals = r.poisson(.14)
	d.PriorOverstay = r.chance(.012)
	return d
}

// drawDocument draws what the travel document itself shows.
func (c *country) drawDocument(r *random, d *Row) {
	q, life := familyQuality[d.Family], familyValidity[d.Family]
	d.DocAge = round(life/12*r.beta(1.2, 1.8), 1)
	d.ValidityLeft = max(0, round(life-12*d.DocAge, 0))
	misread := .015
	if d.Channel == onlineA {
		misread = .030
	}
	if r.chance(misread) {
		d.MRZFailures = 1 + r.binomial(4, .12)
	}
	d.Chip = noChip
	if r.chance(familyChip[d.Family]) {
		d.Chip = c.drawChip(r, d.Family)
	}
	miss := 1.1 * c.opticalMissing
	if d.Channel == consulate {
		miss = .4 * c.opticalMissing
	}
	d.Optical = clip(round(82+7*(r.normal()+.35*q)+c.opticalShift, 0), 0, 100)
	if r.chance(miss) {
		d.Optical = math.NaN()
	}
	d.TemplateDistance = round(math.Exp(.45*r.normal()-.25*q), 2)
	if !r.chance(familyKnown[d.Family]) {
		d.TemplateDistance = math.NaN()
	}
	d.SLTD = r.chance(sltdRate)
}

func (c *country) drawChip(r *random, family int) int {
	switch u := r.float(); {
	case u < .0200:
		return unreadable
	case u < .0212:
		return mismatch
	case u < .0230:
		return badSig
	case !r.chance(familySigner[family] * c.trust):
		return signerUnknown
	}
	return chipOK
}

// drawPapers draws what the supporting documents show.
func (c *country) drawPapers(r *random, d *Row) {
	g := c.preset.Proxy * groupAxis[d.Group]
	minor := clip(.16*math.Exp(.35*g), 0, .4)
	d.Support = r.pick([]float64{1 - minor - .215, minor, .015, .20})
	d.Bank = round(sigmoid(1.65+c.bankShift-.45*g+.75*r.normal()), 2)
	if r.chance(c.bankMissing) {
		d.Bank = math.NaN()
	}
	none := clip(.07*math.Exp(.4*g), 0, .3)
	d.Employer = r.pick([]float64{.73 - none, .10, none, .17})
	d.Insurance = r.pick(insuranceShare)
	if r.chance(c.reuse) {
		d.Reuse = r.geometric(.35)
	}
}

// round rounds half to even at the given number of decimals.
func round(x float64, decimals int) float64 {
	f := [...]float64{1, 10, 100}[decimals]
	return math.RoundToEven(x*f) / f
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// daysIn returns the days of a month of the two years, 2024 and 2025.
func daysIn(month int) int {
	if month == 2 {
		return 29
	}
	return [...]int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[(month-1)%12]
}
