//go:build !amd64 || purego

package kernel

// native lists no widths: there is assembly for amd64 only.
func native() []width { return nil }

func (width) product(p *product) {
	p.check()
	p.portable()
}

func (width) axpy(a float32, x, y []float32) { axpyPortable(a, x, y) }

func (width) blend(grad, w, start []float32, scale, decay, pull float32) {
	blendPortable(grad, w, start, scale, decay, pull)
}

func (width) widen(dst []float64, src []float32)             { widenPortable(dst, src) }
func (width) reluBack(dz, dy, y []float32)                   { reluBackPortable(dz, dy, y) }
func (width) adam(w, grad, m, v []float32, c *[5]float32)    { adamPortable(w, grad, m, v, c) }
func (width) entropy(z, y, d, loss []float32)                { entropyPortable(z, y, d, loss) }
func (width) dots(y, x, w []float32, bias float32)           { dotsPortable(y, x, w, bias) }
func (width) transpose(t, a []float32, rows, cols int)       { transposePortable(t, a, rows, cols, 0, 0) }
func (width) gather(dst, src []float32, rows []int32, k int) { gatherPortable(dst, src, rows, k) }

func (width) dense64(y, x []float64, w, b []float32, rows, in, out int, floor float64) {
	dense64Portable(y, x, w, b, 0, rows, 0, in, out, floor)
}

func (width) squares(y, x []float32, k int) { squaresPortable(y, x, k) }
