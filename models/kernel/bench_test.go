package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func BenchmarkProduct(b *testing.B) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, s := range []struct {
		name       string
		m, n, k    int
		aRow, aCol int
	}{
		{"x·W 256×64·64×128", 256, 128, 64, 64, 1},
		{"x·W 256×128·128×64", 256, 64, 128, 128, 1},
		{"xᵀ·dy 64×256·256×128", 64, 128, 256, 1, 64},
		{"xᵀ·dy 128×256·256×64", 128, 64, 256, 1, 128},
	} {
		for _, w := range widths {
			p := &product{m: s.m, n: s.n, k: s.k, a: random(r, s.m*s.k), aRow: s.aRow, aCol: s.aCol, b: random(r, s.k*s.n), bRow: s.n, c: make([]float32, s.m*s.n), cRow: s.n, floor: noFloor}
			b.Run(fmt.Sprintf("%s/%s", s.name, w.name()), func(b *testing.B) {
				for b.Loop() {
					w.product(p)
				}
				b.ReportMetric(2*float64(s.m*s.n*s.k)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}

func BenchmarkVectors(b *testing.B) {
	r := rand.New(rand.NewPCG(9, 10))
	const n = 16_640
	x, y, m, v := random(r, n), random(r, n), random(r, n), make([]float32, n)
	for _, w := range widths {
		for name, f := range map[string]func(){
			"adam":    func() { w.adam(x, y, m, v, &[5]float32{0.1, 0.001, 0, 1, 1}) },
			"entropy": func() { w.entropy(x, v, y, m) },
			"relu":    func() { w.reluBack(y, x, v) },
		} {
			b.Run(name+"/"+w.name(), func(b *testing.B) {
				for b.Loop() {
					f()
				}
				b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "Gnumbers/s")
			})
		}
	}
}
