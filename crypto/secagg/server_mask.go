package secagg

import "fmt"

// received is the state of one member's upload.
type received struct {
	hashes [][32]byte
	have   []byte // bitmap: chunk q is bit q mod 8 of byte q div 8
	count  int
	whole  bool // the driver has every chunk on stable storage
}

// acceptMask takes what a member announces to upload (Mask row, §7).
func (s *Server) acceptMask(from uint8, frames []Frame) error {
	if !s.eligible.Minus(s.left).Has(from) {
		return fmt.Errorf("%w: mask of %d, who is not eligible", ErrUpload, from)
	}
	if len(frames) != 2 || frames[1].Type != TypeHashes {
		return fmt.Errorf("%w: mask of %d without chunk hashes", ErrTranscript, from)
	}
	m, err := single(s, frames[:1], parseMask)
	if err != nil {
		return err
	}
	words := s.sum.Layout().Words()
	if m.k != s.sum.K || m.g != s.g || int64(m.words) != int64(words) {
		return fmt.Errorf("%w: mask of %d with %d words, %d needed, same transcript %t", ErrTranscript, from, m.words, words, m.g == s.g)
	}
	h, err := parseHashes(frames[1].Body)
	if err != nil {
		return err
	}
	if len(h.hashes) != Chunks(words) || MerkleRoot(h.hashes) != m.root {
		return fmt.Errorf("%w: chunk hashes of %d do not lead to its root", ErrTranscript, from)
	}
	s.masked = s.masked.With(from)
	s.uploads[from] = &received{hashes: h.hashes, have: make([]byte, (len(h.hashes)+7)/8)}
	return nil
}

// Chunk is CheckChunk and Stored at once, for a driver that cannot fail to
// spool a chunk.
func (s *Server) Chunk(from uint8, index uint32, data []byte) error {
	if err := s.CheckChunk(from, index, data); err != nil {
		return err
	}
	return s.Stored(from, index)
}

// CheckChunk accepts chunk index of a member's announced upload if its bytes
// have the announced hash; the driver then spools it and tells Stored. After
// CloseMask every chunk is refused (S32). A chunk that came before is accepted
// again. Errors wrap ErrUpload; they blame nobody (S71).
func (s *Server) CheckChunk(from uint8, index uint32, data []byte) error {
	u, ok := s.uploads[from]
	if s.phase != PhaseMask || !ok || s.left.Has(from) {
		return fmt.Errorf("%w: chunk of %d in phase %s, announced %t", ErrUpload, from, s.phase, ok)
	}
	if int64(index) >= int64(len(u.hashes)) || len(data) != ChunkBytes(s.sum.Layout().Words(), index) {
		return fmt.Errorf("%w: chunk %d of %d has %d bytes", ErrUpload, index, from, len(data))
	}
	if ChunkHash(index, data) != u.hashes[index] {
		return fmt.Errorf("%w: chunk %d of %d is not the announced one", ErrUpload, index, from)
	}
	return nil
}

// Stored counts a chunk that CheckChunk has accepted and the driver has in its
// spool, so that the member need not send it again (S54). ErrUpload when the
// phase is over or there is no such chunk.
func (s *Server) Stored(from uint8, index uint32) error {
	u, ok := s.uploads[from]
	if s.phase != PhaseMask || !ok || s.left.Has(from) || int64(index) >= int64(len(u.hashes)) {
		return fmt.Errorf("%w: chunk %d of %d stored in phase %s, announced %t", ErrUpload, index, from, s.phase, ok)
	}
	if bit := byte(1) << (index % 8); u.have[index/8]&bit == 0 {
		u.have[index/8] |= bit
		u.count++
	}
	return nil
}

// Have returns which chunks of a member are stored (chunk q is bit q mod 8
// of byte q div 8) and whether that is all of them (S54). Before the member's
// mask the bitmap is nil.
func (s *Server) Have(from uint8) (bitmap []byte, whole bool) {
	u, ok := s.uploads[from]
	if !ok {
		return nil, false
	}
	return append([]byte(nil), u.have...), u.whole || u.count == len(u.hashes)
}

// MarkWhole counts a member's upload in: the driver has all of its chunks on
// stable storage. ErrUpload when chunks are missing or the phase is over.
func (s *Server) MarkWhole(from uint8) error {
	if _, whole := s.Have(from); !whole {
		return fmt.Errorf("%w: chunks of %d are missing", ErrUpload, from)
	}
	return s.RestoreWhole(from)
}

// RestoreWhole is MarkWhole for a driver that replays its journal: that every
// chunk is in the spool was journalled before, Chunk need not be called again.
func (s *Server) RestoreWhole(from uint8) error {
	u, ok := s.uploads[from]
	if s.phase != PhaseMask || !ok || s.left.Has(from) {
		return fmt.Errorf("%w: upload of %d in phase %s, announced %t", ErrUpload, from, s.phase, ok)
	}
	u.whole = true
	return nil
}

func (s *Server) whole() (set Set) {
	for i, u := range s.uploads {
		if u.whole && !s.left.Has(i) {
			set = set.With(i)
		}
	}
	return set
}

// CloseMask fixes U3, those whose upload is whole, and returns the packet for
// them. Fewer than t, or too few in a neighbourhood (V16), abort the sum: ErrTooFew. With Require it is exactly
// that set, or ErrSurvivors while one of them is missing, and the phase stays
// open (S35). Called again it returns the same frames.
func (s *Server) CloseMask() ([]Frame, error) {
	if s.survived != nil {
		return s.survived, nil
	}
	if s.phase != PhaseMask {
		return nil, fmt.Errorf("%w: close mask in phase %s", ErrStale, s.phase)
	}
	u3 := s.whole()
	if r := s.cfg.Require; r != nil {
		if !r.SubsetOf(u3) {
			return nil, fmt.Errorf("%w: %v must be in the sum again", ErrSurvivors, r.Minus(u3))
		}
		u3 = *r
	}
	if u3.Len() < s.t {
		s.failSum(ReasonTooFew, [32]byte{})
		return nil, fmt.Errorf("%w: %d uploads are whole, %d needed", ErrTooFew, u3.Len(), s.t)
	}
	if err := s.graph.checkFed(s.eligible, u3); err != nil {
		s.failSum(ReasonTooFew, [32]byte{})
		return nil, err
	}
	m := survivors{k: s.sum.K, set: u3}
	var proofs []Frame
	for _, e := range s.cfg.Evidence {
		m.blame = append(m.blame, EvidenceDigest(e))
		proofs = append(proofs, Frame{Type: TypeEvidence, Body: e})
	}
	f, err := sign(s.cfg.Sign, TypeSurvivors, s.dspec, 0, m.body())
	if err != nil {
		return nil, err
	}
	frames := s.firsts(TypeMask, u3)
	if err := s.readMasks(s.cfg.Roster, frames, u3); err != nil {
		return nil, err
	}
	s.survived = append(append([]Frame{f}, frames...), proofs...)
	s.phase = PhaseAgree
	return s.survived, nil
}
