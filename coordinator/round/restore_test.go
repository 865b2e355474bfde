package round_test

import (
	"errors"
	"testing"

	"github.com/koinon-eu/koinon/coordinator/round"
	"github.com/koinon-eu/koinon/crypto/secagg"

	"github.com/stretchr/testify/require"
)

// restart forgets the machine and restores it from the records, as after SIGKILL. The nodes live on.
func (b *bench) restart() {
	b.t.Helper()
	b.cfg.Connected = secagg.Set{}
	_, sum, err := round.Newest(b.records)
	require.NoError(b.t, err)
	chunks := b.chunks
	if past, ok := b.past[sum.Round]; ok {
		chunks = past
	}
	r, out, err := round.Restore(b.cfg, b.records, func(member uint8, index uint32) ([]byte, error) {
		data, ok := chunks[member][index]
		if !ok {
			return nil, errors.New("spool: no such vector")
		}
		return data, nil
	})
	require.NoError(b.t, err)
	b.round = r
	b.do(out)
}

// back connects every node again; the machine repeats what it may have missed.
func (b *bench) back() {
	b.t.Helper()
	for m := uint8(1); m <= 5 && !b.round.Phase().Over(); m++ {
		require.NoError(b.t, b.step(round.Connected{Member: m}))
	}
}

// held opens a round in which one kind of packet is held back once it was sent by two nodes.
func held(t *testing.T, kind secagg.Type) *bench {
	b := newBench(t, nil, 1)
	sent := 0
	b.mute = func(_ uint8, frames []secagg.Frame) bool {
		if frames[0].Type == kind {
			sent++
		}
		return frames[0].Type == kind && sent > 2
	}
	b.open()
	b.mute = nil
	return b
}

// S65: killed in Advertise or Share the round is aborted; later it goes on to the same sum.
func TestRestartEachPhase(t *testing.T) {
	for _, c := range []struct {
		kind  secagg.Type
		phase round.Phase
	}{
		{secagg.TypeAdvert, round.Advertise},
		{secagg.TypeShare, round.Share},
		{secagg.TypeMask, round.Mask},
		{secagg.TypeAgree, round.Agree},
		{secagg.TypeUnmask, round.Unmask},
	} {
		t.Run(c.phase.String(), func(t *testing.T) {
			b := held(t, c.kind)
			require.Equal(t, c.phase, b.round.Phase())
			b.restart()
			if c.phase <= round.Share {
				require.Equal(t, secagg.ReasonRestart, b.abort().Code)
				return
			}
			require.Equal(t, c.phase, b.round.Phase())
			b.ticks(5)
			require.Equal(t, c.phase, b.round.Phase(), "nodes get time to come back")
			b.back()
			require.Equal(t, round.Publish, b.round.Phase())
			require.Equal(t, b.plain(1, 2, 3, 4, 5), b.sum())
		})
	}
	t.Run("publish", func(t *testing.T) {
		b := newBench(t, nil, 1)
		b.open()
		before := b.job
		b.restart()
		require.Equal(t, round.Publish, b.round.Phase())
		require.Equal(t, before, b.job)
		require.Equal(t, b.plain(1, 2, 3, 4, 5), b.sum())
	})
}

// A restart after every single record restores the round or aborts it with a reason; what was on record of the phases
// stays as it was.
func TestRestartAfterEachRecord(t *testing.T) {
	b := newBench(t, nil, 1)
	b.open()
	total, records := b.sum(), b.records
	restored := 0
	for n := 1; n < len(records); n++ {
		b.records, b.job = records[:n:n], nil
		b.restart()
		switch b.round.Phase() {
		case round.Aborted:
			require.Equal(t, secagg.ReasonRestart, b.abort().Code)
		case round.Publish:
			require.Equal(t, total, b.sum())
			restored++
		default:
			require.GreaterOrEqual(t, b.round.Phase(), round.Mask)
			restored++
		}
	}
	require.GreaterOrEqual(t, restored, 10)
}

// S65: a lost spool aborts; after an unmask the step is bound to the journalled survivors.
func TestRestartWithoutSpool(t *testing.T) {
	b := held(t, secagg.TypeAgree)
	b.chunks = nil
	b.restart()
	a := b.abort()
	require.Equal(t, secagg.ReasonStorage, a.Code)
	require.Nil(t, a.Released)

	b = held(t, secagg.TypeUnmask)
	b.chunks[2][0][0] ^= 1
	b.restart()
	a = b.abort()
	require.Equal(t, secagg.ReasonStorage, a.Code)
	require.Equal(t, secagg.SetOf(1, 2, 3, 4, 5), secagg.Set(*a.Released))
}

// Half of an upload on the disk is taken up again; what was cut off is sent again (S54).
func TestRestartKeepsHalfAnUpload(t *testing.T) {
	b := held(t, secagg.TypeMask)
	delete(b.chunks, 1)
	b.restart()
	require.Equal(t, round.Mask, b.round.Phase())
	_, whole := b.round.Have(1)
	require.False(t, whole)
	_, whole = b.round.Have(2)
	require.True(t, whole)
	b.back()
	require.Equal(t, b.plain(1, 2, 3, 4, 5), b.sum())
}

func TestRestoreRefusesAnotherStory(t *testing.T) {
	b := held(t, secagg.TypeAgree)
	for i, record := range b.records {
		if record.Kind == round.KindPhase && record.Phase == round.Mask {
			smaller := round.Set(secagg.SetOf(1, 2, 3, 4))
			b.records[i].Set = &smaller
		}
	}
	_, _, err := round.Restore(b.cfg, b.records, func(m uint8, i uint32) ([]byte, error) { return b.chunks[m][i], nil })
	require.ErrorContains(t, err, "otherwise than journalled")
}
