package round

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/koinon-eu/koinon/crypto/secagg"
)

// Kinds of records, as the journal names them.
const (
	KindOpened   = "round-opened"
	KindNext     = "round-next" // a further sum of the batch that the newest KindOpened began
	KindPacket   = "round-packet"
	KindPhase    = "round-phase"
	KindEvidence = "round-evidence"
	KindDispute  = "round-dispute"
	KindClosed   = "round-closed"
	KindAborted  = "round-aborted"
)

// MaxRecordBytes bounds one encoded record.
const MaxRecordBytes = 32 << 20

// Record is one fact of a round, appended to the journal before anything follows from it (secagg.md §13). Which
// fields are set depends on Kind.
type Record struct {
	Kind  string `json:"-"`
	Round uint32 `json:"round"`

	// KindOpened: the coordinator's signed spec and sum, and who may not take part (S72). KindNext: the signed sum. Both:
	// after a round that may have been released, the only survivors it may have (S35) and the evidence against others.
	Frames   Frames   `json:"frames,omitempty"`
	Excluded *Set     `json:"excluded,omitempty"`
	Require  *Set     `json:"require,omitempty"`
	Evidence [][]byte `json:"evidence,omitempty"`

	// KindPacket: what a member said (with Frames); KindEvidence: about whom (with Proof, and Text); KindDispute: who
	// could not open the bundle of Dealer (S70).
	Member uint8 `json:"member,omitempty"`
	Dealer uint8 `json:"dealer,omitempty"`

	// KindPhase: the phase that ended and its set, U1, U2, U3 or those who agreed.
	Phase Phase `json:"phase,omitempty"`
	Set   *Set  `json:"set,omitempty"`

	// KindClosed: what was published; Frames is the whole transcript of S62. KindAborted: why.
	Close *Close `json:"close,omitempty"`
	Abort *Abort `json:"abort,omitempty"`
	Text  string `json:"text,omitempty"`
	Proof []byte `json:"proof,omitempty"` // KindEvidence: verifiable with the roster alone (S68)
}

// Close is how a round ended well.
type Close struct {
	Survivors Set    `json:"survivors"`
	H3        Digest `json:"h3"`
	SumRoot   Digest `json:"sum_root"`
	State     Digest `json:"state"`
	Model     Digest `json:"model"`
	Words     uint32 `json:"words"`
	Step      uint32 `json:"step"`
	Kind      uint8  `json:"kind"`
	Sigma     Digest `json:"sigma"`
	Lost      []Loss `json:"lost,omitempty"`
	Number    uint32 `json:"number,omitempty"` // of the step among those of its kind (S33), as the driver knows it
}

// Abort is how a round ended without a sum.
type Abort struct {
	Phase    Phase  `json:"phase"`
	Code     uint8  `json:"code"`
	Reason   string `json:"reason"`
	Step     uint32 `json:"step"`
	Kind     uint8  `json:"kind"`
	Sigma    Digest `json:"sigma"`
	Released *Set   `json:"released,omitempty"` // an unmask had arrived: repeat with these survivors only (S35)
	Blamed   Set    `json:"blamed"`             // proven guilty (S72)
	GoesOn   bool   `json:"goes_on,omitempty"`  // only this sum ended, the batch may have a further one (S38)
	Lost     []Loss `json:"lost,omitempty"`
	Number   uint32 `json:"number,omitempty"` // as in Close
}

// Loss says in which phase a member dropped out.
type Loss struct {
	Member uint8 `json:"member"`
	Phase  Phase `json:"phase"`
}

// Digest is 32 bytes with base64 as its text.
type Digest [32]byte

// MarshalText implements encoding.TextMarshaler.
func (d Digest) MarshalText() ([]byte, error) {
	return base64.StdEncoding.AppendEncode(nil, d[:]), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Digest) UnmarshalText(b []byte) error {
	raw, err := base64.StdEncoding.Strict().DecodeString(string(b))
	if err != nil || len(raw) != len(d) {
		return fmt.Errorf("digest of %d bytes of base64, want 32", len(raw))
	}
	*d = Digest(raw)
	return nil
}

// Set is a set of members; its JSON is the list of their indexes, ascending.
type Set secagg.Set

// MarshalJSON implements json.Marshaler.
func (s Set) MarshalJSON() ([]byte, error) {
	indexes := []int{}
	for _, m := range secagg.Set(s).Members() {
		indexes = append(indexes, int(m))
	}
	return json.Marshal(indexes)
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Set) UnmarshalJSON(b []byte) error {
	var indexes []int
	if err := json.Unmarshal(b, &indexes); err != nil {
		return err
	}
	var set secagg.Set
	for _, i := range indexes {
		if i < 1 || i > 255 {
			return fmt.Errorf("member index %d, want 1 to 255", i)
		}
		set = set.With(uint8(i))
	}
	*s = Set(set)
	return nil
}

func setOf(s secagg.Set) *Set { return (*Set)(&s) }

// Frames are protocol frames; in JSON they are one base64 text of u32 length ‖ frame, so that the signed bytes stay
// as they were made (S19).
type Frames []secagg.Frame

// MarshalJSON implements json.Marshaler.
func (f Frames) MarshalJSON() ([]byte, error) {
	var raw []byte
	for _, frame := range f {
		b, err := frame.MarshalBinary()
		if err != nil {
			return nil, err
		}
		raw = binary.BigEndian.AppendUint32(raw, uint32(len(b)))
		raw = append(raw, b...)
	}
	return json.Marshal(raw)
}

// UnmarshalJSON implements json.Unmarshaler.
func (f *Frames) UnmarshalJSON(b []byte) error {
	var raw []byte
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	for len(raw) > 0 {
		if len(raw) < 4 || uint64(len(raw)-4) < uint64(binary.BigEndian.Uint32(raw)) {
			return fmt.Errorf("frames end in the middle of one")
		}
		n := 4 + binary.BigEndian.Uint32(raw)
		frame, err := secagg.ParseFrame(raw[4:n])
		if err != nil {
			return err
		}
		*f = append(*f, frame)
		raw = raw[n:]
	}
	return nil
}

// Encode returns the canonical bytes of the record; its kind stands beside them in the journal.
func (r Record) Encode() ([]byte, error) { return json.Marshal(r) }

// DecodeRecord reads the bytes of a record of that kind. It refuses unknown fields, trailing bytes, and anything
// whose re-encoding differs.
func DecodeRecord(kind string, b []byte) (Record, error) {
	r := Record{Kind: kind}
	if len(b) > MaxRecordBytes {
		return r, fmt.Errorf("record %s: %d bytes, at most %d", kind, len(b), MaxRecordBytes)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return r, fmt.Errorf("record %s: %w", kind, err)
	}
	if again, err := r.Encode(); err != nil || !bytes.Equal(again, b) {
		return r, fmt.Errorf("record %s: not the canonical encoding", kind)
	}
	return r, nil
}
