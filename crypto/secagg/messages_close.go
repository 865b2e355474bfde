package secagg

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
)

// survivors is message 40; the `mask` frames of its members follow it.
type survivors struct {
	k     uint16
	set   Set
	blame [][32]byte // digests of the evidence that S33 asks for
}

func (m survivors) body() []byte {
	b := append(u16(m.k), m.set[:]...)
	return appendHashes(append(b, uint8(len(m.blame))), m.blame)
}

func parseSurvivors(b []byte) (survivors, error) {
	r := reader{b: b}
	m := survivors{k: r.u16(), set: r.set()}
	m.blame = r.hashes(int(r.u8()))
	return m, r.end(TypeSurvivors)
}

// agree is message 41.
type agree struct {
	k     uint16
	g, h3 [32]byte
}

func (m agree) body() []byte {
	b := binary.BigEndian.AppendUint16(make([]byte, 0, agreeSize), m.k)
	return append(append(b, m.g[:]...), m.h3[:]...)
}

func parseAgree(b []byte) (agree, error) {
	r := reader{b: b}
	m := agree{k: r.u16(), g: r.b32(), h3: r.b32()}
	return m, r.end(TypeAgree)
}

// certificate is message 50: signatures over `agree`, members ascending.
type certificate struct {
	k     uint16
	signs []agreement
}

type agreement struct {
	member    uint8
	signature [ed25519.SignatureSize]byte
}

func (m certificate) body() []byte {
	b := append(u16(m.k), uint8(len(m.signs)))
	for _, s := range m.signs {
		b = append(append(b, s.member), s.signature[:]...)
	}
	return b
}

func parseCertificate(b []byte) (certificate, error) {
	r := reader{b: b}
	m := certificate{k: r.u16()}
	last := uint8(0)
	for range r.u8() {
		s := agreement{member: r.u8(), signature: [64]byte(r.take(ed25519.SignatureSize))}
		if r.bad || s.member <= last {
			return certificate{}, fmt.Errorf("%w: certificate", ErrFormat)
		}
		last, m.signs = s.member, append(m.signs, s)
	}
	return m, r.end(TypeCertificate)
}

// Kinds of a secret: the seed of a member's own mask, and the seed of a pair.
const (
	kindSelf = 0
	kindPair = 1
)

// secretID names a seed of one sum: (self, i, i) or (pair, lo, hi).
type secretID struct{ kind, a, b uint8 }

func selfID(i uint8) secretID { return secretID{kindSelf, i, i} }

func pairID(i, j uint8) secretID { return secretID{kindPair, min(i, j), max(i, j)} }

// dealer returns who made and shared the seed (S14).
func (s secretID) dealer() uint8 {
	if s.kind == kindSelf || (s.b-s.a)%2 == 1 {
		return s.a
	}
	return s.b
}

// other returns the member of the pair that is not the dealer; the dealer
// itself for a self seed.
func (s secretID) other() uint8 { return s.a ^ s.b ^ s.dealer() }

func (s secretID) valid() bool {
	return s.a != 0 && (s.kind == kindSelf && s.a == s.b || s.kind == kindPair && s.a < s.b)
}

// less orders by (kind, a, b).
func (s secretID) less(o secretID) bool {
	if s.kind != o.kind {
		return s.kind < o.kind
	}
	if s.a != o.a {
		return s.a < o.a
	}
	return s.b < o.b
}

func (s secretID) append(b []byte) []byte { return append(b, s.kind, s.a, s.b) }

// unmask is message 51.
type unmask struct {
	k     uint16
	h3    [32]byte
	items []unmaskItem
}

// unmaskItem is a holder's share of a seed and the path to the dealer's share_root.
type unmaskItem struct {
	secret secretID
	share  [32]byte
	path   [][32]byte
}

// maxShareDepth bounds a path in a tree over all shares of one holder: m·q leaves.
const maxShareDepth = 15

func (m unmask) body() []byte {
	b := append(u16(m.k), m.h3[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(m.items)))
	for i := range m.items {
		b = append(m.items[i].secret.append(b), m.items[i].share[:]...)
		b = appendPath(b, m.items[i].path)
	}
	return b
}

func parseUnmask(b []byte) (unmask, error) {
	r := reader{b: b}
	m := unmask{k: r.u16(), h3: r.b32()}
	last := secretID{}
	for range r.u16() {
		it := unmaskItem{secret: secretID{r.u8(), r.u8(), r.u8()}, share: r.b32()}
		it.path = r.path(maxShareDepth)
		if r.bad || !it.secret.valid() || !last.less(it.secret) {
			return unmask{}, fmt.Errorf("%w: unmask", ErrFormat)
		}
		last, m.items = it.secret, append(m.items, it)
	}
	return m, r.end(TypeUnmask)
}

// result is message 60.
type result struct {
	k            uint16
	h3, sumRoot  [32]byte
	words        uint32
	state, model [32]byte
	openingsRoot [32]byte // MTH over the openings
}

func (m result) body() []byte {
	b := append(u16(m.k), m.h3[:]...)
	b = binary.BigEndian.AppendUint32(append(b, m.sumRoot[:]...), m.words)
	return append(append(append(b, m.state[:]...), m.model[:]...), m.openingsRoot[:]...)
}

func parseResult(b []byte) (result, error) {
	r := reader{b: b}
	m := result{k: r.u16(), h3: r.b32(), sumRoot: r.b32(), words: r.u32(), state: r.b32(), model: r.b32(), openingsRoot: r.b32()}
	return m, r.end(TypeResult)
}

// opening is a seed with the proof that it is the committed one: a path to
// self_root, or to pair_root in a row of the dealer.
type opening struct {
	secret secretID
	seed   [32]byte
	path   [][32]byte
	row    row // only for a pair
}

func (o opening) append(b []byte) []byte {
	b = append(o.secret.append(b), o.seed[:]...)
	b = appendPath(b, o.path)
	if o.secret.kind == kindPair {
		b = append(b, o.row.body()...)
	}
	return b
}

// openings is message 61: u16 count, then the openings ordered by (kind, a, b).
type openings struct{ list []opening }

// maxSumDepth bounds a path over the sums of a batch.
const maxSumDepth = 10

func (m openings) body() []byte {
	b := u16(uint16(len(m.list)))
	for i := range m.list {
		b = m.list[i].append(b)
	}
	return b
}

// root returns openings_root: MTH with each opening's bytes as a leaf.
func (m openings) root() [32]byte {
	l := make([][32]byte, len(m.list))
	for i := range m.list {
		l[i] = leafHash(m.list[i].append(nil))
	}
	return MerkleRoot(l)
}

func parseOpenings(b []byte) (openings, error) {
	r := reader{b: b}
	var m openings
	last := secretID{}
	for range r.u16() {
		o := opening{secret: secretID{r.u8(), r.u8(), r.u8()}, seed: r.b32()}
		o.path = r.path(maxSumDepth)
		if o.secret.kind == kindPair {
			o.row = r.row()
		}
		if r.bad || !o.secret.valid() || !last.less(o.secret) {
			return openings{}, fmt.Errorf("%w: openings", ErrFormat)
		}
		last, m.list = o.secret, append(m.list, o)
	}
	return m, r.end(TypeOpenings)
}

// complaint is message 70: the bundle key shows what the dealer sent (S69).
type complaint struct {
	dealer, reason uint8
	key            [32]byte
}

func (m complaint) body() []byte { return append([]byte{m.dealer, m.reason}, m.key[:]...) }

func parseComplaint(b []byte) (complaint, error) {
	r := reader{b: b}
	m := complaint{dealer: r.u8(), reason: r.u8(), key: r.b32()}
	return m, r.end(TypeComplaint)
}

// dispute is message 71: a bundle did not open (S70).
type dispute struct{ dealer, reason uint8 }

func (m dispute) body() []byte { return []byte{m.dealer, m.reason} }

func parseDispute(b []byte) (dispute, error) {
	r := reader{b: b}
	m := dispute{dealer: r.u8(), reason: r.u8()}
	return m, r.end(TypeDispute)
}

// abort is message 7f; k = 0 ends the batch, another k one sum.
type abort struct {
	k        uint16
	reason   uint8
	evidence [32]byte
}

func (m abort) body() []byte { return append(append(u16(m.k), m.reason), m.evidence[:]...) }

func parseAbort(b []byte) (abort, error) {
	r := reader{b: b}
	m := abort{k: r.u16(), reason: r.u8(), evidence: r.b32()}
	return m, r.end(TypeAbort)
}
