package link

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/crypto/secagg"
)

// MaxRounds bounds one answer of Rounds; a node that is further behind asks again.
const MaxRounds = 1000

// Rounds lists the closed rounds of a run after the given one, ascending, at most MaxRounds (S62).
func (l *Link) Rounds(ctx context.Context, run [16]byte, after uint32) ([]uint32, error) {
	reply, err := call(ctx, l, "rounds", l.client.Rounds, &federationpb.RoundsRequest{Run: run[:], After: after, Limit: MaxRounds})
	if err != nil {
		return nil, err
	}
	if n := len(reply.GetRounds()); n > MaxRounds {
		return nil, fmt.Errorf("rounds: %d listed, at most %d", n, MaxRounds)
	}
	for _, round := range reply.GetRounds() {
		if round <= after {
			return nil, fmt.Errorf("rounds: %d listed after %d", round, after)
		}
		after = round
	}
	return reply.GetRounds(), nil
}

// ErrSize means that a sum is not as long as was asked for.
var ErrSize = errors.New("sum: another length than expected")

// Closed is a closed round as the coordinator serves it. Frames are the transcript when it was asked for.
type Closed struct {
	Frames []secagg.Frame
	Words  []uint64
}

// Sum fetches the sum of a closed round, which must have exactly words words, and with transcript also the frames
// that prove it (S60, S62); ErrSize when it has others. Nothing is verified here.
func (l *Link) Sum(ctx context.Context, run [16]byte, round uint32, words int, transcript bool) (Closed, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// A stream may be long, but not silent.
	silent := time.AfterFunc(l.cfg.Timeout, cancel)
	defer silent.Stop()
	stream, err := l.client.Sum(ctx, &federationpb.SumRequest{Run: run[:], Round: round, Transcript: transcript})
	if err != nil {
		return Closed{}, wrap("sum", err)
	}
	var frames []*federationpb.Frame
	var sum assembly
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Closed{}, wrap("sum", err)
		}
		silent.Reset(l.cfg.Timeout)
		if frames = append(frames, m.GetFrames()...); len(frames) > federationpb.MaxPacketFrames {
			return Closed{}, fmt.Errorf("sum: transcript of more than %d frames", federationpb.MaxPacketFrames)
		}
		if !sum.add(m.GetData(), words) {
			return Closed{}, fmt.Errorf("%w: more than %d words", ErrSize, words)
		}
	}
	if len(sum.words) != words || len(sum.rest) != 0 {
		return Closed{}, fmt.Errorf("%w: %d bytes, want %d words", ErrSize, 8*len(sum.words)+len(sum.rest), words)
	}
	out := Closed{Words: sum.words}
	if out.Frames, err = federationpb.FramesFromPB(frames); err != nil {
		return Closed{}, fmt.Errorf("sum: %w", err)
	}
	return out, nil
}

// assembly makes words of the pieces in which a vector arrives, so that it is in memory once and not also as bytes.
type assembly struct {
	words []uint64
	rest  []byte // of a word that the next piece completes
}

// add appends a piece and reports whether that is still at most so many words. Room for all of them is made once
// something has come.
func (a *assembly) add(data []byte, words int) bool {
	if n := len(a.rest) + len(data); n/8 > words-len(a.words) || n/8 == words-len(a.words) && n%8 != 0 {
		return false
	}
	if a.words == nil && len(data) > 0 {
		a.words = make([]uint64, 0, words)
	}
	if len(a.rest) > 0 {
		take := min(8-len(a.rest), len(data))
		a.rest, data = append(a.rest, data[:take]...), data[take:]
		if len(a.rest) < 8 {
			return true
		}
		a.words, a.rest = append(a.words, binary.LittleEndian.Uint64(a.rest)), nil
	}
	for ; len(data) >= 8; data = data[8:] {
		a.words = append(a.words, binary.LittleEndian.Uint64(data))
	}
	a.rest = append(a.rest, data...)
	return true
}

// Spot is one survivor's chunk with its inclusion path.
type Spot struct {
	Member uint8
	Data   []byte
	Path   [][32]byte
}

// Spot fetches chunk index of every survivor's masked vector (S56). More than members answers, a chunk above
// 65,536 bytes or a path above 32 digests are errors; nothing else is verified here.
func (l *Link) Spot(ctx context.Context, run [16]byte, round, index uint32, members int) ([]Spot, error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	stream, err := l.client.Spot(ctx, &federationpb.SpotRequest{Run: run[:], Round: round, Index: index})
	if err != nil {
		return nil, wrap("spot", err)
	}
	var out []Spot
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, wrap("spot", err)
		}
		s, err := spotFromPB(m)
		if err != nil {
			return nil, err
		}
		if out = append(out, s); len(out) > members {
			return nil, fmt.Errorf("spot: more than %d chunks", members)
		}
	}
}

func spotFromPB(m *federationpb.SpotChunk) (Spot, error) {
	if m.GetMember() > 255 || len(m.GetData()) > federationpb.MaxChunkBytes || len(m.GetPath()) > 32 {
		return Spot{}, errors.New("spot: chunk over its limits")
	}
	s := Spot{Member: uint8(m.GetMember()), Data: m.GetData()}
	for _, p := range m.GetPath() {
		if len(p) != 32 {
			return Spot{}, errors.New("spot: path of wrong length")
		}
		s.Path = append(s.Path, [32]byte(p))
	}
	return s, nil
}
