package round_test

import (
	"testing"

	"github.com/koinon-eu/koinon/coordinator/round"
	"github.com/koinon-eu/koinon/crypto/secagg"

	"github.com/stretchr/testify/require"
)

// S65: a node that was away while two sums were aborted gets its shares, both ends and the present sum, and goes on.
func TestReconnectAfterTwoAbortedSums(t *testing.T) {
	b := newBatch(t, 4, nil, 1)
	b.mute = func(from uint8, frames []secagg.Frame) bool {
		if from == 4 && frames[0].Type == secagg.TypeShare {
			b.dead = secagg.SetOf(4) // it never gets the others' shares
		}
		return frames[0].Type == secagg.TypeAgree
	}
	b.cfg.Grace = 1000
	b.open()
	require.NoError(t, b.step(round.Disconnected{Member: 4}))
	b.ticks(30)
	require.Equal(t, round.Agree, b.abort().Phase)
	b.goOn(nil)
	b.ticks(30)
	require.Equal(t, round.Agree, b.abort().Phase)
	b.mute = nil
	b.goOn(nil)
	require.Equal(t, "shared", b.batch.Clients[4].State())
	require.Equal(t, round.Mask, b.round.Phase())
	b.dead = secagg.Set{}
	require.NoError(t, b.step(round.Connected{Member: 4}))
	require.Equal(t, b.plain(1, 2, 3, 4, 5), b.sum())
	require.Empty(t, b.refused)
}

// S65: killed in any phase of the second sum the batch goes on to the same sum, and then to the third.
func TestRestartEachPhaseOfTheSecondSum(t *testing.T) {
	for _, c := range []struct {
		kind  secagg.Type
		phase round.Phase
	}{
		{secagg.TypeMask, round.Mask},
		{secagg.TypeAgree, round.Agree},
		{secagg.TypeUnmask, round.Unmask},
		{secagg.TypeDispute, round.Publish}, // nothing is held
	} {
		t.Run(c.phase.String(), func(t *testing.T) {
			b := secondHeld(t, c.kind)
			require.Equal(t, c.phase, b.round.Phase())
			before := b.job
			b.restart()
			require.Equal(t, c.phase, b.round.Phase())
			require.Equal(t, uint32(2), b.round.Number())
			b.back()
			require.Equal(t, round.Publish, b.round.Phase())
			if before != nil {
				require.Equal(t, before, b.job)
			}
			require.Equal(t, b.plain(1, 2, 3, 4, 5), b.sum())
			require.Empty(t, b.round.Rekey(b.crowd()))
			b.goOn(nil)
			b.back()
			require.Equal(t, b.plain(1, 2, 3, 4, 5), b.sum())
			require.Empty(t, b.refused)
		})
	}
	t.Run("between two sums", func(t *testing.T) {
		b := first(t, 3)
		b.restart()
		require.Equal(t, round.Closed, b.round.Phase())
		require.Empty(t, b.round.Rekey(b.crowd()))
		b.goOn(nil)
		b.back()
		require.Equal(t, b.plain(1, 2, 3, 4, 5), b.sum())
		require.Empty(t, b.refused)
	})
	t.Run("after an aborted sum", func(t *testing.T) {
		b := secondHeld(t, secagg.TypeUnmask)
		b.ticks(10)
		released := (*secagg.Set)(b.abort().Released)
		b.restart()
		require.Equal(t, round.Aborted, b.round.Phase())
		require.Empty(t, b.round.Rekey(b.crowd()))
		b.goOn(released)
		b.restart()
		b.back()
		require.Equal(t, b.plain(1, 2, 3, 4, 5), b.sum())
		require.Empty(t, b.refused)
	})
}

// S65: a spool lost in the second sum aborts that sum under the rules of the first, and the batch goes on.
func TestRestartWithoutSpoolInTheSecondSum(t *testing.T) {
	b := secondHeld(t, secagg.TypeAgree)
	b.chunks = map[uint8]map[uint32][]byte{}
	b.restart()
	a := b.abort()
	require.Equal(t, secagg.ReasonStorage, a.Code)
	require.Nil(t, a.Released)
	require.True(t, a.GoesOn)
	b.back()
	b.goOn(nil)
	b.back()
	require.Equal(t, b.plain(1, 2, 3, 4, 5), b.sum())

	b = secondHeld(t, secagg.TypeUnmask)
	b.chunks[2][0][0] ^= 1
	b.restart()
	a = b.abort()
	require.Equal(t, secagg.SetOf(1, 2, 3, 4, 5), secagg.Set(*a.Released))
	require.True(t, a.GoesOn)
}

// A restart after every single record of a batch with an aborted sum restores it or aborts it with a reason.
func TestRestartAfterEachRecordOfABatch(t *testing.T) {
	b := first(t, 4)
	b.mute = kind(secagg.TypeAgree)
	b.goOn(nil)
	b.ticks(10)
	require.True(t, b.abort().GoesOn)
	b.mute = nil
	b.goOn(nil)
	total := b.sum()
	b.goOn(nil)
	require.Equal(t, total, b.sum())
	records := b.records
	b.past[b.round.Number()] = b.chunks
	b.dead = b.batch.Cohort() // the nodes have gone on
	between, published := 0, 0
	for n := 1; n < len(records); n++ {
		b.records, b.job = records[:n:n], nil
		b.restart()
		switch b.round.Phase() {
		case round.Closed:
			require.Empty(t, b.round.Rekey(b.crowd()))
			between++
		case round.Aborted:
			if b.last().Abort.GoesOn {
				require.Empty(t, b.round.Rekey(b.crowd()))
				between++
			} else {
				require.Equal(t, secagg.ReasonRestart, b.abort().Code)
			}
		case round.Publish:
			require.Equal(t, total, b.chunked(b.past[b.round.Number()]).sum())
			published++
		default:
			require.GreaterOrEqual(t, b.round.Phase(), round.Mask)
		}
	}
	require.Equal(t, 3, between)
	require.Equal(t, 3, published)
}

// chunked makes the stored vectors of a sum the present ones.
func (b *bench) chunked(chunks map[uint8]map[uint32][]byte) *bench {
	b.chunks = chunks
	return b
}
