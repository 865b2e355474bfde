package secagg_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
)

// S37–S40: any members leaving or away in any phase of any sum, any sums aborted.
// A sum is closed exactly when t answer every phase, and is then that of the
// survivors; the batch goes on while t are left.
func TestBatchPatterns(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(3, 7).Draw(r, "members")
		m := rapid.Uint16Range(1, 5).Draw(r, "sums")
		need := secagg.Threshold(n)
		b := secaggtest.New(t, secaggtest.Options{Members: secaggtest.Indexes(n), Sums: m, Seed: rapid.Byte().Draw(r, "seed")})
		b.Advertise(b.Cohort())
		require.NoError(t, b.Share(b.Cohort()))
		alive, eligible := b.Cohort(), b.Cohort()
		for k := uint16(1); k <= m; k++ {
			away := map[uint8]secagg.Phase{} // from which phase on
			for _, i := range eligible.Members() {
				if at := rapid.IntRange(int(secagg.PhaseMask), 25).Draw(r, "away from"); at <= int(secagg.PhaseUnmask) {
					away[i] = secagg.Phase(at)
				}
			}
			present := func(p secagg.Phase) secagg.Set {
				s := eligible
				for i, at := range away {
					if at <= p {
						s = s.Without(i)
					}
				}
				return s
			}
			if k == 1 {
				require.NoError(t, b.Mask(present(secagg.PhaseMask)))
			} else {
				require.NoError(t, b.Next(present(secagg.PhaseMask), b.Step(k), nil))
			}
			require.Equal(t, eligible, b.Server.Eligible())
			abort := rapid.IntRange(0, 5).Draw(r, "abort") == 0
			survivors := present(secagg.PhaseMask)
			if abort || present(secagg.PhaseUnmask).Len() < need {
				if !abort && survivors.Len() >= need {
					require.NoError(t, b.Agree(present(secagg.PhaseAgree)))
				}
				stop := b.Server.AbortSum(secagg.ReasonUnmask, [32]byte{})
				require.NotEmpty(t, stop)
				if k == m {
					break
				}
				packets, err := b.Server.CloseShare()
				for _, i := range eligible.Members() { // all come back
					if b.Clients[i].State() == "shared" {
						require.NoError(t, err)
						_, err := b.Clients[i].Receive(packets[i])
						require.NoError(t, err)
					}
					b.Deliver(i, stop)
					require.Equal(t, k, b.Ended[i].K)
				}
			} else {
				require.NoError(t, b.RunSum(present))
				require.Equal(t, survivors, b.Server.Survivors())
				require.Equal(t, b.Plain(survivors), b.Result)
				closed, err := secagg.VerifyRound(b.Verify(), b.Server.Published())
				require.NoError(t, err)
				for _, i := range present(secagg.PhaseUnmask).Members() {
					require.Equal(t, closed, *b.Closed[i])
				}
				for _, i := range survivors.Members() { // the result reaches all of U3 that stay
					if present(secagg.PhaseUnmask).Has(i) {
						continue
					}
					alive = alive.Without(i)
				}
				eligible = survivors
			}
			require.Empty(t, b.Errors)
			require.Equal(t, k < m && eligible.Len() >= need, b.Server.CanContinue())
			if !b.Server.CanContinue() || eligible.Minus(alive) != (secagg.Set{}) {
				break // survivors that are gone would be dropouts of each further sum
			}
		}
	})
}
