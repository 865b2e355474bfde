//go:build !amd64 || purego

package prg

// native lists no kernels: there is assembly for amd64 only.
func native() []kernel { return nil }
