package round_test

import (
	"encoding/json"
	"testing"

	"github.com/koinon-eu/koinon/coordinator/round"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"

	"github.com/stretchr/testify/require"
)

func TestWholeRound(t *testing.T) {
	b := newBench(t, nil, 1)
	b.open()
	require.Equal(t, round.Publish, b.round.Phase())
	require.Equal(t, b.plain(1, 2, 3, 4, 5), b.sum())
	require.Equal(t, round.Closed, b.round.Phase())
	closed := b.last()
	require.Equal(t, round.KindClosed, closed.Kind)
	require.Equal(t, secagg.SetOf(1, 2, 3, 4, 5), secagg.Set(closed.Close.Survivors))
	require.Empty(t, closed.Close.Lost)
	require.NotZero(t, closed.Close.H3)
	t.Logf("%d records, %d bytes", len(b.records), b.encoded)
	require.ErrorIs(t, b.step(round.Tick{}), secagg.ErrStale)
}

// One node of five may be lost in any phase; the sum is then exactly that of the survivors (secagg.md §2).
func TestDropoutInEachPhase(t *testing.T) {
	for _, c := range []struct {
		lost      secagg.Type
		phase     round.Phase
		survivors []uint8
	}{
		{secagg.TypeAdvert, round.Advertise, []uint8{1, 2, 4, 5}},
		{secagg.TypeShare, round.Share, []uint8{1, 2, 4, 5}},
		{secagg.TypeMask, round.Mask, []uint8{1, 2, 4, 5}},
		{secagg.TypeAgree, round.Agree, []uint8{1, 2, 3, 4, 5}},
		{secagg.TypeUnmask, round.Unmask, []uint8{1, 2, 3, 4, 5}},
	} {
		t.Run(c.phase.String(), func(t *testing.T) {
			b := newBench(t, nil, 1)
			b.mute = func(from uint8, frames []secagg.Frame) bool { return from == 3 && frames[0].Type == c.lost }
			b.open()
			if c.phase <= round.Mask {
				require.Equal(t, c.phase, b.round.Phase())
				require.NoError(t, b.step(round.Disconnected{Member: 3}))
				b.ticks(1)
				require.Equal(t, c.phase, b.round.Phase(), "grace is not over")
				b.ticks(1)
			}
			require.Equal(t, b.plain(c.survivors...), b.sum())
			require.Equal(t, secagg.SetOf(c.survivors...), secagg.Set(b.last().Close.Survivors))
			if c.phase <= round.Mask {
				require.Equal(t, []round.Loss{{Member: 3, Phase: c.phase}}, b.last().Close.Lost)
			}
		})
	}
}

// A connected node that does not answer costs the deadline, no more; two of five end the round with a reason in words.
func TestDeadlineInEachPhase(t *testing.T) {
	for _, c := range []struct {
		lost  secagg.Type
		phase round.Phase
		ticks int
	}{
		{secagg.TypeAdvert, round.Advertise, 10},
		{secagg.TypeShare, round.Share, 10},
		{secagg.TypeMask, round.Mask, 20},
		{secagg.TypeAgree, round.Agree, 10},
		{secagg.TypeUnmask, round.Unmask, 10},
	} {
		t.Run(c.phase.String(), func(t *testing.T) {
			b := newBench(t, nil, 1)
			b.mute = func(from uint8, frames []secagg.Frame) bool { return from >= 4 && frames[0].Type == c.lost }
			b.open()
			b.ticks(c.ticks - 1)
			require.Equal(t, c.phase, b.round.Phase())
			b.ticks(1)
			a := b.abort()
			require.Equal(t, c.phase, a.Phase)
			require.Contains(t, a.Reason, "3 of 5 members answered, 4 needed")
			require.Contains(t, a.Reason, "deadline")
			if c.phase == round.Unmask {
				require.Equal(t, secagg.SetOf(1, 2, 3, 4, 5), secagg.Set(*a.Released), "S35")
			} else {
				require.Nil(t, a.Released)
			}
		})
	}
}

// Nodes that say they left are not waited for.
func TestLeftEndsThePhaseAtOnce(t *testing.T) {
	b := newBench(t, nil, 1)
	b.mute = func(from uint8, frames []secagg.Frame) bool { return from == 2 && frames[0].Type == secagg.TypeMask }
	b.open()
	require.Equal(t, round.Mask, b.round.Phase())
	require.NoError(t, b.step(round.Left{Member: 2, Reason: "disk"}))
	require.Equal(t, b.plain(1, 3, 4, 5), b.sum())
}

func TestTooManyLeftAborts(t *testing.T) {
	b := newBench(t, nil, 1)
	b.mute = kind(secagg.TypeShare)
	b.open()
	require.NoError(t, b.step(round.Left{Member: 2}))
	require.NoError(t, b.step(round.Left{Member: 4}))
	require.Contains(t, b.abort().Reason, "left or lost their connection")
}

// S32: after U3 is journalled an upload is refused, whole or in part.
func TestLateUploadRefused(t *testing.T) {
	b := newBench(t, nil, 1)
	b.mute = func(from uint8, frames []secagg.Frame) bool {
		return from == 5 && frames[0].Type == secagg.TypeMask || frames[0].Type == secagg.TypeAgree
	}
	b.open()
	require.NoError(t, b.step(round.Disconnected{Member: 5}))
	b.ticks(2)
	require.Equal(t, round.Agree, b.round.Phase())
	err := b.step(round.Chunk{From: 5, Index: 0, Data: make([]byte, 64)})
	require.ErrorIs(t, err, secagg.ErrUpload)
	require.ErrorIs(t, b.step(round.Whole{From: 5}), secagg.ErrUpload)
	require.Equal(t, secagg.SetOf(1, 2, 3, 4), b.round.Status().Survivors)
}

// S12: what a connection says must carry its own member's index.
func TestWrongSenderRefused(t *testing.T) {
	b := newBench(t, nil, 1)
	var stolen []secagg.Frame
	b.mute = func(from uint8, frames []secagg.Frame) bool {
		if from == 1 {
			stolen = frames
		}
		return true
	}
	b.open()
	require.ErrorIs(t, b.step(round.Received{From: 2, Frames: stolen}), secagg.ErrSender)
	require.Len(t, b.records, 1, "nothing is journalled of a refused packet")
	require.NoError(t, b.step(round.Received{From: 1, Frames: stolen}))
	require.NoError(t, b.step(round.Received{From: 1, Frames: stolen}), "S30: a duplicate changes nothing")
	require.Len(t, b.records, 2)
}

// A second, different advert is refused, kept as evidence, and the first one counts (§7, S68 kind 4).
func TestEquivocationJournalled(t *testing.T) {
	b := newBench(t, nil, 1)
	var first []secagg.Frame
	b.mute = func(from uint8, frames []secagg.Frame) bool {
		if from == 1 {
			first = frames
		}
		return true
	}
	b.open()
	cfg := b.batch.Configs[1]
	cfg.Rho = secaggtest.Digest("another")
	other, err := secagg.NewClient(cfg)
	require.NoError(t, err)
	out, err := other.Receive(b.records[0].Frames)
	require.NoError(t, err)
	require.NoError(t, b.step(round.Received{From: 1, Frames: first}))
	require.ErrorIs(t, b.step(round.Received{From: 1, Frames: out.Send}), secagg.ErrEquivocation)
	require.Equal(t, round.KindEvidence, b.last().Kind)
	require.Equal(t, uint8(1), b.last().Member)
	require.NotEmpty(t, b.last().Proof)
	require.Equal(t, secagg.SetOf(1), b.round.Blamed())
}

func TestExcludedMemberRefused(t *testing.T) {
	b := newBench(t, nil, 1)
	b.cfg.Excluded = secagg.SetOf(5)
	b.open()
	require.Equal(t, b.plain(1, 2, 3, 4), b.sum())
	require.Equal(t, []round.Loss{{Member: 5, Phase: round.Advertise}}, b.last().Close.Lost)
}

func TestStop(t *testing.T) {
	b := newBench(t, nil, 1)
	b.mute = kind(secagg.TypeMask)
	b.open()
	require.NoError(t, b.step(round.Stop{Reason: "wrong data"}))
	require.Equal(t, "wrong data", b.abort().Reason)
}

func TestRangeAbortCountsAsReleased(t *testing.T) {
	b := newBench(t, nil, 1)
	b.open()
	require.NoError(t, b.step(round.SumFailed{Reason: "sum out of range", Range: true}))
	a := b.abort()
	require.Equal(t, secagg.ReasonRange, a.Code)
	require.NotNil(t, a.Released)
}

// S35: members lock themselves when they see the certificate, so from then on the step counts as released, although no
// unmask has arrived; before it, it does not.
func TestCertificateCountsAsReleased(t *testing.T) {
	b := newBench(t, nil, 1)
	b.mute = kind(secagg.TypeUnmask)
	b.open()
	require.Equal(t, round.Unmask, b.round.Phase())
	b.restart()
	b.ticks(10)
	require.Equal(t, secagg.SetOf(1, 2, 3, 4, 5), secagg.Set(*b.abort().Released))

	b = newBench(t, nil, 1)
	b.mute = kind(secagg.TypeUnmask)
	b.open()
	b.chunks = nil
	b.restart()
	require.Equal(t, secagg.SetOf(1, 2, 3, 4, 5), secagg.Set(*b.abort().Released), "the spool is lost")

	b = newBench(t, nil, 1)
	b.mute = kind(secagg.TypeAgree)
	b.open()
	b.ticks(10)
	require.Nil(t, b.abort().Released)
}

// S35: a step that may have been released is repeated with the same survivors or not at all.
func TestSameSurvivorsAfterRelease(t *testing.T) {
	released := secagg.SetOf(1, 2, 3, 5)
	b := newBench(t, &released, 2)
	b.open()
	require.Equal(t, b.plain(1, 2, 3, 5), b.sum())

	b = newBench(t, &released, 3)
	b.mute = func(from uint8, frames []secagg.Frame) bool { return from == 5 && frames[0].Type == secagg.TypeMask }
	b.open()
	require.NoError(t, b.step(round.Disconnected{Member: 5}))
	b.ticks(5)
	require.Equal(t, round.Mask, b.round.Phase(), "grace does not end a phase that needs everyone")
	b.ticks(20)
	require.Equal(t, round.Mask, b.abort().Phase)
}

func FuzzDecodeRecord(f *testing.F) {
	body, _ := json.Marshal(round.Record{Round: 3, Member: 2})
	f.Add(round.KindPacket, body)
	f.Add(round.KindPhase, []byte(`{"round":1,"phase":2,"set":[1,2,5]}`))
	f.Add(round.KindOpened, []byte(`{"round":1,"frames":"AAAA"}`))
	f.Fuzz(func(t *testing.T, kind string, b []byte) {
		r, err := round.DecodeRecord(kind, b)
		if err == nil {
			again, err := r.Encode()
			require.NoError(t, err)
			require.Equal(t, b, again)
		}
	})
}
