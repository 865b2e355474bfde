package secagg_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
)

// reference computes a batch of one sum from its inputs by docs/protocol.md and
// the standard library alone: no code of this package takes part. It is slow,
// and simple enough to be read beside the document. What it computes on the
// way is noted by name, in order.
type reference struct {
	in     inputs
	enc    map[string]hexBytes // encapsulations by "dealer-holder"
	names  []string            // of values, in the order they were computed
	values map[string]hexBytes
	frames []namedFrame

	u1, u2, u3   []uint8
	dspec        []byte
	h1, h2, g    []byte
	h3           []byte
	private      map[uint8]ed25519.PrivateKey
	seeds        map[string][]byte // by secret
	shares       map[string][]byte // by secret and holder
	rows         map[string][]byte // leaf of a row, by "dealer-other"
	sum          []uint64
	signed       map[string][]byte // body and signature, by frame name
	maskedVector map[uint8][]uint64
}

type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// inputs is everything that the messages of the batch follow from, but the
// encapsulations, which stand in the bundles.
type inputs struct {
	Federation  hexBytes      `json:"federation"`
	Roster      hexBytes      `json:"roster"`
	Plan        hexBytes      `json:"plan"`
	Run         hexBytes      `json:"run"`
	Round       uint32        `json:"round"`
	Nonce       hexBytes      `json:"nonce"`
	Deadlines   [5]uint32     `json:"deadlines"`
	Sum         sumInputs     `json:"sum"`
	Number      uint32        `json:"number"`
	NextState   hexBytes      `json:"next_state"`
	NextModel   hexBytes      `json:"next_model"`
	Coordinator hexBytes      `json:"coordinator_identity_seed"`
	Members     []memberInput `json:"members"`
}

type sumInputs struct {
	Kind       uint8    `json:"kind"`
	Step       uint32   `json:"step"`
	Query      hexBytes `json:"query"`
	State      hexBytes `json:"state"`
	Model      hexBytes `json:"model"`
	Params     uint32   `json:"params"`
	Lanes      uint8    `json:"lanes"`
	Bits       uint8    `json:"bits"`
	ClipL2     float64  `json:"clip_l2"`
	ClipInf    float64  `json:"clip_inf"`
	WeightCap  uint32   `json:"weight_cap"`
	WeightBits uint8    `json:"weight_bits"`
	MinRows    uint32   `json:"min_rows"`
	Ints       uint32   `json:"ints"`
	IntMax     uint64   `json:"int_max"`
}

type memberInput struct {
	Index    uint8    `json:"index"`
	Identity hexBytes `json:"identity_seed"` // of Ed25519 (RFC 8032)
	Rho      hexBytes `json:"rho"`
	Vector   hexBytes `json:"vector,omitempty"` // plain words, little-endian; absent for the member that drops out before Mask
}

type namedFrame struct {
	Name string
	Data hexBytes
}

func u16be(v int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(v)) }
func u32be(v uint32) []byte {
	return binary.BigEndian.AppendUint32(nil, v)
}
func f64be(v float64) []byte { return binary.BigEndian.AppendUint64(nil, math.Float64bits(v)) }

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

const refTag = "koinon/secagg/v1/"

// refHash is H of S1.
func refHash(tag string, parts ...[]byte) []byte {
	b := append([]byte{byte(len(refTag + tag))}, refTag+tag...)
	for _, p := range parts {
		b = cat(b, u32be(uint32(len(p))), p)
	}
	d := sha256.Sum256(b)
	return d[:]
}

// refDerive is HKDF of S13.
func refDerive(secret, salt []byte, label string, numbers ...byte) []byte {
	out, err := hkdf.Key(sha256.New, secret, salt, refTag+label+string(numbers), 32)
	if err != nil {
		panic(err)
	}
	return out
}

// refCTR is AES-256-CTR with a zero counter, block by block.
func refCTR(key []byte, n int) (out []byte) {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	for counter := uint64(0); len(out) < n; counter++ {
		var b [16]byte
		binary.BigEndian.PutUint64(b[8:], counter)
		block.Encrypt(b[:], b[:])
		out = append(out, b[:]...)
	}
	return out[:n]
}

func refWords(b []byte) []uint64 {
	w := make([]uint64, len(b)/8)
	for i := range w {
		w[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return w
}

func refBytes(w []uint64) (b []byte) {
	for _, v := range w {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

// refSet is the bitmap of S2.
func refSet(members []uint8) []byte {
	b := make([]byte, 32)
	for _, i := range members {
		b[i/8] |= 1 << (i % 8)
	}
	return b
}

// refLeaf and refTree are MTH of RFC 6962, refPath its inclusion path from the
// leaf upwards, with the depth in front (S4, S18).
func refLeaf(data ...[]byte) []byte {
	d := sha256.Sum256(cat([]byte{0}, cat(data...)))
	return d[:]
}

func refTree(leaves [][]byte) []byte {
	if len(leaves) == 1 {
		return leaves[0]
	}
	k := refSplit(len(leaves))
	d := sha256.Sum256(cat([]byte{1}, refTree(leaves[:k]), refTree(leaves[k:])))
	return d[:]
}

func refSplit(n int) (k int) {
	for k = 1; 2*k < n; k *= 2 {
	}
	return k
}

func refPath(leaves [][]byte, i int) []byte {
	var path [][]byte
	for len(leaves) > 1 {
		k := refSplit(len(leaves))
		if i < k {
			path, leaves = append(path, refTree(leaves[k:])), leaves[:k]
		} else {
			path, leaves, i = append(path, refTree(leaves[:k])), leaves[k:], i-k
		}
	}
	slices.Reverse(path)
	return cat([]byte{byte(len(path))}, cat(path...))
}

// refMul is the product in GF(2^8) with x^8+x^4+x^3+x+1 (S17).
func refMul(a, b byte) (p byte) {
	for ; b > 0; b >>= 1 {
		if b&1 == 1 {
			p ^= a
		}
		carry := a >> 7
		a = a<<1 ^ carry*0x1b
	}
	return p
}

// refShare evaluates seed + c1·x + c2·x² + … byte by byte.
func refShare(seed, coefficients []byte, x byte) []byte {
	y := bytes.Clone(seed)
	power := byte(1)
	for len(coefficients) > 0 {
		power = refMul(power, x)
		for i := range y {
			y[i] ^= refMul(coefficients[i], power)
		}
		coefficients = coefficients[len(seed):]
	}
	return y
}

// refSecret names a seed: (0, i, i) or (1, lower, higher) (S18).
type refSecret struct{ kind, a, b uint8 }

func refPair(i, j uint8) refSecret { return refSecret{1, min(i, j), max(i, j)} }

// dealer is S14.
func (s refSecret) dealer() uint8 {
	if s.kind == 0 || (s.b-s.a)%2 == 1 {
		return s.a
	}
	return s.b
}

func (s refSecret) other() uint8 {
	if s.dealer() == s.a {
		return s.b
	}
	return s.a
}

func (s refSecret) bytes() []byte { return []byte{s.kind, s.a, s.b} }

func (s refSecret) String() string {
	if s.kind == 0 {
		return fmt.Sprintf("self %d", s.a)
	}
	return fmt.Sprintf("pair %d-%d", s.a, s.b)
}

// refDealt is the order of S20.
func refDealt(i uint8, u1 []uint8) []refSecret {
	list := []refSecret{{0, i, i}}
	for _, j := range u1 {
		if j != i && refPair(i, j).dealer() == i {
			list = append(list, refPair(i, j))
		}
	}
	return list
}

func (r *reference) note(value []byte, name string, a ...any) []byte {
	name = fmt.Sprintf(name, a...)
	if _, twice := r.values[name]; twice {
		panic("noted twice: " + name)
	}
	r.names = append(r.names, name)
	r.values[name] = value
	return value
}

// frame notes a frame of §5, signed by S3 when sign is set, and returns body and signature.
func (r *reference) frame(name string, typ, sender uint8, sign bool, body []byte) []byte {
	var signature []byte
	if sign {
		spec := r.dspec
		if typ == 0x01 {
			spec = make([]byte, 32)
		}
		tag := refTag + strings.Fields(name)[0]
		signature = ed25519.Sign(r.private[sender], cat([]byte{byte(len(tag))}, []byte(tag), spec, []byte{sender}, body))
	}
	r.frames = append(r.frames, namedFrame{name, cat([]byte{1, typ, sender}, u32be(uint32(len(body))), body, signature)})
	r.signed[name] = cat(body, signature)
	return r.signed[name]
}

// bundleKey opens an encapsulation: HPKE base mode, export only.
func (r *reference) bundleKey(seed, enc, info []byte) []byte {
	sk, err := hpke.MLKEM768X25519().DeriveKeyPair(seed)
	if err != nil {
		panic(err)
	}
	c, err := hpke.NewRecipient(enc, sk, hpke.HKDFSHA256(), hpke.ExportOnly(), info)
	if err != nil {
		panic(err)
	}
	key, err := c.Export(refTag+"bundle/key", 32)
	if err != nil {
		panic(err)
	}
	return key
}

func refSeal(key, plain []byte) []byte {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead.Seal(nil, make([]byte, 12), plain, nil)
}
