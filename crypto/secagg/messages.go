package secagg

import (
	"encoding/binary"
	"fmt"
)

const (
	publicKeySize = 1216 // MLKEM768-X25519
	encSize       = 1120
	advertSize    = 32 + 1 + publicKeySize + 32
	revealSize    = 64
	shareSize     = 96
	rowSize       = 97
	maskSize      = 70
	agreeSize     = 66
	resultSize    = 2 + 5*32 + 4
	complaintSize = 34
	disputeSize   = 2
	abortSize     = 35
)

// advert is message 10.
type advert struct {
	spec   [32]byte
	follow bool // trains on the announced model without having checked it (S62)
	pk     [publicKeySize]byte
	nonce  [32]byte
}

func (m advert) body() []byte {
	b := append(make([]byte, 0, advertSize), m.spec[:]...)
	if m.follow {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	return append(append(b, m.pk[:]...), m.nonce[:]...)
}

func parseAdvert(b []byte) (m advert, err error) {
	r := reader{b: b}
	m.spec = r.b32()
	follow := r.u8()
	m.follow, r.bad = follow == 1, r.bad || follow > 1
	copy(m.pk[:], r.take(publicKeySize))
	m.nonce = r.b32()
	return m, r.end(TypeAdvert)
}

// reveal is message 11, of version 2.
type reveal struct{ h1, draw [32]byte }

func (m reveal) body() []byte {
	return append(append(make([]byte, 0, revealSize), m.h1[:]...), m.draw[:]...)
}

func parseReveal(b []byte) (reveal, error) {
	r := reader{b: b}
	m := reveal{h1: r.b32(), draw: r.b32()}
	return m, r.end(TypeReveal)
}

// share is message 20.
type share struct{ h1, selfRoot, rowRoot [32]byte }

func (m share) body() []byte {
	b := append(make([]byte, 0, shareSize), m.h1[:]...)
	return append(append(b, m.selfRoot[:]...), m.rowRoot[:]...)
}

func parseShare(b []byte) (share, error) {
	r := reader{b: b}
	m := share{h1: r.b32(), selfRoot: r.b32(), rowRoot: r.b32()}
	return m, r.end(TypeShare)
}

// row is message 21: what a dealer committed to for one member, and the path
// from it to the dealer's row_root (S22).
type row struct {
	other                       uint8
	pairRoot, shareRoot, bundle [32]byte
	path                        [][32]byte
}

// leaf returns the 97 bytes under row_root.
func (m row) leaf() []byte {
	b := append(make([]byte, 0, rowSize+1+32*len(m.path)), m.other)
	b = append(b, m.pairRoot[:]...)
	return append(append(b, m.shareRoot[:]...), m.bundle[:]...)
}

func (m row) body() []byte { return appendPath(m.leaf(), m.path) }

func (r *reader) row() row {
	m := row{other: r.u8(), pairRoot: r.b32(), shareRoot: r.b32(), bundle: r.b32()}
	m.path = r.path(maxDepth)
	return m
}

func parseRow(b []byte) (row, error) {
	r := reader{b: b}
	m := r.row()
	return m, r.end(TypeRow)
}

// bundle is message 22; its body is what a row's digest covers.
type bundle struct {
	enc [encSize]byte
	ct  []byte
}

func (m bundle) body() []byte {
	b := append(make([]byte, 0, encSize+4+len(m.ct)), m.enc[:]...)
	return append(binary.BigEndian.AppendUint32(b, uint32(len(m.ct))), m.ct...)
}

func parseBundle(b []byte) (m bundle, err error) {
	r := reader{b: b}
	copy(m.enc[:], r.take(encSize))
	n := r.u32()
	if int64(n) > int64(len(r.b)) {
		return bundle{}, fmt.Errorf("%w: bundle", ErrFormat)
	}
	m.ct = r.take(int(n))
	return m, r.end(TypeBundle)
}

// leaves is message 23, sent only in batches of more than one sum.
type leaves struct{ hashes [][32]byte }

func (m leaves) body() []byte { return appendHashes(nil, m.hashes) }

func parseLeaves(b []byte) (leaves, error) {
	r := reader{b: b}
	m := leaves{hashes: r.hashes(len(b) / 32)}
	return m, r.end(TypeLeaves)
}

// mask is message 30.
type mask struct {
	k       uint16
	g, root [32]byte
	words   uint32
}

func (m mask) body() []byte {
	b := binary.BigEndian.AppendUint16(make([]byte, 0, maskSize), m.k)
	b = append(append(b, m.g[:]...), m.root[:]...)
	return binary.BigEndian.AppendUint32(b, m.words)
}

func parseMask(b []byte) (mask, error) {
	r := reader{b: b}
	m := mask{k: r.u16(), g: r.b32(), root: r.b32(), words: r.u32()}
	return m, r.end(TypeMask)
}

// chunkHashes is message 31.
type chunkHashes struct{ hashes [][32]byte }

func (m chunkHashes) body() []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 4+32*len(m.hashes)), uint32(len(m.hashes)))
	return appendHashes(b, m.hashes)
}

func parseHashes(b []byte) (chunkHashes, error) {
	r := reader{b: b}
	n := r.u32()
	if n > maxChunks {
		return chunkHashes{}, fmt.Errorf("%w: %d chunk hashes", ErrFormat, n)
	}
	m := chunkHashes{hashes: r.hashes(int(n))}
	return m, r.end(TypeHashes)
}
