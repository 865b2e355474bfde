package secagg

import "fmt"

// Receive takes one packet of a member, as authenticated by its connection:
// advert; reveal; share with rows and bundles; mask with chunk hashes; agree; unmask;
// complaint or dispute. The packet counts if the error is nil. An exact
// duplicate of an accepted packet is accepted again without effect; a different
// one is ErrEquivocation and the first keeps counting (S30). A packet for a
// phase or sum that is over is ErrStale, a mask of the present sum then ErrUpload
// (S32). ErrBlamed means
// that Blames has a new entry.
func (s *Server) Receive(from uint8, frames []Frame) error {
	if len(frames) == 0 || len(frames) > 2*MaxCohort+1 {
		return fmt.Errorf("%w: packet of %d frames from %d", ErrTranscript, len(frames), from)
	}
	if !s.cfg.Cohort.Has(from) {
		return fmt.Errorf("%w: %d is not in the cohort", ErrSender, from)
	}
	for _, f := range frames {
		if f.Sender != from {
			return fmt.Errorf("%w: %s of %d on a connection of %d", ErrSender, f.Type, f.Sender, from)
		}
		if err := f.check(); err != nil {
			return err
		}
	}
	t := frames[0].Type
	if err := s.checkSum(from, frames[0]); err != nil {
		return err
	}
	if before, ok := s.accepted[t][from]; ok {
		if equalPackets(before, frames) {
			return nil
		}
		return s.equivocated(before[0], frames[0])
	}
	if err := s.accept(t, from, frames); err != nil {
		return err
	}
	if s.accepted[t] == nil {
		s.accepted[t] = map[uint8][]Frame{}
	}
	s.accepted[t][from] = frames
	if t == TypeAgree && len(s.accepted[t]) >= s.t && s.phase == PhaseAgree {
		s.phase = PhaseUnmask
	}
	return nil
}

// checkSum refuses a packet that is for another sum of the batch than the present
// one, and shares that can no longer be compared with the first.
func (s *Server) checkSum(from uint8, f Frame) error {
	switch f.Type {
	case TypeMask, TypeAgree, TypeUnmask:
		k, ok := sumNumber(f)
		if ok && 0 < k && k < s.sum.K {
			return fmt.Errorf("%w: %s of %d for sum %d in sum %d", ErrStale, f.Type, from, k, s.sum.K)
		}
		if !ok || k != s.sum.K {
			return fmt.Errorf("%w: %s of %d for sum %d in sum %d", ErrTranscript, f.Type, from, k, s.sum.K)
		}
	case TypeShare:
		if s.phase > PhaseShare && s.delivered == nil {
			return fmt.Errorf("%w: share of %d in sum %d", ErrStale, from, s.sum.K)
		}
	}
	return nil
}

func (s *Server) accept(t Type, from uint8, frames []Frame) error {
	switch {
	case t == TypeAdvert && s.phase == PhaseAdvertise:
		return s.acceptAdvert(from, frames)
	case t == TypeReveal && s.phase == PhaseReveal:
		return s.acceptReveal(from, frames)
	case t == TypeShare && s.phase == PhaseShare:
		return s.acceptShare(from, frames)
	case t == TypeMask && s.phase == PhaseMask:
		return s.acceptMask(from, frames)
	case t == TypeAgree && (s.phase == PhaseAgree || s.phase == PhaseUnmask):
		return s.acceptAgree(from, frames)
	case t == TypeUnmask && s.phase == PhaseUnmask:
		return s.acceptUnmask(from, frames)
	case t == TypeComplaint && s.phase == PhaseMask:
		return s.acceptComplaint(from, frames)
	case t == TypeDispute && s.phase == PhaseMask:
		return s.acceptDispute(from, frames)
	case t == TypeMask:
		return fmt.Errorf("%w: mask of %d in phase %s", ErrUpload, from, s.phase)
	}
	return fmt.Errorf("%w: %s of %d in phase %s", ErrStale, t, from, s.phase)
}

// single reads the only frame of a packet after its signature was checked.
func single[M any](s *Server, frames []Frame, parse func([]byte) (M, error)) (m M, err error) {
	if len(frames) != 1 {
		return m, fmt.Errorf("%w: %s with %d more frames", ErrTranscript, frames[0].Type, len(frames)-1)
	}
	if err := s.cfg.Roster.verify(frames[0], s.dspec); err != nil {
		return m, err
	}
	return parse(frames[0].Body)
}

// equivocated handles a second, different packet where one is allowed. Two
// signed bodies are evidence; other frames of the packet may differ without.
func (s *Server) equivocated(before, now Frame) error {
	err := fmt.Errorf("%w: %s of %d", ErrEquivocation, now.Type, now.Sender)
	if string(before.Body) == string(now.Body) || !provable(now.Type) || s.cfg.Roster.verify(now, s.dspec) != nil {
		return err
	}
	s.blame(Blame{Kind: BlameEquivocation, Member: now.Sender, Evidence: evidence(BlameEquivocation, s.opening[0], before, now)})
	return fmt.Errorf("%w: %w", ErrBlamed, err)
}

// blame records evidence once.
func (s *Server) blame(b Blame) {
	for _, o := range s.blames {
		if o.Kind == b.Kind && o.Member == b.Member {
			return
		}
	}
	s.blames = append(s.blames, b)
}
