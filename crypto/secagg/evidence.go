package secagg

import (
	"fmt"

	"github.com/koinon-eu/koinon/crypto/ring"
)

// Equivocations makes evidence of kind 4 of every pair of signed messages in two
// packets that one sender may not have signed both of: same type, sender and sum,
// and another body (S30, S68). spec is the frame that opened the batch. Evidence
// that CheckEvidence does not accept, for a signature that does not hold, is left
// out.
func Equivocations(r Roster, spec Frame, first, second []Frame) [][]byte {
	var out [][]byte
	for _, a := range first {
		for _, b := range second {
			if a.Type != b.Type || a.Sender != b.Sender || string(a.Body) == string(b.Body) {
				continue
			}
			e := evidence(BlameEquivocation, spec, a, b)
			if _, _, err := CheckEvidence(r, e); err == nil {
				out = append(out, e)
			}
		}
	}
	return out
}

// FalseModel makes evidence of kind 6 from a published sum of which something else
// follows than was announced: frames are those of VerifyRound, computed is the
// digest of the model that reporter computed from the sum, zero when the sum cannot
// be computed with, and k is the place of the sum in its batch. words is the sum
// itself; without it (nil) who recomputes needs the sum from elsewhere.
func FalseModel(frames []Frame, reporter uint8, k uint16, computed [32]byte, words []uint64) []byte {
	all := append([]Frame(nil), frames...)
	all = append(all, Frame{Type: TypeLeaves, Sender: reporter, Body: leaves{hashes: [][32]byte{computed}}.body()})
	whole := Upload{Words: words}
	for q := range Chunks(len(words)) {
		all = append(all, Frame{Type: TypeChunk, Sender: reporter, Body: chunk{k: k, index: uint32(q), data: whole.Chunk(q)}.body()})
	}
	return evidence(BlameModel, all...)
}

// ModelClaim is evidence of kind 6, read and found to be of a published round. Whether
// Closed.Model follows from Words is judged where models are: by a member whose state
// is Sum.State, who computes it again and compares (S58, S60).
type ModelClaim struct {
	Spec     Spec
	Sum      Sum
	Closed   Closed
	Reporter uint8
	Computed [32]byte // by the reporter; zero when the sum could not be computed with
	Words    []uint64 // the published sum, which leads to Closed.SumRoot; nil: not kept
}

// ReadModelClaim reads evidence of kind 6. Everything that is signed in it has been
// verified by the roster; an error means that it is no published round, or that its
// words are not the announced ones.
func ReadModelClaim(r Roster, e []byte) (ModelClaim, error) {
	p, err := readProof(r, e)
	if err != nil {
		return ModelClaim{}, err
	}
	if e[0] != BlameModel {
		return ModelClaim{}, fmt.Errorf("%w: evidence of kind %d", ErrFormat, e[0])
	}
	return p.model()
}

// model reads the frames of kind 6.
func (p *proof) model() (c ModelClaim, err error) {
	closed, err := p.published()
	if err != nil {
		return c, err
	}
	closed.Sigma = StepDigest(p.v.spec.Federation, p.v.spec.Plan, p.v.sum)
	f, err := p.one(TypeLeaves)
	if err != nil {
		return c, err
	}
	m, err := parseLeaves(f.Body)
	if err == nil && len(m.hashes) != 1 {
		err = p.nothing()
	}
	if err != nil {
		return c, err
	}
	c = ModelClaim{Spec: p.v.spec, Sum: p.v.sum, Closed: *closed, Reporter: f.Sender, Computed: m.hashes[0]}
	if len(p.frames) == 0 {
		return c, nil
	}
	c.Words, err = p.words(closed.Words)
	if err == nil && SumRoot(c.Words) != closed.SumRoot {
		err = fmt.Errorf("%w: the words in evidence are not the announced ones", ErrTranscript)
	}
	return c, err
}

// words reads the chunks of a whole vector, and nothing after them.
func (p *proof) words(n int) ([]uint64, error) {
	if len(p.frames) != Chunks(n) {
		return nil, fmt.Errorf("%w: %d chunks in evidence", ErrTranscript, len(p.frames))
	}
	words := make([]uint64, 0, n)
	for q, f := range p.frames {
		if f.Type != TypeChunk {
			return nil, fmt.Errorf("%w: %s in evidence", ErrTranscript, f.Type)
		}
		c, err := parseChunk(f.Body)
		if err != nil {
			return nil, err
		}
		w, err := ring.FromLE(c.data)
		if err != nil || c.k != p.v.sum.K || c.index != uint32(q) || len(c.data) != ChunkBytes(n, uint32(q)) {
			return nil, fmt.Errorf("%w: chunk in evidence", ErrTranscript)
		}
		words = append(words, w...)
	}
	return words, nil
}

// falseModel judges kind 6 as far as the roster alone goes: a state that does not
// follow from what stands beside it (S58), or a sum that is out of range and was
// published all the same (S48). That a model does not follow from the sum only a
// recomputation shows: see ModelClaim.
func (p *proof) falseModel() error {
	c, err := p.model()
	if err != nil {
		return err
	}
	if c.Closed.State != NextState(c.Sum.State, c.Closed.Sigma, c.Closed.H3, c.Closed.SumRoot, c.Closed.Model) {
		return nil
	}
	s := c.Sum
	if c.Words != nil && CheckSum(s.Layout(), c.Words, c.Closed.Survivors.Len(), s.WeightCap, s.IntMax) != nil {
		return nil
	}
	return p.nothing()
}

// Signed says how the signatures in evidence stand.
type Signed struct {
	Valid, Wrong int
	First        string // the first wrong one, in words
}

// Inspection is what evidence says about itself, with nothing of it proven yet.
type Inspection struct {
	Kind    uint8 // BlameComplaint is told from BlameBundle only by CheckEvidence
	Spec    Spec
	K       uint16 // place of the sum in its batch, 0 when it is about the set-up
	Round   uint32 // of that sum, or the batch's first
	Signed  Signed
	Frames  int
	Vectors bool // the frames hold parts of masked vectors or of a sum
}

// InspectEvidence reads evidence without judging it: what it is about, and which of its
// signatures the roster's keys made. An error means that it is no evidence at all.
func InspectEvidence(r Roster, e []byte) (Inspection, error) {
	if len(e) == 0 {
		return Inspection{}, fmt.Errorf("%w: empty evidence", ErrFormat)
	}
	in := Inspection{Kind: e[0]}
	var dspec [32]byte
	for rest := e[1:]; len(rest) > 0; in.Frames++ {
		var f Frame
		var err error
		if f, rest, err = cutFrame(rest); err != nil {
			return Inspection{}, err
		}
		if in.Frames == 0 {
			if f.Type != TypeSpec {
				return Inspection{}, fmt.Errorf("%w: evidence without spec", ErrFormat)
			}
			if in.Spec, err = ParseSpec(f.Body); err != nil {
				return Inspection{}, err
			}
		}
		in.look(r, f, dspec)
		dspec = in.Spec.Digest()
	}
	if in.Frames == 0 {
		return Inspection{}, fmt.Errorf("%w: evidence without spec", ErrFormat)
	}
	in.Round = in.Spec.Round
	if in.K > 0 {
		in.Round += uint32(in.K) - 1
	}
	return in, nil
}

func (in *Inspection) look(r Roster, f Frame, dspec [32]byte) {
	if k, ok := sumNumber(f); ok && in.K == 0 && (kinds[f.Type].signed || f.Type == TypeUnmask) {
		in.K = k
	}
	if f.Type == TypeChunk {
		in.Vectors = true
	}
	// Shares in evidence about a dealing are cut out of their messages: what counts is the dealer's signature.
	if !kinds[f.Type].signed || in.Kind == BlameDealing && f.Type == TypeUnmask {
		return
	}
	if err := r.verify(f, dspec); err == nil {
		in.Signed.Valid++
	} else if in.Signed.Wrong++; in.Signed.First == "" {
		in.Signed.First = err.Error()
	}
}
