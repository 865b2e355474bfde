package secagg

import "fmt"

// acceptAdvert takes a member's key. Whether the member's approval is stored is
// the driver's to know (Advertise row, §7).
func (s *Server) acceptAdvert(from uint8, frames []Frame) error {
	if len(frames) != 1 {
		return fmt.Errorf("%w: advert with %d more frames", ErrTranscript, len(frames)-1)
	}
	m, err := checkAdvert(s.cfg.Roster, frames[0], s.dspec)
	if err != nil {
		return err
	}
	for i, p := range s.accepted[TypeAdvert] {
		o, err := parseAdvert(p[0].Body)
		if err != nil {
			return err
		}
		if o.pk == m.pk || o.nonce == m.nonce {
			return fmt.Errorf("%w: key or nonce of %d is that of %d", ErrTranscript, from, i)
		}
	}
	return nil
}

// CloseAdvertise fixes U1 and returns the adverts for all of it. Fewer than t
// abort the batch: ErrTooFew. Called again it returns the same frames.
func (s *Server) CloseAdvertise() ([]Frame, error) {
	if s.adverted != nil {
		return s.adverted, nil
	}
	if s.phase != PhaseAdvertise {
		return nil, fmt.Errorf("%w: close advertise in phase %s", ErrStale, s.phase)
	}
	u1 := s.senders(TypeAdvert)
	if u1.Len() < s.t {
		s.fail(ReasonTooFew, [32]byte{})
		return nil, fmt.Errorf("%w: %d advertised, %d needed", ErrTooFew, u1.Len(), s.t)
	}
	frames := s.firsts(TypeAdvert, u1)
	if err := s.readAdverts(s.cfg.Roster, frames); err != nil {
		return nil, err
	}
	s.adverted, s.phase = frames, PhaseShare
	if s.graph == nil {
		s.phase = PhaseReveal
	}
	return frames, nil
}
