package round_test

import (
	"fmt"
	"testing"

	"github.com/koinon-eu/koinon/coordinator/round"
	"github.com/koinon-eu/koinon/crypto/secagg"

	"github.com/stretchr/testify/require"
)

// first runs the first sum of a batch to its end.
func first(t *testing.T, sums uint16) *bench {
	t.Helper()
	b := newBatch(t, sums, nil, 1)
	b.open()
	require.Equal(t, b.plain(1, 2, 3, 4, 5), b.sum())
	require.Empty(t, b.refused)
	return b
}

// secondHeld goes on to the second sum, in which one kind of packet is held back once it was sent by two nodes.
func secondHeld(t *testing.T, kind secagg.Type) *bench {
	t.Helper()
	b := first(t, 3)
	sent := 0
	b.mute = func(_ uint8, frames []secagg.Frame) bool {
		if frames[0].Type == kind {
			sent++
		}
		return frames[0].Type == kind && sent > 2
	}
	b.goOn(nil)
	b.mute = nil
	return b
}

func countKinds(records []round.Record) map[string]int {
	n := map[string]int{}
	for _, r := range records {
		name := r.Kind
		if r.Kind == round.KindPhase {
			name += " " + r.Phase.String()
		}
		n[name]++
	}
	return n
}

// S37, S38: three sums with one Advertise and one Share; after the third the batch is at its end.
func TestBatchOfSums(t *testing.T) {
	b := first(t, 3)
	for k := uint16(2); k <= 3; k++ {
		require.Empty(t, b.round.Rekey(b.crowd()))
		b.goOn(nil)
		require.Equal(t, uint32(k), b.round.Number())
		require.Equal(t, round.Publish, b.round.Phase())
		require.Equal(t, b.plain(1, 2, 3, 4, 5), b.sum(), k)
		got, sums := b.round.Batch()
		require.Equal(t, []uint16{k, 3}, []uint16{got, sums})
	}
	require.Empty(t, b.refused)
	require.Equal(t, "the batch is at its end", b.round.Rekey(b.crowd()))
	_, err := b.round.Continue(b.batch.Opt.Sum, nil, nil)
	require.ErrorIs(t, err, secagg.ErrStale)
	kinds := countKinds(b.records)
	require.Equal(t, 1, kinds["round-phase advertise"])
	require.Equal(t, 1, kinds["round-phase share"])
	require.Equal(t, 3, kinds["round-phase mask"])
	require.Equal(t, 2, kinds[round.KindNext])
	require.Equal(t, 3, kinds[round.KindClosed])
}

// S38: a dropout stays out until the next batch; the rest goes on without it, in any phase it is lost.
func TestDropoutLeavesTheBatch(t *testing.T) {
	for k := uint16(1); k <= 2; k++ {
		t.Run(fmt.Sprintf("sum %d", k), func(t *testing.T) {
			b := newBatch(t, 3, nil, 1)
			b.mute = func(from uint8, frames []secagg.Frame) bool {
				at := uint16(1)
				if b.round != nil {
					at, _ = b.round.Batch()
				}
				return from == 3 && frames[0].Type == secagg.TypeMask && at == k
			}
			b.open()
			for at := uint16(1); at <= 3; at++ {
				if at > 1 {
					b.goOn(nil)
				}
				want := []uint8{1, 2, 3, 4, 5}
				if at >= k {
					want = []uint8{1, 2, 4, 5}
				}
				if at == k {
					require.NoError(t, b.step(round.Disconnected{Member: 3}))
					b.ticks(2)
				}
				require.Equal(t, b.plain(want...), b.sum(), "sum %d", at)
				require.Equal(t, secagg.SetOf(want...), secagg.Set(b.last().Close.Survivors))
			}
		})
	}
}

// S40: each reason for new keys, and that none of them is one without its cause.
func TestRekeyReasons(t *testing.T) {
	all := secagg.SetOf(1, 2, 3, 4, 5)
	four := all.Without(5)
	for name, c := range map[string]struct {
		crowd func(*round.Crowd)
		prep  func(*bench)
		want  string
	}{
		"nothing":               {want: ""},
		"one is away":           {crowd: func(c *round.Crowd) { c.Ready = four }, want: ""},
		"roster":                {crowd: func(c *round.Crowd) { c.Roster[0] ^= 1 }, want: "roster changed"},
		"excluded or suspended": {crowd: func(c *round.Crowd) { c.Able = four }, want: "may not take part any more: M5"},
		"same survivors":        {crowd: func(c *round.Crowd) { c.Require = &four }, want: ""},
		"same survivors, one of them out": {
			prep:  func(b *bench) { require.NoError(b.t, b.step(round.Left{Member: 5})) },
			crowd: func(c *round.Crowd) { c.Require, c.Ready = &all, four }, want: "the same survivors again: M5",
		},
		"one left and is back": {
			prep: func(b *bench) { require.NoError(b.t, b.step(round.Left{Member: 5})) }, want: "waits to rejoin: M5",
		},
		"one left": {
			prep:  func(b *bench) { require.NoError(b.t, b.step(round.Left{Member: 5})) },
			crowd: func(c *round.Crowd) { c.Ready = four }, want: "",
		},
		"two left": {
			prep: func(b *bench) {
				require.NoError(b.t, b.step(round.Left{Member: 5}))
				require.NoError(b.t, b.step(round.Left{Member: 4}))
			},
			crowd: func(c *round.Crowd) { c.Ready = four.Without(4) }, want: "3 members are left of it, 4 needed",
		},
		"almost too old": {prep: func(b *bench) { b.between(49) }, want: ""},
		"too old":        {prep: func(b *bench) { b.between(50) }, want: "it is 50 ticks old"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBatch(t, 3, nil, 1)
			b.cfg.MaxAge = 50
			b.open()
			b.sum()
			if c.prep != nil {
				c.prep(b)
			}
			crowd := b.crowd()
			if c.crowd != nil {
				c.crowd(&crowd)
			}
			if c.want == "" {
				require.Empty(t, b.round.Rekey(crowd))
			} else {
				require.Contains(t, b.round.Rekey(crowd), c.want)
			}
		})
	}
}

// between lets time pass after a sum.
func (b *bench) between(ticks int) {
	b.t.Helper()
	for range ticks {
		require.NoError(b.t, b.step(round.Tick{}))
	}
}

// S40: blame ends the batch also when its sum closes.
func TestBlameEndsTheBatch(t *testing.T) {
	b := newBatch(t, 3, nil, 1)
	b.mute = kind(secagg.TypeUnmask)
	var agrees []secagg.Frame
	mute := b.mute
	b.mute = func(from uint8, frames []secagg.Frame) bool {
		if from == 2 && frames[0].Type == secagg.TypeAgree {
			agrees = frames
		}
		return mute(from, frames)
	}
	b.open()
	b.mute = nil
	other := agrees[0]
	other.Body = append([]byte(nil), other.Body...)
	other.Body[40] ^= 1
	require.ErrorIs(t, b.step(round.Received{From: 2, Frames: []secagg.Frame{b.sign(other)}}), secagg.ErrBlamed)
	b.back()
	require.Equal(t, b.plain(1, 2, 3, 4, 5), b.sum())
	require.Equal(t, "the batch is at its end", b.round.Rekey(b.crowd()))
}

// A member that was asked for its key, was there and gave none costs one key set-up, not one for each sum; when it
// connects again it waits to rejoin.
func TestDeclinedDoesNotWait(t *testing.T) {
	for name, decline := range map[string]func(*bench){
		"says so":  func(b *bench) { require.NoError(b.t, b.step(round.Left{Member: 3})) },
		"is still": func(b *bench) { b.ticks(10) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBatch(t, 3, nil, 1)
			b.mute = func(from uint8, _ []secagg.Frame) bool { return from == 3 }
			b.open()
			decline(b)
			require.Equal(t, b.plain(1, 2, 4, 5), b.sum())
			require.Empty(t, b.round.Rekey(b.crowd()))
			b.goOn(nil)
			require.Equal(t, b.plain(1, 2, 4, 5), b.sum())
			require.NoError(t, b.step(round.Connected{Member: 3}))
			require.Contains(t, b.round.Rekey(b.crowd()), "waits to rejoin: M3")
		})
	}
}

// S38: an aborted sum does not end the batch. The same step goes on as the next sum with the same members, and after a
// certificate with the same survivors (S35).
func TestAbortedSumGoesOn(t *testing.T) {
	for _, c := range []struct {
		kind     secagg.Type
		phase    round.Phase
		ticks    int
		released bool
	}{
		{secagg.TypeMask, round.Mask, 20, false},
		{secagg.TypeAgree, round.Agree, 10, false},
		{secagg.TypeUnmask, round.Unmask, 10, true},
	} {
		t.Run(c.phase.String(), func(t *testing.T) {
			b := secondHeld(t, c.kind)
			require.Equal(t, c.phase, b.round.Phase())
			b.ticks(c.ticks)
			a := b.abort()
			require.True(t, a.GoesOn)
			require.Equal(t, c.released, a.Released != nil)
			require.Empty(t, b.refused)
			require.Empty(t, b.round.Rekey(b.crowd()))
			b.goOn((*secagg.Set)(a.Released))
			require.Equal(t, uint32(3), b.round.Number())
			require.Equal(t, b.plain(1, 2, 3, 4, 5), b.sum())
			require.Empty(t, b.refused)
		})
	}
	t.Run("publish", func(t *testing.T) {
		b := first(t, 3)
		b.goOn(nil)
		require.NoError(t, b.step(round.SumFailed{Reason: "disk"}))
		a := b.abort()
		require.True(t, a.GoesOn)
		b.goOn((*secagg.Set)(a.Released))
		require.Equal(t, b.plain(1, 2, 3, 4, 5), b.sum())
	})
	t.Run("the last sum ends the batch", func(t *testing.T) {
		b := first(t, 2)
		b.mute = kind(secagg.TypeUnmask)
		b.goOn(nil)
		b.ticks(10)
		require.False(t, b.abort().GoesOn)
		require.Equal(t, "the batch is at its end", b.round.Rekey(b.crowd()))
	})
	t.Run("an admin ends the batch", func(t *testing.T) {
		b := secondHeld(t, secagg.TypeMask)
		require.NoError(t, b.step(round.Stop{Reason: "wrong data"}))
		require.False(t, b.abort().GoesOn)
		require.ErrorIs(t, b.refused[1], secagg.ErrAborted)
	})
}

// S30, S64: a node that merely lost its connection at the end of a sum gets the result and the next sum, in this order,
// and goes on; it answers a repetition with the same bytes.
func TestReconnectInTheMiddleOfABatch(t *testing.T) {
	b := newBatch(t, 3, nil, 1)
	b.mute = kind(secagg.TypeUnmask)
	b.open()
	b.mute = nil
	b.dead = secagg.SetOf(4)
	require.NoError(t, b.step(round.Disconnected{Member: 4}))
	for _, m := range []uint8{1, 2, 3, 5} {
		require.NoError(t, b.step(round.Connected{Member: m}))
	}
	require.Equal(t, b.plain(1, 2, 3, 4, 5), b.sum())
	b.goOn(nil)
	require.Equal(t, round.Mask, b.round.Phase())
	require.Equal(t, "released", b.batch.Clients[4].State())
	b.dead = secagg.Set{}
	require.NoError(t, b.step(round.Connected{Member: 4}))
	require.Equal(t, b.plain(1, 2, 3, 4, 5), b.sum())
	require.Empty(t, b.refused)
}

// sign signs a frame as its sender.
func (b *bench) sign(f secagg.Frame) secagg.Frame {
	spec, _, err := round.Opening(b.records[0])
	require.NoError(b.t, err)
	return b.batch.Resign(f, spec.Digest(), "koinon/secagg/v1/"+f.Type.String())
}

// S70: a dispute is on record with both names.
func TestDisputeJournalled(t *testing.T) {
	b := newBatch(t, 3, nil, 1)
	b.mute = kind(secagg.TypeMask)
	b.open()
	frame := b.sign(secagg.Frame{Type: secagg.TypeDispute, Sender: 3, Body: []byte{2, 1}})
	require.NoError(t, b.step(round.Received{From: 3, Frames: []secagg.Frame{frame}}))
	require.Equal(t, 1, countKinds(b.records)[round.KindDispute])
	for _, r := range b.records {
		if r.Kind == round.KindDispute {
			require.Equal(t, []uint8{3, 2}, []uint8{r.Member, r.Dealer})
		}
	}
	b.restart()
	require.Equal(t, 1, countKinds(b.records)[round.KindDispute], "once")
}
