package secagg

import "fmt"

// CanContinue reports whether another sum of the batch may follow the one that
// was closed or aborted (S40): k < m, t members are eligible, nobody was blamed
// and nothing is in dispute.
func (s *Server) CanContinue() bool { return false }

// Next announces the next sum of the batch after one that was closed or aborted:
// it signs sum k+1, with run, round, k, members and prev filled in (S38), and
// returns the packet for Eligible. require and evidence are for this sum what
// they are in ServerConfig. Errors wrap ErrStale when CanContinue is false, else
// those of NewServer.
func (s *Server) Next(sum Sum, require *Set, evidence [][]byte) ([]Frame, error) {
	return nil, fmt.Errorf("%w: no sum follows in phase %s", ErrStale, s.phase)
}

// AbortSum ends the present sum and returns the signed message for all members;
// the batch may go on with Next. Outside of Mask, Agree, Unmask and Publish the
// answer is nil.
func (s *Server) AbortSum(reason uint8, evidence [32]byte) []Frame {
	if s.phase < PhaseMask || s.phase >= PhaseClosed {
		return nil
	}
	s.fail(reason, evidence)
	f, err := sign(s.cfg.Sign, TypeAbort, s.dspec, 0, abort{k: s.sum.K, reason: reason, evidence: evidence}.body())
	if err != nil {
		return nil // members learn it from their deadline
	}
	return []Frame{f}
}
