package journal

import (
	"context"
	"fmt"
)

// Summary is what a whole check saw.
type Summary struct {
	Records uint64   // how many
	Head    [32]byte // digest of the last; note it elsewhere to prove later that nothing was cut off
	Last    int64    // Unix seconds of the last record
}

// BrokenError names the first record whose place in the chain is wrong.
type BrokenError struct {
	Seq    uint64 // where the record should stand
	Reason string
}

// Error says which record and why.
func (e *BrokenError) Error() string {
	return fmt.Sprintf("journal record %d: %s", e.Seq, e.Reason)
}

// Verify recomputes the chain from the first record and returns a *BrokenError
// for the first that does not fit. A journal cut off at its end is whole by
// itself: only Summary.Head, compared with a note, shows that.
func Verify(ctx context.Context, j Journal) (Summary, error) {
	return Replay(ctx, j, func(Record) error { return nil })
}

// Replay is Verify that also hands over each record, after its check: the way
// to rebuild state at start.
func Replay(ctx context.Context, j Journal, fn func(Record) error) (Summary, error) {
	var s Summary
	err := j.Read(ctx, 1, func(r Record) error {
		if reason := s.check(r); reason != "" {
			return &BrokenError{Seq: s.Records + 1, Reason: reason}
		}
		s.Records, s.Head, s.Last = r.Seq, r.Digest, r.Time
		return fn(r)
	})
	return s, err
}

func (s *Summary) check(r Record) string {
	switch {
	case r.Seq != s.Records+1:
		return fmt.Sprintf("found sequence number %d in its place", r.Seq)
	case r.Prev != s.Head:
		return "does not follow the record before it"
	case r.Digest != r.Sum():
		return "content does not match its digest"
	}
	return ""
}
