package secagg

import "fmt"

// CanContinue reports whether another sum of the batch may follow the one that
// was closed or aborted (S40): k < m, t members are eligible, nobody was blamed
// and nothing is in dispute. The other grounds for new keys are the driver's to
// know.
func (s *Server) CanContinue() bool {
	ended := s.phase == PhaseClosed || s.phase == PhaseAborted && s.eligible != Set{}
	return ended && !s.over && s.sum.K < s.spec.Sums && s.Eligible().Len() >= s.t && len(s.blames)+len(s.disputes) == 0
}

// Fed reports whether enough of every eligible member's neighbourhood is among
// those left for a sum to be opened (V16); in version 1 that is whether t are.
func (s *Server) Fed(left Set) bool {
	return s.graph != nil && s.graph.checkFed(s.Eligible(), left) == nil
}

// Next announces the next sum of the batch after one that was closed or aborted:
// it signs sum k+1 and returns the packet for Eligible. Run, round, k, members
// and prev of the sum may be zero and are filled in (S38). require and evidence
// are for this sum what they are in ServerConfig. Errors wrap ErrStale when
// CanContinue is false, ErrSurvivors when require has members who are not
// eligible, else ErrTranscript, ErrPolicy or ErrRange; after an error nothing
// has changed.
func (s *Server) Next(sum Sum, require *Set, evidence [][]byte) ([]Frame, error) {
	if !s.CanContinue() {
		return nil, fmt.Errorf("%w: no sum follows sum %d in phase %s", ErrStale, s.sum.K, s.phase)
	}
	sum, err := s.fillNext(sum)
	if err != nil {
		return nil, err
	}
	if require != nil && !require.SubsetOf(s.Eligible()) {
		return nil, fmt.Errorf("%w: %v must be in the sum and cannot", ErrSurvivors, require.Minus(s.Eligible()))
	}
	if err := checkAttached(evidence); err != nil {
		return nil, err
	}
	f, err := sign(s.cfg.Sign, TypeSum, s.dspec, 0, sum.body())
	if err != nil {
		return nil, err
	}
	s.cfg.Require, s.cfg.Evidence = require, evidence
	s.follow(sum, f)
	return []Frame{f}, nil
}

// fillNext sets the zero fields of a sum that follow from the batch; others must
// agree with it.
func (s *Server) fillNext(sum Sum) (Sum, error) {
	want := sum
	want.Run, want.K, want.Members, want.Prev = s.spec.Run, s.sum.K+1, s.Eligible(), s.prev
	want.Round = roundOf(s.spec, want.K)
	if s.phase == PhaseClosed {
		want.Prev = s.h3
	}
	set := sum.Run != [16]byte{} && sum.Run != want.Run || sum.Round != 0 && sum.Round != want.Round ||
		sum.K != 0 && sum.K != want.K || sum.Members != Set{} && sum.Members != want.Members ||
		sum.Prev != [32]byte{} && sum.Prev != want.Prev
	if set {
		return Sum{}, fmt.Errorf("%w: sum %d does not follow on sum %d", ErrTranscript, sum.K, s.sum.K)
	}
	return want, want.Validate(int(s.spec.N))
}

// follow enters Mask of the next sum with what belonged to the one before gone.
// All who are in a sum after a closed one have opened their bundles, so nobody
// can ask for them or complain about them any more.
func (s *Server) follow(sum Sum, f Frame) {
	eligible := s.Eligible()
	if s.phase == PhaseClosed {
		s.prev = s.h3
		s.forgetBundles()
	}
	s.sum, s.dsum, s.announce = sum, sum.Digest(), f
	s.begin(eligible)
	for _, t := range []Type{TypeMask, TypeAgree, TypeUnmask} {
		delete(s.accepted, t)
	}
	s.uploads, s.items = map[uint8]*received{}, map[uint8]map[secretID]unmaskItem{}
	s.opened, s.survived, s.published = nil, nil, nil
	s.reason, s.evidence = 0, [32]byte{}
	s.phase = PhaseMask
}

// forgetBundles drops what was sealed for the members, the bulk of a batch.
func (s *Server) forgetBundles() {
	if s.delivered == nil {
		return
	}
	s.delivered = nil
	for d, p := range s.accepted[TypeShare] {
		n := s.holders(d).Len()
		keep := append([]Frame(nil), p[:1+n]...)
		s.accepted[TypeShare][d] = append(keep, p[2*n:]...)
	}
}

// AbortSum ends the present sum, also one that failed for want of uploads, and
// returns the signed message for all members; the batch may go on with Next.
// Outside of Mask, Agree, Unmask and Publish, and when the batch is over, the
// answer is nil.
func (s *Server) AbortSum(reason uint8, evidence [32]byte) []Frame {
	if s.over || s.phase < PhaseMask || s.phase == PhaseClosed {
		return nil
	}
	s.failSum(reason, evidence)
	return s.abortFrames(s.sum.K, reason, evidence)
}
