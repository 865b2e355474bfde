package synth

import (
	"math"
	"math/rand/v2"
)

// fnv is FNV-1a-64 of a name.
func fnv(s string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return h
}

// mix is the output function of SplitMix64, a bijection.
func mix(z uint64) uint64 {
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

const golden = 0x9e3779b97f4a7c15

// world is a standard normal fixed by a name: Box–Muller, cosine branch, of the
// first two outputs of SplitMix64 seeded with fnv(name).
func world(name string) float64 {
	x := fnv(name)
	u := (float64(mix(x+golden)>>11) + .5) / (1 << 53)
	x += golden
	v := (float64(mix(x+golden)>>11) + .5) / (1 << 53)
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*v)
}

// random is the stream of one table. Its distributions are written out here so
// that a table does not change with a release of the standard library.
type random struct {
	pcg   *rand.PCG
	spare float64
	full  bool
}

func newRandom(seed uint64, state string) *random {
	return &random{pcg: rand.NewPCG(mix(seed+golden), fnv(state))}
}

// float is uniform in (0, 1).
func (r *random) float() float64 { return (float64(r.pcg.Uint64()>>11) + .5) / (1 << 53) }

func (r *random) chance(p float64) bool { return r.float() < p }

func (r *random) intn(n int) int { return int(r.float() * float64(n)) }

// normal is standard normal (polar method).
func (r *random) normal() float64 {
	if r.full {
		r.full = false
		return r.spare
	}
	for {
		u, v := 2*r.float()-1, 2*r.float()-1
		if s := u*u + v*v; s < 1 {
			f := math.Sqrt(-2 * math.Log(s) / s)
			r.spare, r.full = v*f, true
			return u * f
		}
	}
}

// pick draws an index by weights that sum to 1.
func (r *random) pick(p []float64) int {
	u := r.float()
	for i, w := range p[:len(p)-1] {
		if u -= w; u < 0 {
			return i
		}
	}
	return len(p) - 1
}

// gamma has the given shape and scale 1 (Marsaglia and Tsang 2000).
func (r *random) gamma(shape float64) float64 {
	if shape < 1 {
		return r.gamma(shape+1) * math.Pow(r.float(), 1/shape)
	}
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := r.normal()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		if u := r.float(); math.Log(u) < .5*x*x+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}

func (r *random) beta(a, b float64) float64 {
	x := r.gamma(a)
	return x / (x + r.gamma(b))
}

// poisson multiplies uniforms (Knuth); means here stay far below 100.
func (r *random) poisson(mean float64) int {
	stop, n := math.Exp(-mean), 0
	for p := r.float(); p > stop; n++ {
		p *= r.float()
	}
	return n
}

// negativeBinomial has dispersion k.
func (r *random) negativeBinomial(k, mean float64) int {
	return r.poisson(r.gamma(k) * mean / k)
}

func (r *random) binomial(n int, p float64) (k int) {
	for range n {
		if r.chance(p) {
			k++
		}
	}
	return k
}

// geometric counts trials up to the first success, from 1.
func (r *random) geometric(p float64) int {
	return 1 + int(math.Log(r.float())/math.Log1p(-p))
}
