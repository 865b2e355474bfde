package round

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/koinon-eu/koinon/crypto/secagg"
)

// Phase is where a round stands. Those before Publish have a deadline each, Reveal that of Advertise; Publish waits for
// the sum that the driver computes; the last two are ends.
type Phase uint8

// The phases in their order.
const (
	Advertise Phase = iota
	Reveal          // only with more than 64 members (V6)
	Share
	Mask
	Agree
	Unmask
	Publish
	Closed
	Aborted
)

var phaseNames = [...]string{"advertise", "reveal", "share", "mask", "agree", "unmask", "publish", "closed", "aborted"}

// String returns the phase's name in lower case.
func (p Phase) String() string {
	if int(p) < len(phaseNames) {
		return phaseNames[p]
	}
	return fmt.Sprintf("phase %d", uint8(p))
}

// phaseCodes are the phases as the journal counts them.
var phaseCodes = [...]Phase{Advertise, Share, Mask, Agree, Unmask, Publish, Closed, Aborted, Reveal}

// MarshalJSON implements json.Marshaler.
func (p Phase) MarshalJSON() ([]byte, error) {
	code := slices.Index(phaseCodes[:], p)
	if code < 0 {
		return nil, fmt.Errorf("%s has no code", p)
	}
	return json.Marshal(code)
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *Phase) UnmarshalJSON(b []byte) error {
	var code int
	if err := json.Unmarshal(b, &code); err != nil {
		return err
	}
	if code < 0 || code >= len(phaseCodes) {
		return fmt.Errorf("phase code %d", code)
	}
	*p = phaseCodes[code]
	return nil
}

// deadline returns the place of the phase's deadline in spec (S67, V6).
func (p Phase) deadline() int {
	if p == Advertise || p == Reveal {
		return 0
	}
	return int(p - Share + 1)
}

// Over reports whether the round has ended.
func (p Phase) Over() bool { return p >= Closed }

// Event is something that happened outside the machine.
type Event interface{ event() }

// Tick says that one unit of the plan's deadlines has passed.
type Tick struct{}

// Connected says that a member's node has a session; its first event after a disconnection makes the machine send
// again what the node may have missed (S30).
type Connected struct{ Member uint8 }

// Disconnected says that a member's session ended.
type Disconnected struct{ Member uint8 }

// Left says that a node left this batch, and why in its own words.
type Left struct {
	Member uint8
	Reason string
}

// Received is a packet from the node of a member, whom TLS has named (S12).
type Received struct {
	From   uint8
	Frames []secagg.Frame
}

// Chunk is a part of a masked vector. When Step returns without error the driver stores it and tells Stored.
type Chunk struct {
	From  uint8
	Index uint32
	Data  []byte
}

// Stored says that a chunk is in the spool. When the output says Complete the driver syncs the vector and tells Whole.
type Stored struct {
	From  uint8
	Index uint32
}

// Whole says that every chunk of a member's masked vector is stored and survives a power cut (S32).
type Whole struct{ From uint8 }

// Summed answers a SumJob: the sum passed its range checks and the model was moved on.
type Summed struct {
	Words   uint32
	SumRoot [32]byte
	State   [32]byte
	Model   [32]byte
}

// SumFailed answers a SumJob that ended without a sum. Range says that the sum itself was refused (S48).
type SumFailed struct {
	Reason string
	Range  bool
}

// UploadFailed says that a member's masked vector could not be made durable. It ends a round in Mask; after that the
// vector is either durable or not one of the sum.
type UploadFailed struct{ Reason string }

// Stop ends the round from outside.
type Stop struct{ Reason string }

func (Tick) event()         {}
func (Connected) event()    {}
func (Disconnected) event() {}
func (Left) event()         {}
func (Received) event()     {}
func (Chunk) event()        {}
func (Stored) event()       {}
func (Whole) event()        {}
func (Summed) event()       {}
func (SumFailed) event()    {}
func (UploadFailed) event() {}
func (Stop) event()         {}

// Output is what the driver does, in this order: append Records to the journal, send Messages, start the Sum.
type Output struct {
	Records  []Record
	Messages []Message
	Sum      *SumJob
	Complete bool    // after Stored: the vector is complete, sync it and tell Whole
	Forget   []uint8 // whose stored vectors are not needed and may be deleted (S32)
}

// Add appends another output, in order.
func (o *Output) Add(other Output) {
	o.Records = append(o.Records, other.Records...)
	o.Messages = append(o.Messages, other.Messages...)
	o.Forget = append(o.Forget, other.Forget...)
	if other.Sum != nil {
		o.Sum = other.Sum
	}
	o.Complete = o.Complete || other.Complete
}

// Message is a packet for several members, the same bytes for each, about one sum.
type Message struct {
	To     secagg.Set
	Round  uint32
	Frames []secagg.Frame
}

// SumJob asks the driver to add the stored vectors of the survivors, take the streams off, and check the result.
type SumJob struct {
	Survivors secagg.Set
	Words     int
	Streams   []secagg.Stream
}
