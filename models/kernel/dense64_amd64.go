//go:build !purego

package kernel

//go:noescape
func fourRows256(in int, x *float64, ldx int, w *float32, ldw int, b *float32, y *float64, ldy int, floor float64)

//go:noescape
func fourRows512(in int, x *float64, ldx int, w *float32, ldw int, b *float32, y *float64, ldy int, floor float64)

//go:noescape
func oneRow256(in int, x *float64, w *float32, ldw int, b *float32, y *float64, floor float64)

//go:noescape
func oneRow512(in int, x *float64, w *float32, ldw int, b *float32, y *float64, floor float64)

// dense64 takes four rows at a time and then one, and leaves to plain Go the
// columns that do not fill the vectors.
func (w width) dense64(y, x []float64, weights, bias []float32, rows, in, out int, floor float64) {
	if w == 0 || in == 0 {
		dense64Portable(y, x, weights, bias, 0, rows, 0, in, out, floor)
		return
	}
	two, fours := int(w)/32, rows&^3
	j := 0
	for ; j+two <= out; j += two {
		for i := 0; i < fours; i += 4 {
			x, y := &x[i*in], &y[i*out+j]
			if w == 512 {
				fourRows512(in, x, 8*in, &weights[j], 4*out, &bias[j], y, 8*out, floor)
			} else {
				fourRows256(in, x, 8*in, &weights[j], 4*out, &bias[j], y, 8*out, floor)
			}
		}
	}
	dense64Portable(y, x, weights, bias, 0, fours, j, in, out, floor)
	for j = 0; j+2*two <= out; j += 2 * two {
		for i := fours; i < rows; i++ {
			x, y := &x[i*in], &y[i*out+j]
			if w == 512 {
				oneRow512(in, x, &weights[j], 4*out, &bias[j], y, floor)
			} else {
				oneRow256(in, x, &weights[j], 4*out, &bias[j], y, floor)
			}
		}
	}
	dense64Portable(y, x, weights, bias, fours, rows, j, in, out, floor)
}
