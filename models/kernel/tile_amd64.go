//go:build !purego

package kernel

//go:noescape
func wide256x6(k int, a *float32, rsa, csa int, b *float32, ldb int, f *float32, ldf int, c *float32, ldc int, floor float32)

//go:noescape
func wide256x4(k int, a *float32, rsa, csa int, b *float32, ldb int, f *float32, ldf int, c *float32, ldc int, floor float32)

//go:noescape
func wide256x2(k int, a *float32, rsa, csa int, b *float32, ldb int, f *float32, ldf int, c *float32, ldc int, floor float32)

//go:noescape
func wide256x1(k int, a *float32, rsa, csa int, b *float32, ldb int, f *float32, ldf int, c *float32, ldc int, floor float32)

//go:noescape
func narrow256x6(k int, a *float32, rsa, csa int, b *float32, ldb int, f *float32, ldf int, c *float32, ldc int, floor float32, lanes int)

//go:noescape
func narrow256x4(k int, a *float32, rsa, csa int, b *float32, ldb int, f *float32, ldf int, c *float32, ldc int, floor float32, lanes int)

//go:noescape
func narrow256x2(k int, a *float32, rsa, csa int, b *float32, ldb int, f *float32, ldf int, c *float32, ldc int, floor float32, lanes int)

//go:noescape
func narrow256x1(k int, a *float32, rsa, csa int, b *float32, ldb int, f *float32, ldf int, c *float32, ldc int, floor float32, lanes int)

//go:noescape
func wide512x12(k int, a *float32, rsa, csa int, b *float32, ldb int, f *float32, ldf int, c *float32, ldc int, floor float32)

//go:noescape
func wide512x4(k int, a *float32, rsa, csa int, b *float32, ldb int, f *float32, ldf int, c *float32, ldc int, floor float32)

//go:noescape
func wide512x1(k int, a *float32, rsa, csa int, b *float32, ldb int, f *float32, ldf int, c *float32, ldc int, floor float32)

//go:noescape
func narrow512x12(k int, a *float32, rsa, csa int, b *float32, ldb int, f *float32, ldf int, c *float32, ldc int, floor float32, lanes int)

//go:noescape
func narrow512x4(k int, a *float32, rsa, csa int, b *float32, ldb int, f *float32, ldf int, c *float32, ldc int, floor float32, lanes int)

//go:noescape
func narrow512x1(k int, a *float32, rsa, csa int, b *float32, ldb int, f *float32, ldf int, c *float32, ldc int, floor float32, lanes int)
