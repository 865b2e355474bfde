package secagg

import (
	"fmt"

	"github.com/koinon-eu/koinon/crypto/ring"
)

// FalseSum makes evidence of kind 5 from what SpotCheck refused: frames are those
// of VerifyRound, uploads and sum chunk q with its paths. reporter is the member
// that makes it. CheckEvidence, which anyone with the roster can ask, names the
// coordinator. The evidence has a chunk of every survivor, 64 KiB · |U3| and some
// more: it is kept and shown, and goes into no frame.
func FalseSum(frames []Frame, reporter uint8, k uint16, q uint32, uploads map[uint8]Proof, sum Proof) []byte {
	all := append([]Frame(nil), frames...)
	var from Set
	for j := range uploads {
		from = from.With(j)
	}
	path := func(sender uint8, hashes [][32]byte) Frame {
		return Frame{Type: TypeLeaves, Sender: sender, Body: leaves{hashes: hashes}.body()}
	}
	for _, j := range from.Members() {
		p := uploads[j]
		all = append(all, Frame{Type: TypeChunk, Sender: j, Body: chunk{k: k, index: q, data: p.Data}.body()}, path(j, p.Path))
	}
	leaf := append([][32]byte{ChunkHash(q, sum.Data)}, sum.Path...)
	return evidence(BlameSum, append(all, path(reporter, leaf))...)
}

// falseSum judges kind 5: the frames of a published round, for each survivor a
// chunk with its path, and the leaf of the sum's chunk with its path. The roots of
// the uploads are in h3, the seeds are the committed ones and sum_root is signed,
// so that only one leaf is right. An error means that nothing is proven.
func (p *proof) falseSum() error {
	closed, err := p.published()
	if err != nil {
		return err
	}
	q, right, err := p.chunks(closed)
	if err != nil {
		return err
	}
	f, err := p.one(TypeLeaves)
	if err != nil {
		return err
	}
	m, err := parseLeaves(f.Body)
	if err != nil {
		return err
	}
	if len(p.frames) != 0 || len(m.hashes) == 0 || m.hashes[0] == right ||
		!VerifyPath(m.hashes[0], int(q), Chunks(closed.Words), m.hashes[1:], closed.SumRoot) {
		return p.nothing()
	}
	return nil
}

// published reads the frames of a published round, whichever it is.
func (p *proof) published() (*Closed, error) {
	sum, err := p.one(TypeSum)
	if err != nil {
		return nil, err
	}
	if p.v, err = openView(p.r, p.spec, sum); err != nil {
		return nil, err
	}
	if err := p.v.sum.Validate(int(p.v.spec.N)); err != nil {
		return nil, err
	}
	return p.round(0)
}

// chunks reads one chunk of every survivor and returns its number and the leaf
// that the sum must have there.
func (p *proof) chunks(closed *Closed) (q uint32, leaf [32]byte, err error) {
	uploads := map[uint8]Proof{}
	for _, j := range closed.Survivors.Members() {
		fc, err := p.one(TypeChunk)
		if err != nil {
			return 0, leaf, err
		}
		fp, err := p.one(TypeLeaves)
		if err != nil {
			return 0, leaf, err
		}
		c, err := parseChunk(fc.Body)
		if err != nil {
			return 0, leaf, err
		}
		path, err := parseLeaves(fp.Body)
		if err != nil {
			return 0, leaf, err
		}
		if fc.Sender != j || c.k != p.v.sum.K || len(uploads) > 0 && c.index != q {
			return 0, leaf, fmt.Errorf("%w: chunk in evidence", ErrTranscript)
		}
		q, uploads[j] = c.index, Proof{Data: c.data, Path: path.hashes}
	}
	total, err := closed.chunk(q, uploads)
	if err != nil {
		return 0, leaf, err
	}
	return q, ChunkHash(q, ring.AppendLE(nil, total)), nil
}
