// Package federationpb is the wire between the programs: federation.proto, the code generated from it, and total
// conversions between its messages and the nouns of package federation.
package federationpb

import (
	"fmt"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/secagg"
)

// Limits of what one message may carry; gRPC is configured with MaxMessageBytes on both sides.
const (
	MaxMessageBytes  = 8 << 20 // a packet with what protobuf adds to it
	MaxPacketFrames  = 4096
	MaxPacketBytes   = federation.MaxPacketBytes // plans are held to batches whose packets fit (S42)
	MaxChunkBytes    = 65536                     // S53
	signatureBytes   = 64
	MaxReasonBytes   = 500
	MaxVersionBytes  = 64
	maxFrameBodySize = 2 << 20 // above every limit of secagg.md §5; secagg holds each type to its own
)

// FramesToPB moves frames to the wire as they are (S19).
func FramesToPB(frames []secagg.Frame) []*Frame {
	out := make([]*Frame, len(frames))
	for i, f := range frames {
		out[i] = &Frame{Type: uint32(f.Type), Sender: uint32(f.Sender), Body: f.Body, Signature: f.Signature}
	}
	return out
}

// FramesFromPB reads frames from the wire. It refuses more than MaxPacketFrames frames or MaxPacketBytes bytes, a
// type or sender above one byte, and a signature that is neither absent nor 64 bytes. What a body holds is for
// secagg to judge.
func FramesFromPB(frames []*Frame) ([]secagg.Frame, error) {
	if len(frames) > MaxPacketFrames {
		return nil, fmt.Errorf("packet has %d frames, at most %d", len(frames), MaxPacketFrames)
	}
	out := make([]secagg.Frame, len(frames))
	total := 0
	for i, f := range frames {
		if f == nil {
			return nil, fmt.Errorf("frame %d is missing", i)
		}
		if f.Type > 0xff || f.Sender > 0xff {
			return nil, fmt.Errorf("frame %d: type %d or sender %d does not fit in a byte", i, f.Type, f.Sender)
		}
		if n := len(f.Signature); n != 0 && n != signatureBytes {
			return nil, fmt.Errorf("frame %d: signature of %d bytes, want %d", i, n, signatureBytes)
		}
		if total += len(f.Body); len(f.Body) > maxFrameBodySize || total > MaxPacketBytes {
			return nil, fmt.Errorf("frame %d: body of %d bytes is over the limit", i, len(f.Body))
		}
		out[i] = secagg.Frame{Type: secagg.Type(f.Type), Sender: uint8(f.Sender), Body: f.Body, Signature: f.Signature}
	}
	return out, nil
}

// Digest reads a digest of exactly 32 bytes; what names it in the error.
func Digest(what string, b []byte) (federation.Digest, error) {
	if len(b) != len(federation.Digest{}) {
		return federation.Digest{}, fmt.Errorf("%s: digest of %d bytes, want 32", what, len(b))
	}
	return federation.Digest(b), nil
}

// RunID reads the name of a run, exactly 16 bytes.
func RunID(b []byte) ([16]byte, error) {
	if len(b) != 16 {
		return [16]byte{}, fmt.Errorf("run: name of %d bytes, want 16", len(b))
	}
	return [16]byte(b), nil
}

// RosterToPB moves a signed roster to the wire.
func RosterToPB(r federation.SignedRoster) *SignedRoster {
	return &SignedRoster{Body: r.Body, Signature: r.Signature}
}

// RosterFromPB reads a signed roster; it does not check the signature, which federation.SignedRoster.Open does.
func RosterFromPB(r *SignedRoster) (federation.SignedRoster, error) {
	switch {
	case r == nil:
		return federation.SignedRoster{}, fmt.Errorf("roster is missing")
	case len(r.Body) > federation.MaxRosterBytes:
		return federation.SignedRoster{}, fmt.Errorf("roster of %d bytes, at most %d", len(r.Body), federation.MaxRosterBytes)
	case len(r.Signature) != signatureBytes:
		return federation.SignedRoster{}, fmt.Errorf("roster: signature of %d bytes, want %d", len(r.Signature), signatureBytes)
	}
	return federation.SignedRoster{Body: r.Body, Signature: r.Signature}, nil
}

// PacketToPB makes the packet that one side says at once in one round.
func PacketToPB(run [16]byte, round uint32, plan federation.Digest, frames []secagg.Frame) *Packet {
	return &Packet{Run: run[:], Round: round, Plan: plan[:], Frames: FramesToPB(frames)}
}

// RoundPacket is a packet whose every field was checked for shape.
type RoundPacket struct {
	Run    [16]byte
	Round  uint32
	Plan   federation.Digest
	Frames []secagg.Frame
}

// PacketFromPB reads a packet with the checks of FramesFromPB, RunID and Digest.
func PacketFromPB(p *Packet) (RoundPacket, error) {
	if p == nil {
		return RoundPacket{}, fmt.Errorf("packet is missing")
	}
	run, err := RunID(p.Run)
	if err != nil {
		return RoundPacket{}, err
	}
	plan, err := Digest("packet: plan", p.Plan)
	if err != nil {
		return RoundPacket{}, err
	}
	frames, err := FramesFromPB(p.Frames)
	if err != nil {
		return RoundPacket{}, err
	}
	return RoundPacket{Run: run, Round: p.Round, Plan: plan, Frames: frames}, nil
}
