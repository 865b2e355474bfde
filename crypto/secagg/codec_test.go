package secagg

import (
	"bytes"
	"crypto/ed25519"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// codecs decode a body and encode it again.
var codecs = map[Type]func([]byte) ([]byte, error){
	TypeSpec:        codec(ParseSpec),
	TypeSum:         codec(ParseSum),
	TypeAdvert:      codec(parseAdvert),
	TypeReveal:      codec(parseReveal),
	TypeShare:       codec(parseShare),
	TypeRow:         codec(parseRow),
	TypeBundle:      codec(parseBundle),
	TypeLeaves:      codec(parseLeaves),
	TypeMask:        codec(parseMask),
	TypeHashes:      codec(parseHashes),
	TypeChunk:       codec(parseChunk),
	TypeSurvivors:   codec(parseSurvivors),
	TypeAgree:       codec(parseAgree),
	TypeCertificate: codec(parseCertificate),
	TypeUnmask:      codec(parseUnmask),
	TypeResult:      codec(parseResult),
	TypeOpenings:    codec(parseOpenings),
	TypeComplaint:   codec(parseComplaint),
	TypeDispute:     codec(parseDispute),
	TypeAbort:       codec(parseAbort),
}

func codec[M interface{ body() []byte }](parse func([]byte) (M, error)) func([]byte) ([]byte, error) {
	return func(b []byte) ([]byte, error) {
		m, err := parse(b)
		if err != nil {
			return nil, err
		}
		return m.body(), nil
	}
}

// samples has a body of every type with a codec.
func samples() map[Type][]byte {
	h := func(n int) (l [][32]byte) {
		for i := range n {
			l = append(l, hash("sample", []byte{byte(i)}))
		}
		return l
	}
	r := row{other: 3, pairRoot: h(1)[0], shareRoot: h(2)[1], bundle: h(3)[2], path: h(3)}
	return map[Type][]byte{
		TypeSpec:        Spec{Round: 3, Cohort: SetOf(1, 2, 200), N: 3, T: 3, Sums: 1, Deadlines: [5]uint32{1, 2, 3, 4, 5}, First: h(1)[0]}.body(),
		TypeSum:         Sum{Round: 3, K: 1, Kind: 2, Step: 9, ClipL2: 1.5, ClipInf: 0.25, WeightCap: 1 << 20, WeightBits: 4, MinRows: 1, Ints: 3, IntMax: 1 << 40, Params: 7, Lanes: 2, Bits: 24}.body(),
		TypeAdvert:      advert{spec: h(1)[0], follow: true, nonce: h(2)[1]}.body(),
		TypeReveal:      reveal{h1: h(1)[0], draw: h(2)[1]}.body(),
		TypeShare:       share{h1: h(1)[0], selfRoot: h(2)[1], rowRoot: h(3)[2]}.body(),
		TypeRow:         r.body(),
		TypeBundle:      bundle{ct: []byte("sealed")}.body(),
		TypeLeaves:      leaves{hashes: h(4)}.body(),
		TypeMask:        mask{k: 1, g: h(1)[0], root: h(2)[1], words: 77}.body(),
		TypeHashes:      chunkHashes{hashes: h(3)}.body(),
		TypeChunk:       chunk{k: 1, index: 2, data: make([]byte, 24)}.body(),
		TypeSurvivors:   survivors{k: 1, set: SetOf(4, 5), blame: h(2)}.body(),
		TypeAgree:       agree{k: 1, g: h(1)[0], h3: h(2)[1]}.body(),
		TypeCertificate: certificate{k: 1, signs: []agreement{{member: 2}, {member: 9}}}.body(),
		TypeUnmask:      unmask{k: 1, h3: h(1)[0], items: []unmaskItem{{secret: selfID(1), share: h(1)[0]}, {secret: pairID(1, 2), path: h(2)}}}.body(),
		TypeResult:      result{k: 1, h3: h(1)[0], words: 4}.body(),
		TypeOpenings:    openings{list: []opening{{secret: selfID(1), seed: h(1)[0]}, {secret: pairID(2, 1), row: r}}}.body(),
		TypeComplaint:   complaint{dealer: 2, reason: 1, key: h(1)[0]}.body(),
		TypeDispute:     dispute{dealer: 2, reason: 1}.body(),
		TypeAbort:       abort{k: 1, reason: ReasonRange, evidence: h(1)[0]}.body(),
	}
}

// frameOf makes a frame that passes ParseFrame.
func frameOf(t Type, body []byte) Frame {
	f := Frame{Type: t, Body: body}
	if !kinds[t].coordinator {
		f.Sender = 7
	}
	if kinds[t].signed {
		f.Signature = bytes.Repeat([]byte{5}, ed25519.SignatureSize)
	}
	return f
}

// S18: every body and frame survives the round trip; one byte more or less does not.
func TestCodecs(t *testing.T) {
	for typ, body := range samples() {
		again, err := codecs[typ](body)
		require.NoError(t, err, typ)
		require.Equal(t, body, again, typ)
		b, err := frameOf(typ, body).MarshalBinary()
		require.NoError(t, err, typ)
		f, err := ParseFrame(b)
		require.NoError(t, err, typ)
		require.Equal(t, frameOf(typ, body), f)
		_, err = ParseFrame(b[:len(b)-1])
		require.ErrorIs(t, err, ErrFormat, typ)
		_, err = ParseFrame(append(b, 0))
		require.ErrorIs(t, err, ErrFormat, typ)
		if typ != TypeLeaves && typ != TypeChunk {
			_, err = codecs[typ](body[:len(body)-1])
			require.ErrorIs(t, err, ErrFormat, typ)
			_, err = codecs[typ](append(bytes.Clone(body), 0))
			require.ErrorIs(t, err, ErrFormat, typ)
		}
	}
}

// §5: the largest frames.
func TestFrameSizes(t *testing.T) {
	signed := func(typ Type) int { return frameHeader + kinds[typ].max + ed25519.SignatureSize }
	require.Equal(t, 307, signed(TypeSpec))
	require.Equal(t, 301, signed(TypeSum))
	require.Equal(t, 1352, signed(TypeAdvert))
	require.Equal(t, 167, signed(TypeShare))
	require.Equal(t, 141, signed(TypeMask))
	require.Equal(t, 640<<10, frameHeader+kinds[TypeBundle].max)
	require.Equal(t, 640<<10, frameHeader+kinds[TypeLeaves].max)
	require.Equal(t, 524299, frameHeader+kinds[TypeHashes].max)
	require.Equal(t, 65549, frameHeader+kinds[TypeChunk].max)
	require.Equal(t, 16<<10, signed(TypeSurvivors))
	require.Equal(t, 137, signed(TypeAgree))
	require.Equal(t, 16585, frameHeader+kinds[TypeCertificate].max)
	require.Equal(t, 2<<20, signed(TypeUnmask))
	require.Equal(t, 4<<20, frameHeader+kinds[TypeOpenings].max)
	require.Equal(t, 361, frameHeader+kinds[TypeRow].max)
	require.Equal(t, 135, signed(TypeReveal)) // V4
	require.Equal(t, 105, signed(TypeComplaint))
	require.Equal(t, 73, signed(TypeDispute))
	require.Equal(t, 106, signed(TypeAbort))
}

// S2, S18: values that could be written in two ways, or not at all.
func TestCodecsRefuse(t *testing.T) {
	s := samples()
	spoil := func(typ Type, at int, b ...byte) error {
		body := bytes.Clone(s[typ])
		copy(body[at:], b)
		_, err := codecs[typ](body)
		return err
	}
	require.Error(t, spoil(TypeSpec, 148, 1), "member 0")
	require.Error(t, spoil(TypeSum, 129, 0x7f, 0xf8), "not a number")
	require.Error(t, spoil(TypeSum, 129, 0x80, 0, 0, 0, 0, 0, 0, 0), "negative zero")
	require.Error(t, spoil(TypeAdvert, 32, 2), "follow")
	require.Error(t, spoil(TypeCertificate, 3, 9), "order")
	require.Error(t, spoil(TypeUnmask, 36, 1), "order")
	require.Error(t, spoil(TypeUnmask, 37, 0), "zero member")
	require.Error(t, spoil(TypeOpenings, 2, 2), "kind")
	require.Equal(t, 1.5, math.Float64frombits(0x3ff8000000000000))
}

func FuzzDecode(f *testing.F) {
	for typ, body := range samples() {
		f.Add(uint8(typ), body)
	}
	f.Fuzz(func(t *testing.T, typ uint8, body []byte) {
		decode, ok := codecs[Type(typ)]
		if !ok {
			return
		}
		if again, err := decode(body); err == nil {
			require.True(t, bytes.Equal(body, again), "%x became %x", body, again)
		}
	})
}

func FuzzParseFrame(f *testing.F) {
	for typ, body := range samples() {
		b, err := frameOf(typ, body).MarshalBinary()
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, err := ParseFrame(b)
		if err != nil {
			return
		}
		again, err := fr.MarshalBinary()
		require.NoError(t, err)
		require.Equal(t, b, again)
	})
}

// Secret bytes of a decrypted bundle come from another member.
func FuzzCheckBundle(f *testing.F) {
	u1 := SetOf(1, 2, 3, 4)
	q := len(dealt(1, u1))
	f.Add(bundlePlain(1, make([][32]byte, q), &secrets{b: [][32]byte{{1}}}), uint16(1))
	f.Add(bundlePlain(3, make([][32]byte, 3*q), newSecrets(3)), uint16(3))
	f.Fuzz(func(t *testing.T, plain []byte, m uint16) {
		_, reason := checkBundle(plain, row{}, [32]byte{}, int(m%(MaxSums+1)), u1, 1, 2)
		require.NotZero(t, reason) // a root of zeros has no leaves
	})
}
