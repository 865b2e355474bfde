package identity

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRenewAtTwoThirds(t *testing.T) {
	c := &clock{start}
	a := newAuthority(t, c, federation)
	leaf := enrol(t, a, Profile{Peer: Peer{federation, Member, "DE"}, Lifetime: 30 * 24 * time.Hour}).Leaf()
	whole := leaf.NotAfter.Sub(leaf.NotBefore)
	require.Equal(t, leaf.NotBefore.Add(whole*2/3), RenewAt(leaf, 0))
	require.Equal(t, leaf.NotBefore.Add(whole*2/3+whole/24), RenewAt(leaf, 0.5))
	require.Equal(t, RenewAt(leaf, 1), RenewAt(leaf, 7), "jitter is bounded")
	require.True(t, RenewAt(leaf, 1).Before(leaf.NotAfter))
}

// TestRenewer runs for ninety days of virtual time.
func TestRenewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, err := NewKey()
		require.NoError(t, err)
		root, err := NewRoot(federation, key, time.Now())
		require.NoError(t, err)
		a, err := NewLocal(federation, root, key, time.Now)
		require.NoError(t, err)
		profile := Profile{Peer: Peer{federation, Member, "DE"}, Lifetime: 30 * 24 * time.Hour}
		source := NewSource(enrol(t, a, profile))
		begun := time.Now()
		var renewed []time.Duration
		failures := 0
		r := &Renewer{Source: source, Jitter: 0.5, Renew: func(_ context.Context, old *Credentials) (*Credentials, error) {
			require.Same(t, source.Current(), old)
			if len(renewed) == 1 && failures < 9 {
				failures++
				return nil, errors.New("coordinator is away")
			}
			renewed = append(renewed, time.Since(begun))
			return enrol(t, a, profile), nil
		}}
		ctx, cancel := context.WithTimeout(t.Context(), 90*24*time.Hour)
		defer cancel()
		require.NoError(t, r.Run(ctx))
		require.Equal(t, 9, failures)
		require.Len(t, renewed, 4)
		day := 24 * time.Hour
		require.InDelta(t, 21.25, float64(renewed[0])/float64(day), 0.05)
		// Failures at 1, 2, 4, … 32 minutes and then hours: half a day at most.
		require.Greater(t, renewed[1]-renewed[0], 21*day)
		require.Less(t, renewed[1]-renewed[0], 22*day)
		require.True(t, time.Now().Before(source.Current().Leaf().NotAfter))
	})
}

// TestRenewerDoesNotSpin: an authority that answers with certificates that are
// due at once is asked at intervals, not in a loop.
func TestRenewerDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := &clock{time.Now().Add(-50 * time.Minute)}
		a := newAuthority(t, old, federation)
		source := NewSource(enrol(t, a, member("DE")))
		calls := 0
		r := &Renewer{Source: source, Renew: func(context.Context, *Credentials) (*Credentials, error) {
			calls++
			return source.Current(), nil
		}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		require.NoError(t, r.Run(ctx))
		require.Less(t, calls, 10)
		require.Positive(t, calls)
	})
}
