package secagg

import "fmt"

func (s *Server) acceptReveal(from uint8, frames []Frame) error {
	if len(frames) != 1 {
		return fmt.Errorf("%w: reveal with %d more frames", ErrTranscript, len(frames)-1)
	}
	_, err := s.checkReveal(s.cfg.Roster, frames[0])
	return err
}

// CloseReveal draws the graph from the reveals of all of U1 and returns them for
// U1. One missing aborts the batch, who it is tells Expected without Answered:
// ErrTooFew (V7). Called again it returns the same frames. Small cohorts have no
// such phase: ErrStale.
func (s *Server) CloseReveal() ([]Frame, error) {
	if s.revealed != nil {
		return s.revealed, nil
	}
	if s.phase != PhaseReveal {
		return nil, fmt.Errorf("%w: close reveal in phase %s", ErrStale, s.phase)
	}
	if missing := s.u1.Minus(s.senders(TypeReveal)); missing != (Set{}) {
		s.fail(ReasonReveal, [32]byte{})
		return nil, fmt.Errorf("%w: %v did not reveal", ErrTooFew, missing)
	}
	frames := s.firsts(TypeReveal, s.u1)
	if err := s.readReveals(s.cfg.Roster, frames); err != nil {
		return nil, err
	}
	s.revealed, s.phase = frames, PhaseShare
	return frames, nil
}

// setup returns the adverts and, in version 2, the reveals, as evidence and
// published rounds have them (V17).
func (s *Server) setup() []Frame {
	return append(append([]Frame(nil), s.adverted...), s.revealed...)
}
