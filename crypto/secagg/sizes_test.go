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

// The sizes in §19 of docs/protocol.md: set-up of a batch, bytes for one member
// on the mean, and the largest bundle frame.
func TestSetupSizes(t *testing.T) {
	for n, want := range map[int]string{
		5:  "7512 up, 14007 down, largest bundle 1279",
		10: "15808 up, 29866 down, largest bundle 1375",
		30: "57632 up, 102028 down, largest bundle 1695",
		60: "145648 up, 235582 down, largest bundle 2175",
	} {
		b := secaggtest.New(t, secaggtest.Options{Members: secaggtest.Indexes(n)})
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
		require.Equal(t, want, fmt.Sprintf("%d up, %d down, largest bundle %d", up/n, down/n, largest))
	}
}
