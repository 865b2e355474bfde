package federationpb_test

import (
	"testing"

	"github.com/koinon-eu/koinon/coordinator/federation"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/crypto/secagg"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

func TestPacketRoundTrip(t *testing.T) {
	frames := []secagg.Frame{
		{Type: secagg.TypeAdvert, Sender: 3, Body: []byte{1, 2}, Signature: make([]byte, 64)},
		{Type: secagg.TypeRow, Sender: 3, Body: []byte{4}},
	}
	p, err := pb.PacketFromPB(pb.PacketToPB([16]byte{9}, 7, [32]byte{8}, frames))
	require.NoError(t, err)
	require.Equal(t, pb.RoundPacket{Run: [16]byte{9}, Round: 7, Plan: [32]byte{8}, Frames: frames}, p)
}

// S42: the Share packet of the member that deals most, in the largest batch that a plan may have, passes both limits of the
// wire, and one that is larger than a packet may be does not.
func TestLargestBatchFits(t *testing.T) {
	for n := secagg.MinCohort; n <= secagg.MaxComplete; n++ {
		m := federation.MaxBatch(n)
		frame := func(kind secagg.Type, size int) secagg.Frame {
			return secagg.Frame{Type: kind, Sender: uint8(n), Body: make([]byte, size)}
		}
		frames := []secagg.Frame{frame(secagg.TypeShare, 96)}
		frames[0].Signature = make([]byte, 64)
		for range n {
			frames = append(frames, frame(secagg.TypeRow, 97+1+32*6))
		}
		for range n - 1 {
			frames = append(frames, frame(secagg.TypeBundle, 1120+4+4+32*m*(n+1)+16))
		}
		frames = append(frames, frame(secagg.TypeLeaves, 32*m*n))
		message := pb.PacketToPB([16]byte{1}, 1, [32]byte{2}, frames)
		require.Less(t, proto.Size(message), pb.MaxMessageBytes-1<<10, "%d members", n)
		got, err := pb.PacketFromPB(message)
		require.NoError(t, err, "%d members", n)
		require.Len(t, got.Frames, 2*n+1)
	}
	half := secagg.Frame{Type: secagg.TypeBundle, Sender: 1, Body: make([]byte, pb.MaxPacketBytes/4)}
	_, err := pb.FramesFromPB(pb.FramesToPB([]secagg.Frame{half, half, half, half}))
	require.NoError(t, err)
	_, err = pb.FramesFromPB(pb.FramesToPB([]secagg.Frame{half, half, half, half, {Type: secagg.TypeRow, Sender: 1, Body: []byte{1}}}))
	require.ErrorContains(t, err, "over the limit")
}

func TestFramesRefused(t *testing.T) {
	good := func() *pb.Frame {
		return &pb.Frame{Type: 0x10, Sender: 1, Body: []byte{1}, Signature: make([]byte, 64)}
	}
	for name, change := range map[string]func(*pb.Frame){
		"type":      func(f *pb.Frame) { f.Type = 256 },
		"sender":    func(f *pb.Frame) { f.Sender = 1 << 20 },
		"signature": func(f *pb.Frame) { f.Signature = make([]byte, 63) },
		"body":      func(f *pb.Frame) { f.Body = make([]byte, 3<<20) },
	} {
		f := good()
		change(f)
		_, err := pb.FramesFromPB([]*pb.Frame{f})
		require.Error(t, err, name)
	}
	_, err := pb.FramesFromPB([]*pb.Frame{nil})
	require.Error(t, err)
	_, err = pb.FramesFromPB(make([]*pb.Frame, pb.MaxPacketFrames+1))
	require.Error(t, err)
	_, err = pb.PacketFromPB(nil)
	require.Error(t, err)
	_, err = pb.PacketFromPB(&pb.Packet{Run: make([]byte, 16), Plan: make([]byte, 31)})
	require.ErrorContains(t, err, "31 bytes")
	_, err = pb.RosterFromPB(nil)
	require.Error(t, err)
	_, err = pb.RosterFromPB(&pb.SignedRoster{Body: make([]byte, 1<<20), Signature: make([]byte, 64)})
	require.Error(t, err)
}

// Whatever arrives as a packet is refused or moves through both ways unchanged.
func FuzzDecodePacket(f *testing.F) {
	b, err := proto.Marshal(pb.PacketToPB([16]byte{1}, 2, [32]byte{3}, []secagg.Frame{{Type: 0x10, Sender: 1, Body: []byte{1}, Signature: make([]byte, 64)}}))
	require.NoError(f, err)
	f.Add(b)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var m pb.Packet
		if proto.Unmarshal(b, &m) != nil {
			return
		}
		p, err := pb.PacketFromPB(&m)
		if err != nil {
			return
		}
		again, err := pb.PacketFromPB(pb.PacketToPB(p.Run, p.Round, p.Plan, p.Frames))
		require.NoError(t, err)
		require.Equal(t, p, again)
	})
}
