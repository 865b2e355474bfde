package federationpb_test

import (
	"testing"

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

// TestBatchSums: a batch whose set-up is larger than a packet could never begin (S9).
func TestBatchSums(t *testing.T) {
	packet := func(size int) []*pb.Frame {
		var frames []*pb.Frame
		for ; size > 0; size -= 512 << 10 {
			frames = append(frames, &pb.Frame{Type: uint32(secagg.TypeBundle), Sender: 1, Body: make([]byte, min(size, 512<<10))})
		}
		return frames
	}
	for _, n := range []uint8{3, 5, 16, 30, 64} {
		for step := uint8(1); step <= 2; step++ { // 2: the member with the highest index deals every pair (S14)
			var cohort secagg.Set
			for i := range n {
				cohort = cohort.With(1 + i*step)
			}
			most := min(secagg.MaxSums, secagg.MaxSecrets/int(n))
			m := pb.BatchSums(cohort, most)
			require.GreaterOrEqual(t, m, 1)
			up, down := secagg.SetupBytes(cohort, m)
			_, err := pb.FramesFromPB(packet(max(up, down)))
			require.NoError(t, err)
			if m < most {
				up, down = secagg.SetupBytes(cohort, m+1)
				_, err = pb.FramesFromPB(packet(max(up, down)))
				require.Error(t, err)
			}
			require.Equal(t, 1, pb.BatchSums(cohort, 1))
		}
	}
	var cohort secagg.Set
	for i := range uint8(30) {
		cohort = cohort.With(1 + i)
	}
	require.Less(t, pb.BatchSums(cohort, 600), 600)
}
