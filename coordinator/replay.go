package coordinator

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/coordinator/journal"
	"github.com/koinon-eu/koinon/coordinator/round"
	"github.com/koinon-eu/koinon/crypto/secagg"
)

// Kinds of records of a run; those of a round are in package round.
const (
	kindStarted = "run-started"
	kindEnded   = "run-ended"
)

type started struct {
	Plan federation.Digest `json:"plan"`
	By   string            `json:"by"`
}

type ended struct {
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
}

// replay folds the whole journal: the book's records into the book, those of runs into runs.
func (c *Coordinator) replay(ctx context.Context) error {
	_, err := journal.Replay(ctx, c.cfg.Journal, func(r journal.Record) error {
		if r.Run == "" {
			return c.book.Fold(r)
		}
		return c.foldRun(r)
	})
	return err
}

func (c *Coordinator) foldRun(rec journal.Record) error {
	id, err := parseRun(rec.Run)
	if err != nil {
		return err
	}
	if rec.Kind == kindStarted {
		var s started
		if err := decodeStrict(rec.Body, &s); err != nil {
			return fmt.Errorf("record %d: %w", rec.Seq, err)
		}
		plan, err := c.book.Plan(s.Plan)
		if err != nil {
			return err
		}
		c.addRun(newRun(c, id, plan, rec.Time))
		return nil
	}
	r := c.runs[id]
	if r == nil {
		return fmt.Errorf("record %d: run %s was never started", rec.Seq, rec.Run)
	}
	if rec.Kind == kindEnded {
		var e ended
		if err := decodeStrict(rec.Body, &e); err != nil {
			return fmt.Errorf("record %d: %w", rec.Seq, err)
		}
		r.view.State, r.view.Reason = e.State, e.Reason
		r.ended = rec.Time
		return nil
	}
	if rec.Kind == kindCohort {
		var c change
		if err := decodeStrict(rec.Body, &c); err != nil {
			return fmt.Errorf("record %d: %w", rec.Seq, err)
		}
		r.changed(c)
		return nil
	}
	fact, err := round.DecodeRecord(rec.Kind, rec.Body)
	if err != nil {
		return fmt.Errorf("record %d: %w", rec.Seq, err)
	}
	return r.fold(fact, rec)
}

// fold keeps of a round's records what a restart needs: all of an open round, the outcome of one that ended.
func (r *run) fold(fact round.Record, rec journal.Record) error {
	if fact.Round > r.last && fact.Kind != round.KindOpened && (fact.Kind != round.KindNext || len(r.pending) == 0) {
		return fmt.Errorf("record %d: round %d was never opened", rec.Seq, fact.Round)
	}
	switch fact.Kind {
	case round.KindOpened:
		r.withheld = secagg.Set{}
		r.last, r.pending = fact.Round, []round.Record{fact}
		spec, sum, err := round.Opening(fact)
		if err != nil {
			return fmt.Errorf("record %d: %w", rec.Seq, err)
		}
		r.first, r.sums = spec.Round, spec.Sums
		r.view.open(sum, spec.Sums, rec.Time)
	case round.KindNext:
		sum, err := round.NextSum(fact)
		if err != nil {
			return fmt.Errorf("record %d: %w", rec.Seq, err)
		}
		r.last, r.pending = fact.Round, append(r.pending, fact)
		r.view.open(sum, r.sums, rec.Time)
	case round.KindClosed:
		r.failures = 0
		r.closed = append(r.closed, closedRound{seq: rec.Seq, time: rec.Time, number: fact.Round, Close: *fact.Close})
		r.setLock(fact.Close.Kind, fact.Close.Step, fact.Close.Number, secagg.Set(fact.Close.Survivors))
		r.follow(fact.Close.Kind, secagg.Set(fact.Close.Survivors))
		r.mute = secagg.Set{}
		r.view.close(fact.Round, *fact.Close, rec.Time)
		fact.Frames = nil // made again from the rest, if the batch goes on
		if r.pending = append(r.pending, fact); fact.Round-r.first+1 >= uint32(r.sums) {
			r.pending = nil
		}
	case round.KindAborted:
		if r.pending = append(r.pending, fact); !fact.Abort.GoesOn {
			r.pending = nil
		}
		r.noteAbort(*fact.Abort)
		r.view.abort(fact.Round, *fact.Abort, rec.Time)
	default:
		if fact.Kind == round.KindEvidence {
			r.prove(fact.Member, fact.Proof)
		}
		if fact.Kind == round.KindDispute {
			r.dispute(fact.Member, fact.Dealer)
		}
		r.pending = append(r.pending, fact)
	}
	return nil
}

// noteAbort keeps what later rounds have to respect.
func (r *run) noteAbort(a round.Abort) {
	if a.Code != secagg.ReasonRestart && a.Code != secagg.ReasonAdmin {
		r.failures++
	}
	r.why = a.Reason
	for _, m := range secagg.Set(a.Blamed).Members() {
		r.exclude(m)
	}
	r.withheld = secagg.Set{}
	for _, l := range a.Lost {
		if a.Code == secagg.ReasonReveal && l.Phase == round.Reveal {
			r.withheld = r.withheld.With(l.Member)
		}
	}
	if a.Released != nil {
		r.setLock(a.Kind, a.Step, a.Number, secagg.Set(*a.Released))
	}
	r.lost(a)
}

func decodeStrict(body []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}

func runName(id [16]byte) string { return hex.EncodeToString(id[:]) }

func parseRun(s string) ([16]byte, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 16 {
		return [16]byte{}, fmt.Errorf("run %.40q: want 32 hexadecimal digits", s)
	}
	return [16]byte(b), nil
}
