//go:build !purego

package prg

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// S16: the number of a block carries out of its low bits within a register and
// from one to the next. Apply never shows it, since chunks end where it would.
func TestAssemblyCarries(t *testing.T) {
	widths := map[string]width{"vaes512": 512, "vaes": 256, "aes": 128}
	s := Stream{Key: [32]byte{1}}
	for _, k := range trusted(native()) {
		var key schedule
		expandKey(&key, &s.Key)
		for _, edge := range []uint64{1 << 17, 1 << 33, 1 << 34, 1 << 49, 1 << 63} {
			for before := uint64(0); before < 2*groupWords+2; before += 2 {
				got, want := make([]uint64, 3*groupWords), make([]uint64, 3*groupWords)
				widths[k.name].chunk(got, edge-before, &key, 0)
				reference(want, edge-before, []Stream{s})
				require.Equal(t, want, got, "%s, offset %d − %d", k.name, edge, before)
			}
		}
	}
}
