package kernel

import "math"

// Dense64 is a dense layer in float64 over float32 parameters: y = x·W + b,
// then max(y, 0) if relu, with x of rows×in, W of in×out, b of out and y of
// rows×out numbers. Every product is rounded before it is added, and they are
// added to the bias in the order of the inputs, so that the bits are the same
// on every processor, with assembly and without.
func Dense64(y, x []float64, w, b []float32, rows, in, out int, relu bool) {
	if rows < 0 || in < 0 || out < 1 {
		panic("kernel: bad shape")
	}
	floor := math.Inf(-1)
	if relu {
		floor = 0
	}
	active.dense64(y[:rows*out], x[:rows*in], w[:in*out], b[:out], rows, in, out, floor)
}

// dense64Portable computes the columns from firstCol on of some rows.
func dense64Portable(y, x []float64, w, b []float32, fromRow, toRow, firstCol, in, out int, floor float64) {
	if firstCol == out {
		return
	}
	i := fromRow
	if out-firstCol < 4 {
		for ; i+4 <= toRow; i += 4 {
			for j := firstCol; j < out; j++ {
				dense64Column(y[i*out+j:], x[i*in:], w[j:], b[j], in, out, floor)
			}
		}
	}
	for ; i < toRow; i++ {
		z, w, b := y[i*out+firstCol:(i+1)*out], w[firstCol:], b[firstCol:]
		for j := range z {
			z[j] = float64(b[j])
		}
		for l, v := range x[i*in : (i+1)*in] {
			for j, weight := range w[l*out:][:len(z)] {
				z[j] += float64(v * float64(weight))
			}
		}
		for j, v := range z {
			if v < floor {
				z[j] = floor
			}
		}
	}
}

// dense64Column is one column of four rows: additions wait for each other
// within a row only.
func dense64Column(y, x []float64, w []float32, bias float32, in, out int, floor float64) {
	z0 := float64(bias)
	z1, z2, z3 := z0, z0, z0
	x0, x1, x2, x3 := x[:in], x[in:2*in], x[2*in:3*in], x[3*in:4*in]
	for l, v := range x0 {
		weight := float64(w[l*out])
		z0 += float64(v * weight)
		z1 += float64(x1[l] * weight)
		z2 += float64(x2[l] * weight)
		z3 += float64(x3[l] * weight)
	}
	for i, z := range [4]float64{z0, z1, z2, z3} {
		if z < floor {
			z = floor
		}
		y[i*out] = z
	}
}
