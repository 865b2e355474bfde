package parallel

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// The ranges cover [0, n) once each and none is longer than size.
func TestEach(t *testing.T) {
	for _, n := range []int{-1, 0, 1, 6, 7, 8, 49, 50, 1000} {
		seen := make([]int, max(n, 0))
		Each(n, 7, func(lo, hi int) {
			if lo%7 != 0 || hi-lo > 7 || hi <= lo {
				panic(fmt.Sprintf("range [%d, %d) of %d", lo, hi, n))
			}
			for i := lo; i < hi; i++ {
				seen[i]++
			}
		})
		for i, times := range seen {
			require.Equal(t, 1, times, "%d of %d", i, n)
		}
	}
	require.Panics(t, func() { Each(1, 0, func(int, int) {}) })
}

// The error is that of the lowest range, whichever failed first.
func TestTryIsAsIfInOrder(t *testing.T) {
	for range 50 {
		err := Try(1000, 1, func(lo, _ int) error {
			if lo >= 13 {
				return fmt.Errorf("range %d", lo)
			}
			return nil
		})
		require.EqualError(t, err, "range 13")
	}
	bad := errors.New("bad")
	require.ErrorIs(t, Try(3, 9, func(int, int) error { return bad }), bad)
	require.NoError(t, Try(0, 9, func(int, int) error { return bad }))
}

// A single range runs on the caller's goroutine, where a panic can be caught.
func TestOneRangeRunsInPlace(t *testing.T) {
	require.PanicsWithValue(t, "here", func() {
		Each(9, 9, func(int, int) { panic("here") })
	})
}
