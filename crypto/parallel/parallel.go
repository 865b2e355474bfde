// Package parallel spreads work on a long vector over the processors. It owns
// the only goroutines of the pure packages: they have ended when a function
// here returns, and nothing it returns depends on which ran first.
package parallel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Each calls f for the ranges [0, size), [size, 2·size), … that make up [0, n),
// the last of them shorter where size does not divide n, on up to GOMAXPROCS
// goroutines, and returns after the last call. No two calls may write the same
// memory. A single range runs on the caller's goroutine; without any, f is not
// called. It panics when size is not positive.
func Each(n, size int, f func(lo, hi int)) {
	_ = Try(n, size, func(lo, hi int) error {
		f(lo, hi)
		return nil
	})
}

// Try is Each for a function that can fail. It returns the error of the lowest
// range that fails, as if the ranges had been done in order; higher ones may
// have been left out.
func Try(n, size int, f func(lo, hi int) error) error {
	if size < 1 {
		panic("parallel: size of a range is not positive")
	}
	if n <= 0 {
		return nil
	}
	if n <= size {
		return f(0, n)
	}
	ranges := (n-1)/size + 1
	var (
		next   atomic.Int64 // the range that is taken next, so lower ones are taken
		mu     sync.Mutex
		lowest = ranges
		failed error
		group  sync.WaitGroup
	)
	for range min(runtime.GOMAXPROCS(0), ranges) {
		group.Go(func() {
			for {
				i := int(next.Add(1) - 1)
				if i >= ranges {
					return
				}
				if err := f(i*size, min(n, (i+1)*size)); err != nil {
					next.Store(int64(ranges)) // nobody begins another
					mu.Lock()
					if i < lowest {
						lowest, failed = i, err
					}
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	return failed
}
