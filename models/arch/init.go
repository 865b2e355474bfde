package arch

import "math"

// embeddingBound is the half-width of the first values of category vectors.
const embeddingBound = 0.1

// InitialParameters returns the parameters every member starts from (S59).
// Random numbers are those of SplitMix64 over the seed, taken as 24-bit
// integers; they are scaled by exact operations only, so the bytes are equal on
// every processor. Logistic and log-linear regression start at zero (their loss is convex);
// weights of ReLU layers are uniform in ±√(6/inputs) (He et al. 2015), the last
// layer in ±√(3/inputs), biases zero.
func (s Spec) InitialParameters(shape Shape, seed uint64) ([]float32, error) {
	n, err := s.Params(shape)
	if err != nil {
		return nil, err
	}
	params := make([]float32, n)
	if s.Flat() {
		return params, nil
	}
	stream := splitMix(seed)
	for _, b := range s.Blocks(shape) {
		bound := 0.0
		switch {
		case b.Embedding:
			bound = embeddingBound
		case b.Fan > 0 && b.Cols == 1:
			bound = math.Sqrt(3 / float64(b.Fan))
		case b.Fan > 0:
			bound = math.Sqrt(6 / float64(b.Fan))
		}
		for i := range b.Len() {
			params[b.Offset+i] = stream.symmetric(bound)
		}
	}
	return params, nil
}

// splitMix is Steele, Lea and Flood's SplitMix64 (2014).
type splitMix uint64

func (s *splitMix) next() uint64 {
	*s += 0x9e3779b97f4a7c15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// symmetric returns bound·k/2^24 for an odd k, |k| < 2^24: one rounding.
func (s *splitMix) symmetric(bound float64) float32 {
	k := 2*int64(s.next()>>40) + 1 - 1<<24
	return float32(float64(bound * (float64(k) / (1 << 24))))
}
