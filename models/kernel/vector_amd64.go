//go:build !purego

package kernel

// What is done element by element to n numbers, n a multiple of 8 or 16.

//go:noescape
func axpy256(n int, a float32, x, y *float32)

//go:noescape
func blend256(n int, grad, w, s *float32, scale, decay, pull float32)

//go:noescape
func widen256(n int, dst *float64, src *float32)

//go:noescape
func reluback256(n int, dz, dy, y *float32)

//go:noescape
func adam256(n int, w, grad, m, v *float32, c *[5]float32)

//go:noescape
func entropy256(n int, z, y, d, loss *float32, t *[17]float32)

//go:noescape
func dots256(rows, k int, x, w *float32, ldw int, y *float32, bias float32)

//go:noescape
func axpy512(n int, a float32, x, y *float32)

//go:noescape
func blend512(n int, grad, w, s *float32, scale, decay, pull float32)

//go:noescape
func widen512(n int, dst *float64, src *float32)

//go:noescape
func reluback512(n int, dz, dy, y *float32)

//go:noescape
func adam512(n int, w, grad, m, v *float32, c *[5]float32)

//go:noescape
func entropy512(n int, z, y, d, loss *float32, t *[17]float32)

//go:noescape
func dots512(rows, k int, x, w *float32, ldw int, y *float32, bias float32)

//go:noescape
func gather256(n, k int, dst, src *float32, rows, ahead *int32)

//go:noescape
func gather512(n, k int, dst, src *float32, rows, ahead *int32)

//go:noescape
func transpose8(a *float32, lda int, t *float32, ldt int)
