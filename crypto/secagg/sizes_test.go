package secagg_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
)

func size(t *testing.T, frames []secagg.Frame) (n int) {
	for _, f := range frames {
		b, err := f.MarshalBinary()
		require.NoError(t, err)
		n += len(b)
	}
	return n
}

// The sizes in §19 of docs/protocol.md: set-up of a batch of m sums, bytes for one
// member on the mean, and the largest bundle frame. Batches of which all members
// together would take too long are computed; others are held to both.
func TestSetupSizes(t *testing.T) {
	unlessShort(t)
	for _, c := range []struct {
		n, m int
		want string
	}{
		{5, 1, "7512 up, 14007 down, largest bundle 1279"},
		{10, 1, "15808 up, 29866 down, largest bundle 1375"},
		{30, 1, "57632 up, 102028 down, largest bundle 1695"},
		{60, 1, "145648 up, 235582 down, largest bundle 2175"},
		{5, 16, "15775 up, 20727 down, largest bundle 3199"},
		{10, 16, "44551 up, 55786 down, largest bundle 4735"},
		{30, 16, "288295 up, 324748 down, largest bundle 9855"},
		{5, 600, "333471 up, 282359 down, largest bundle 77951"},
		{10, 600, "1156487 up, 1064938 down, largest bundle 135551"},
		{30, 600, "9249191 up, 8995980 down, largest bundle 327551"},
		{60, 300, "17938327 up, 17735454 down, largest bundle 308351"},
	} {
		got := computedSize(c.n, c.m)
		require.Equal(t, c.want, got)
		if c.n*c.m <= 60 {
			require.Equal(t, c.want, measuredSize(t, c.n, c.m))
		}
	}
	require.Equal(t, computedSize(5, 16), measuredSize(t, 5, 16))
}

// S9, S14: what a transport carries, and that every batch S9 allows fits its
// frames whatever the indexes are.
func TestSetupBytes(t *testing.T) {
	for _, c := range []struct {
		members []uint8
		sums    uint16
	}{{secaggtest.Indexes(5), 1}, {secaggtest.Indexes(7), 9}, {[]uint8{2, 4, 6, 8, 10, 14}, 5}} {
		b := shared(t, secaggtest.Options{Members: c.members, Sums: c.sums}, func(_ *secaggtest.Batch, _ uint8, p []secagg.Frame) []secagg.Frame { return p })
		packets, err := b.Server.CloseShare()
		require.NoError(t, err)
		up, down := 0, 0
		for _, i := range c.members {
			up, down = max(up, size(t, b.Sent[i][1])), max(down, size(t, packets[i]))
		}
		mostUp, mostDown := secagg.SetupBytes(b.Cohort(), int(c.sums))
		require.GreaterOrEqual(t, mostUp, up)
		require.GreaterOrEqual(t, mostDown, down)
		require.Less(t, mostUp-up, 160*len(c.members)) // paths are shorter in small cohorts
		require.Less(t, mostDown-down, 160*len(c.members))
	}
	for n := secagg.MinCohort; n <= secagg.MaxCohort; n++ {
		m := min(secagg.MaxSums, secagg.MaxSecrets/n)
		require.LessOrEqual(t, 7+1120+4+4+32*m*(n+1)+16, 640<<10) // a dealer of every pair
	}
}

func measuredSize(t *testing.T, n, m int) string {
	b := secaggtest.New(t, secaggtest.Options{Members: secaggtest.Indexes(n), Sums: uint16(m)})
	b.Advertise(b.Cohort())
	adverts, err := b.Server.CloseAdvertise()
	require.NoError(t, err)
	for _, i := range b.Opt.Members {
		b.Deliver(i, adverts)
	}
	shares, err := b.Server.CloseShare()
	require.NoError(t, err)
	up, down, largest := 0, n*(size(t, b.Server.Opening())+size(t, adverts)), 0
	for _, i := range b.Opt.Members {
		down += size(t, shares[i])
		for _, p := range b.Sent[i] {
			up += size(t, p)
			for _, f := range p {
				if f.Type == secagg.TypeBundle {
					largest = max(largest, size(t, []secagg.Frame{f}))
				}
			}
		}
	}
	return fmt.Sprintf("%d up, %d down, largest bundle %d", up/n, down/n, largest)
}

// computedSize adds up the frames of §5.
func computedSize(n, m int) string {
	const header, advert, share, opening = 7, 1352, 167, 307 + 301
	all := secagg.SetOf(secaggtest.Indexes(n)...)
	leaves := make([][32]byte, n)
	up, down, largest := 0, n*(opening+n*(advert+share)), 0
	for i := uint8(1); int(i) <= n; i++ {
		q := secagg.Dealt(i, all)
		up += advert + share
		if m > 1 {
			up += header + 32*m*q
		}
		for j := uint8(1); int(j) <= n; j++ {
			row := header + 97 + 1 + 32*len(secagg.MerklePath(leaves, int(j)-1))
			up += row
			if i == j {
				continue
			}
			bundle := header + 1120 + 4 + 4 + 32*m*q + 16
			if secagg.Deals(i, j) {
				bundle += 32 * m
			}
			up, down, largest = up+bundle, down+row+bundle, max(largest, bundle)
		}
	}
	return fmt.Sprintf("%d up, %d down, largest bundle %d", up/n, down/n, largest)
}
