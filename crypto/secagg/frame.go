package secagg

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
)

// Type names a message (§5).
type Type uint8

// The messages of §5. TypeEvidence carries what a digest in `survivors` stands for (S33).
const (
	TypeSpec        Type = 0x01
	TypeSum         Type = 0x02
	TypeAdvert      Type = 0x10
	TypeReveal      Type = 0x11
	TypeShare       Type = 0x20
	TypeRow         Type = 0x21
	TypeBundle      Type = 0x22
	TypeLeaves      Type = 0x23
	TypeMask        Type = 0x30
	TypeHashes      Type = 0x31
	TypeChunk       Type = 0x32
	TypeSurvivors   Type = 0x40
	TypeAgree       Type = 0x41
	TypeCertificate Type = 0x50
	TypeUnmask      Type = 0x51
	TypeResult      Type = 0x60
	TypeOpenings    Type = 0x61
	TypeComplaint   Type = 0x70
	TypeDispute     Type = 0x71
	TypeEvidence    Type = 0x72
	TypeAbort       Type = 0x7f
)

type kind struct {
	name        string
	coordinator bool // sent by the coordinator, sender 0
	signed      bool
	max         int // largest body in bytes
}

const (
	frameVersion = 1
	frameHeader  = 7 // version, type, sender, length
	// MaxFrame is the largest frame in bytes, that of openings. Those of unmask
	// keep within 2 MiB, all others within 1 MiB (V4).
	MaxFrame = 4 << 20
	maxBody  = 1<<20 - frameHeader - ed25519.SignatureSize
	// MaxEvidence is the most bytes of one piece of evidence that can go along with the survivors (S33).
	MaxEvidence = maxBody
)

var kinds = map[Type]kind{
	TypeSpec:        {"spec", true, true, specSize},
	TypeSum:         {"sum", true, true, sumSize},
	TypeAdvert:      {"advert", false, true, advertSize},
	TypeReveal:      {"reveal", false, true, revealSize},
	TypeShare:       {"share", false, true, shareSize},
	TypeRow:         {"row", false, false, rowSize + 1 + 32*maxDepth},
	TypeBundle:      {"bundle", false, false, 640<<10 - frameHeader},
	TypeLeaves:      {"leaves", false, false, 640<<10 - frameHeader},
	TypeMask:        {"mask", false, true, maskSize},
	TypeHashes:      {"hashes", false, false, 4 + 32*maxChunks},
	TypeChunk:       {"chunk", false, false, 6 + ChunkSize},
	TypeSurvivors:   {"survivors", true, true, 16<<10 - frameHeader - ed25519.SignatureSize},
	TypeAgree:       {"agree", false, true, agreeSize},
	TypeCertificate: {"certificate", true, false, 3 + 65*MaxCohort},
	TypeUnmask:      {"unmask", false, true, 2<<20 - frameHeader - ed25519.SignatureSize},
	TypeResult:      {"result", true, true, resultSize},
	TypeOpenings:    {"openings", true, false, MaxFrame - frameHeader},
	TypeComplaint:   {"complaint", false, true, complaintSize},
	TypeDispute:     {"dispute", false, true, disputeSize},
	TypeEvidence:    {"evidence", true, false, maxBody},
	TypeAbort:       {"abort", true, true, abortSize},
}

// String returns the message's name in §5.
func (t Type) String() string {
	if k, ok := kinds[t]; ok {
		return k.name
	}
	return fmt.Sprintf("type %#02x", uint8(t))
}

// Frame is one message on the wire:
// u8 version=1 ‖ u8 type ‖ u8 sender ‖ u32 len ‖ body ‖ signature[64] if signed (§5).
type Frame struct {
	Type      Type
	Sender    uint8 // index of the member, 0 for the coordinator
	Body      []byte
	Signature []byte // 64 bytes, or nil for an unsigned type
}

// MarshalBinary returns the frame's bytes. It refuses a frame that ParseFrame
// would refuse.
func (f Frame) MarshalBinary() ([]byte, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	return f.append(make([]byte, 0, f.size())), nil
}

func (f Frame) size() int { return frameHeader + len(f.Body) + len(f.Signature) }

func (f Frame) append(b []byte) []byte {
	b = append(b, frameVersion, uint8(f.Type), f.Sender)
	b = binary.BigEndian.AppendUint32(b, uint32(len(f.Body)))
	return append(append(b, f.Body...), f.Signature...)
}

// ParseFrame reads one frame that fills b exactly and keeps within the size
// of its type (S18). The body is not looked into. The frame refers to b.
func ParseFrame(b []byte) (Frame, error) {
	f, rest, err := cutFrame(b)
	if err == nil && len(rest) != 0 {
		err = fmt.Errorf("%w: %d bytes after a %s frame", ErrFormat, len(rest), f.Type)
	}
	if err != nil {
		return Frame{}, err
	}
	return f, nil
}

// cutFrame reads the frame at the start of b.
func cutFrame(b []byte) (f Frame, rest []byte, err error) {
	if len(b) < frameHeader || b[0] != frameVersion {
		return Frame{}, nil, fmt.Errorf("%w: frame header", ErrFormat)
	}
	f = Frame{Type: Type(b[1]), Sender: b[2]}
	k, known := kinds[f.Type]
	size := binary.BigEndian.Uint32(b[3:])
	b = b[frameHeader:]
	if !known || int64(size) > int64(k.max) || int64(size) > int64(len(b)) {
		return Frame{}, nil, fmt.Errorf("%w: %s frame of %d bytes", ErrFormat, f.Type, size)
	}
	f.Body, b = b[:size:size], b[size:]
	if k.signed {
		if len(b) < ed25519.SignatureSize {
			return Frame{}, nil, fmt.Errorf("%w: %s frame without a signature", ErrFormat, f.Type)
		}
		f.Signature, b = b[:ed25519.SignatureSize:ed25519.SignatureSize], b[ed25519.SignatureSize:]
	}
	return f, b, f.check()
}

func (f Frame) check() error {
	k, known := kinds[f.Type]
	switch {
	case !known || len(f.Body) > k.max:
		return fmt.Errorf("%w: %s frame of %d bytes", ErrFormat, f.Type, len(f.Body))
	case k.coordinator != (f.Sender == 0):
		return fmt.Errorf("%w: %s from %d", ErrSender, f.Type, f.Sender)
	case k.signed != (len(f.Signature) == ed25519.SignatureSize), !k.signed && len(f.Signature) != 0:
		return fmt.Errorf("%w: %s frame with a signature of %d bytes", ErrFormat, f.Type, len(f.Signature))
	}
	return nil
}

func (f Frame) equal(g Frame) bool {
	return f.Type == g.Type && f.Sender == g.Sender &&
		string(f.Body) == string(g.Body) && string(f.Signature) == string(g.Signature)
}

// Signer makes an Ed25519 signature over a message (S3). The key may live
// elsewhere.
type Signer func(message []byte) ([]byte, error)

// Seal encapsulates to the HPKE public key pk with the given info and returns
// the encapsulation (1120 bytes) and the exported bundle key (32 bytes) of
// S13. It draws randomness, so the driver brings it (S15); hpkeseal.Seal is one.
type Seal func(pk, info []byte) (enc, key []byte, err error)

// signedMessage returns the bytes a signature covers (S3).
func signedMessage(t Type, spec [32]byte, sender uint8, body []byte) []byte {
	tag := prefix + t.String()
	m := make([]byte, 0, 1+len(tag)+len(spec)+1+len(body))
	m = append(m, uint8(len(tag)))
	m = append(m, tag...)
	m = append(m, spec[:]...)
	m = append(m, sender)
	return append(m, body...)
}

func sign(s Signer, t Type, spec [32]byte, sender uint8, body []byte) (Frame, error) {
	sig, err := s(signedMessage(t, spec, sender, body))
	if err != nil {
		return Frame{}, fmt.Errorf("sign %s: %w", t, err)
	}
	f := Frame{Type: t, Sender: sender, Body: body, Signature: sig}
	return f, f.check()
}

// verify checks a frame's signature by the pinned key of its sender (S3, S10).
func (r Roster) verify(f Frame, spec [32]byte) error {
	key, ok := r.key(f.Sender)
	if !ok {
		return fmt.Errorf("%w: %s from unknown member %d", ErrSignature, f.Type, f.Sender)
	}
	verify := ed25519.Verify
	if r.verified != nil {
		verify = r.verified
	}
	if !verify(key, signedMessage(f.Type, spec, f.Sender, f.Body), f.Signature) {
		return fmt.Errorf("%w: %s from %d", ErrSignature, f.Type, f.Sender)
	}
	return nil
}
