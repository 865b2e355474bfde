package link

import (
	"fmt"

	"github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/crypto/secagg"

	"google.golang.org/grpc/mem"
)

// Message is one message that crosses the link, as the bytes above TLS.
type Message struct {
	Type  string // advert, share, mask, chunk, hello, sync, approve …
	Why   string // what it is for, in words that hold no data
	Phase string // advertise, share, mask, agree, unmask, result, or empty outside a round
	Run   []byte // 16 bytes, or empty outside a run
	Round uint32 // 0 outside a round
	Bytes []byte // valid during the call only
}

// Traffic counts bytes above TLS in both directions.
type Traffic struct {
	Up   uint64 `json:"up"`
	Down uint64 `json:"down"`
}

// codec is the protobuf codec with a look at each message.
type codec struct {
	federationpb.Codec
	sent, received func(Message) error
}

func newCodec(sent, received func(Message) error) codec {
	return codec{sent: sent, received: received}
}

// Marshal records the message before gRPC may send it; a message that cannot be recorded does not leave.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	out, err := c.Codec.Marshal(v)
	if err != nil {
		return nil, err
	}
	raw := out.MaterializeToBuffer(federationpb.Buffers) // one piece already: nothing is copied
	defer raw.Free()
	m := describe(v)
	m.Bytes = raw.ReadOnlyData()
	if err := c.sent(m); err != nil {
		out.Free()
		return nil, fmt.Errorf("%s not sent: %w", m.Type, err)
	}
	return out, nil
}

func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	raw := data.MaterializeToBuffer(federationpb.Buffers)
	defer raw.Free()
	if err := c.Codec.Unmarshal(mem.BufferSlice{raw}, v); err != nil {
		return err
	}
	m := describe(v)
	m.Bytes = raw.ReadOnlyData()
	return c.received(m)
}

// describe says in the glossary's words what a message is.
func describe(v any) Message {
	switch m := v.(type) {
	case *federationpb.NodeMessage:
		return describeNode(m)
	case *federationpb.CoordinatorMessage:
		if p := m.GetPacket(); p != nil {
			return describePacket(p)
		}
		return Message{Type: "notice"}
	case *federationpb.UploadChunk:
		return about(m, "chunk", "mask", fmt.Sprintf("chunk %d of the masked vector", m.GetIndex()))
	case *federationpb.HaveRequest:
		return about(m, "have", "mask", "asks which chunks are stored")
	case *federationpb.UploadReply, *federationpb.HaveReply:
		return Message{Type: "have", Phase: "mask"}
	case *federationpb.RoundsRequest:
		return Message{Type: "rounds", Phase: "result", Run: m.GetRun(), Why: fmt.Sprintf("asks for the closed rounds after %d", m.GetAfter())}
	case *federationpb.SumRequest:
		return about(m, "sum", "result", "asks for the sum of a closed round")
	case *federationpb.SpotRequest:
		return about(m, "spot", "result", fmt.Sprintf("asks for chunk %d of all masked vectors", m.GetIndex()))
	case *federationpb.RoundsReply, *federationpb.SumChunk, *federationpb.SpotChunk:
		return Message{Type: "sum", Phase: "result"}
	case *federationpb.StartRequest:
		return Message{Type: "start", Why: fmt.Sprintf("asks for the released model that plan %.6x starts from", m.GetPlan())}
	case *federationpb.StartChunk:
		return Message{Type: "start"}
	case *federationpb.SyncRequest:
		return Message{Type: "sync", Why: "asks for the newest roster and plans"}
	case *federationpb.ApproveRequest:
		return Message{Type: "approve", Why: fmt.Sprintf("the operator's word on plan %.6x: approve=%t", m.GetPlan(), m.GetApprove())}
	case *federationpb.RenewRequest:
		return Message{Type: "renew", Why: "certificate request"}
	case *federationpb.EnrollRequest:
		return Message{Type: "enroll", Why: "certificate request and identity key"}
	}
	return Message{Type: "other"}
}

func about(m interface {
	GetRun() []byte
	GetRound() uint32
}, kind, phase, why string,
) Message {
	return Message{Type: kind, Phase: phase, Run: m.GetRun(), Round: m.GetRound(), Why: why}
}

func describeNode(m *federationpb.NodeMessage) Message {
	switch {
	case m.GetPacket() != nil:
		return describePacket(m.GetPacket())
	case m.GetHello() != nil:
		return Message{Type: "hello", Why: "opens the session"}
	case m.GetLeft() != nil:
		return about(m.GetLeft(), "left", "", "leaves the round")
	}
	return Message{Type: "heartbeat", Why: "shows that this node lives"}
}

func describePacket(p *federationpb.Packet) Message {
	if len(p.GetFrames()) == 0 {
		return about(p, "packet", "", "")
	}
	kind := secagg.Type(p.GetFrames()[0].GetType())
	return about(p, kind.String(), Phase(kind), fmt.Sprintf("message %s of the round protocol, %d frames", kind, len(p.GetFrames())))
}

// Phase names the phase of the round protocol to which a message type belongs.
func Phase(t secagg.Type) string {
	switch t {
	case secagg.TypeSpec, secagg.TypeAdvert:
		return "advertise"
	case secagg.TypeShare, secagg.TypeRow, secagg.TypeBundle, secagg.TypeLeaves:
		return "share"
	case secagg.TypeSum, secagg.TypeMask, secagg.TypeHashes, secagg.TypeChunk, secagg.TypeComplaint, secagg.TypeDispute:
		return "mask"
	case secagg.TypeSurvivors, secagg.TypeAgree:
		return "agree"
	case secagg.TypeCertificate, secagg.TypeUnmask:
		return "unmask"
	case secagg.TypeResult, secagg.TypeOpenings:
		return "result"
	}
	return ""
}
