package secagg_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
)

var phases = []secagg.Phase{secagg.PhaseAdvertise, secagg.PhaseShare, secagg.PhaseMask, secagg.PhaseAgree, secagg.PhaseUnmask}

// requireSum holds a closed batch to its survivors' plain sum.
func requireSum(t testing.TB, b *secaggtest.Batch, survivors secagg.Set) {
	t.Helper()
	require.Equal(t, survivors, b.Server.Survivors())
	require.Equal(t, b.Plain(survivors), b.Result)
	l := b.Server.Sum().Layout()
	require.NoError(t, secagg.CheckSum(l, b.Result, survivors.Len(), b.Server.Sum().WeightCap, b.Server.Sum().IntMax))
	closed, err := secagg.VerifyRound(b.Verify(), b.Server.Published())
	require.NoError(t, err)
	for i, c := range b.Closed {
		require.Equal(t, closed, *c, "member %d", i)
		require.Equal(t, b.Server.Sum().K == b.Server.Spec().Sums, b.Clients[i].Done())
	}
	require.Equal(t, secagg.SumRoot(b.Result), closed.SumRoot)
}

// S5, S7, S25, S28, S31, S47: with t = ⌊2N/3⌋+1 any N−t may leave in any phase
// and the sum is exactly the survivors'; one more aborts with a reason.
func TestDropouts(t *testing.T) { testDropouts(t, 3, 4, 5, 10) }

func testDropouts(t *testing.T, sizes ...int) {
	reasons := map[secagg.Phase]uint8{
		secagg.PhaseAdvertise: secagg.ReasonTooFew, secagg.PhaseShare: secagg.ReasonTooFew, secagg.PhaseMask: secagg.ReasonTooFew,
		secagg.PhaseAgree: secagg.ReasonAgree, secagg.PhaseUnmask: secagg.ReasonUnmask,
	}
	for _, n := range sizes {
		for _, phase := range phases {
			for leavers := 0; leavers <= n-secagg.Threshold(n)+1; leavers++ {
				t.Run(fmt.Sprintf("%d of %d before %s", leavers, n, phase), func(t *testing.T) {
					b := secaggtest.New(t, secaggtest.Options{Members: secaggtest.Indexes(n), Seed: byte(leavers)})
					drop, left := map[uint8]secagg.Phase{}, secagg.Set{}
					for k := range leavers {
						i := uint8(1 + (3*k+int(phase))%n)
						for left.Has(i) {
							i = i%uint8(n) + 1
						}
						drop[i], left = phase, left.With(i)
					}
					err := b.Run(drop)
					require.Empty(t, b.Errors)
					require.Empty(t, b.Refused)
					if leavers > n-secagg.Threshold(n) {
						require.ErrorIs(t, err, secagg.ErrTooFew)
						reason, _, failed := b.Server.Failure()
						require.True(t, failed)
						require.Equal(t, reasons[phase], reason)
						require.Nil(t, b.Result)
						return
					}
					require.NoError(t, err)
					survivors := b.Cohort()
					if phase <= secagg.PhaseMask {
						survivors = survivors.Minus(left)
					}
					requireSum(t, b, survivors)
				})
			}
		}
	}
}

// S2, S24, S28: any indexes, any pattern of leaving.
func TestDropoutPatterns(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(3, 7).Draw(r, "members")
		members := rapid.Permutation(secaggtest.Indexes(255)).Draw(r, "indexes")[:n]
		b := secaggtest.New(t, secaggtest.Options{Members: members, Seed: rapid.Byte().Draw(r, "seed")})
		drop := map[uint8]secagg.Phase{}
		answered := map[secagg.Phase]int{}
		survivors := secagg.Set{}
		for _, i := range members {
			at := secagg.Phase(rapid.IntRange(0, 15).Draw(r, "leaves before"))
			if at == secagg.PhaseReveal {
				at = secagg.PhaseShare // who does not reveal ends the batch: TestVersion2Withheld
			}
			if at < secagg.PhasePublish {
				drop[i] = at
			}
			for _, p := range phases {
				if at > p || at >= secagg.PhasePublish {
					answered[p]++
				}
			}
			if at > secagg.PhaseMask {
				survivors = survivors.With(i)
			}
		}
		err := b.Run(drop)
		require.Empty(t, b.Errors)
		if answered[secagg.PhaseUnmask] < secagg.Threshold(n) {
			require.ErrorIs(t, err, secagg.ErrTooFew)
			return
		}
		require.NoError(t, err)
		requireSum(t, b, survivors)
	})
}
