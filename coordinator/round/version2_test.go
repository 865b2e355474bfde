package round_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/coordinator/round"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
)

// newLarge is a bench with so many members that version 2 runs.
func newLarge(t *testing.T) *bench {
	return newCohort(t, secaggtest.Indexes(secagg.MaxComplete+1), 1, nil, 1)
}

// V6, V14, S65: a round of version 2 goes through Reveal, which a restart does not survive; after the survivors were
// sent it does, and the step is bound to them.
func TestVersion2Round(t *testing.T) {
	b := newLarge(t)
	b.mute = kind(secagg.TypeUnmask)
	b.open()
	require.Equal(t, round.Unmask, b.round.Phase())
	var phases []round.Phase
	for _, r := range b.records {
		if r.Kind == round.KindPhase {
			phases = append(phases, r.Phase)
		}
	}
	require.Equal(t, []round.Phase{round.Advertise, round.Reveal, round.Share, round.Mask, round.Agree}, phases)
	total, records, chunks := b.plain(secaggtest.Indexes(65)...), b.records, b.chunks

	at := func(p round.Phase) []round.Record { // the records up to the end of a phase
		for i, r := range records {
			if r.Kind == round.KindPhase && r.Phase == p {
				return records[: i+1 : i+1]
			}
		}
		return nil
	}
	b.dead = b.batch.Cohort() // no abort reaches them
	for _, p := range []round.Phase{round.Advertise, round.Reveal} {
		b.records = at(p)
		b.restart()
		require.Equal(t, secagg.ReasonRestart, b.abort().Code)
	}
	b.records, b.chunks = at(round.Mask), nil // the spool is lost before anyone has agreed
	b.restart()
	require.Equal(t, secagg.ReasonStorage, b.abort().Code)
	require.Equal(t, b.batch.Cohort(), secagg.Set(*b.last().Abort.Released))

	b.records, b.chunks = at(round.Mask), chunks // nobody agrees in time: who did is locked all the same
	b.restart()
	b.ticks(10)
	require.Equal(t, secagg.ReasonAgree, b.abort().Code)
	require.Equal(t, b.batch.Cohort(), secagg.Set(*b.last().Abort.Released))

	b.records, b.chunks, b.mute, b.dead = at(round.Mask), chunks, nil, secagg.Set{}
	b.restart()
	require.Equal(t, round.Agree, b.round.Phase())
	for _, m := range b.batch.Cohort().Members() {
		if b.round.Phase() < round.Publish {
			require.NoError(t, b.step(round.Connected{Member: m}))
		}
	}
	require.Equal(t, total, b.sum())
}

// V7: one who does not reveal ends the batch at the deadline, by name; one who has left, at once.
func TestVersion2Withheld(t *testing.T) {
	for _, left := range []bool{false, true} {
		b := newLarge(t)
		b.mute = func(from uint8, frames []secagg.Frame) bool { return from == 9 && frames[0].Type == secagg.TypeReveal }
		b.open()
		require.Equal(t, round.Reveal, b.round.Phase())
		if left {
			require.NoError(t, b.step(round.Left{Member: 9}))
		} else {
			b.ticks(9)
			require.Equal(t, round.Reveal, b.round.Phase())
			b.ticks(1)
		}
		a := b.abort()
		require.Equal(t, round.Reveal, a.Phase)
		require.Equal(t, secagg.ReasonReveal, a.Code)
		require.Contains(t, a.Reason, "64 of 65 members answered, 65 needed")
		require.Contains(t, a.Reason, "missing M9")
		require.Equal(t, []round.Loss{{Member: 9, Phase: round.Reveal}}, a.Lost)
		require.Nil(t, a.Released)
	}
}

// The journal's codes of the phases are for good.
func TestPhaseCodes(t *testing.T) {
	for code, p := range []round.Phase{
		round.Advertise, round.Share, round.Mask, round.Agree, round.Unmask, round.Publish, round.Closed, round.Aborted, round.Reveal,
	} {
		b, err := json.Marshal(p)
		require.NoError(t, err)
		require.Equal(t, string(rune('0'+code)), string(b))
		var again round.Phase
		require.NoError(t, json.Unmarshal(b, &again))
		require.Equal(t, p, again)
	}
	var p round.Phase
	require.Error(t, json.Unmarshal([]byte("9"), &p))
	require.Error(t, json.Unmarshal([]byte(`"share"`), &p))
	_, err := json.Marshal(round.Phase(99))
	require.Error(t, err)
}
