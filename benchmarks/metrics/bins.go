package metrics

import "math"

// Bins follow the odds o = p/(1−p) on a logarithmic scale made of exact
// operations: the binary exponent of o picks the octave, the top bits of its
// mantissa the part of it. Rounding is monotone, so a larger score never gets
// a smaller bin, and every machine gets the same bin.

// Bin returns the bin of a probability, 0 to bins−1.
func (s TallySchema) Bin(p float64) int {
	bins := s.bins()
	o := p / (1 - p)
	if !(o >= 1.0/(1<<(Octaves/2))) { // also NaN, which Count refuses before
		return 0
	}
	if o >= 1<<(Octaves/2) {
		return bins - 1
	}
	bits := math.Float64bits(o)
	octave := int(bits>>52) - 1023 + Octaves/2
	per := bins / Octaves
	part := int((bits & (1<<52 - 1)) / (1 << 52 / uint64(per)))
	return octave*per + part
}

// Cut returns the smallest probability of bin b, so that score ≥ Cut(b) holds
// exactly for the scores in bins b and above. Cut(0) is 0; Cut(bins) is +Inf:
// nothing is flagged.
func (s TallySchema) Cut(b int) float64 {
	bins := s.bins()
	if b <= 0 {
		return 0
	}
	if b >= bins {
		return math.Inf(1)
	}
	per := bins / Octaves
	o := math.Ldexp(1+float64(b%per)/float64(per), b/per-Octaves/2)
	p := o / (1 + o)
	for s.Bin(p) < b {
		p = math.Nextafter(p, 1)
	}
	for q := math.Nextafter(p, 0); s.Bin(q) >= b; q = math.Nextafter(p, 0) {
		p = q
	}
	return p
}

// cutBin returns the first bin all of whose scores reach the threshold.
func (s TallySchema) cutBin(threshold float64) int {
	if !(threshold <= 1) {
		return s.bins()
	}
	b := s.Bin(threshold)
	if s.Cut(b) < threshold {
		b++
	}
	return b
}
