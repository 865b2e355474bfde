package link

import "github.com/koinon-eu/koinon/coordinator/federationpb"

// maxText bounds words from the other side, and to it.
const maxText = 300

func clip(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
	}
	return s
}

func packetToPB(p Packet) *federationpb.Packet {
	return federationpb.PacketToPB(p.Run, p.Round, p.Plan, p.Frames)
}

func packetFromPB(m *federationpb.Packet) (Packet, error) {
	p, err := federationpb.PacketFromPB(m)
	return Packet(p), err
}
