package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/koinon-eu/koinon/coordinator/admin"
	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/coordinator/journal"
	"github.com/koinon-eu/koinon/coordinator/journal/sqlite"
	"github.com/koinon-eu/koinon/coordinator/round"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/deploy/cli"
)

type evidenceCommands struct {
	List   listEvidenceCommand   `cmd:"" help:"List the evidence and the disputes in the journal, also while the coordinator runs."`
	Export exportEvidenceCommand `cmd:"" help:"Write one piece of evidence to a file that anyone with the roster can check."`
}

type listEvidenceCommand struct {
	place
	output
}

func (listEvidenceCommand) Help() string {
	return `Evidence proves by signatures what a member did. A dispute is a member's word that a bundle of another did not open for it, and proves nothing about either.

Example:
  koinon-coordinator evidence list --dir /var/lib/koinon-coordinator`
}

// evidenceLine is a record of the journal that is about somebody's fault.
type evidenceLine struct {
	ID      uint64    `json:"id"` // of the record
	Time    time.Time `json:"time"`
	Run     string    `json:"run"`
	Round   uint32    `json:"round"`
	Kind    string    `json:"kind"`
	Against string    `json:"against"` // of a dispute: the dealer
	By      string    `json:"by,omitempty"`
	Proven  bool      `json:"proven"`
	Why     string    `json:"why"`
}

// found is evidence with its proof and the roster that judges it.
type found struct {
	line   evidenceLine
	proof  []byte
	roster *federation.Roster
}

// Run lists evidence and disputes.
func (c *listEvidenceCommand) Run(ctx context.Context, std cli.Streams) error {
	lines := []evidenceLine{}
	table := cli.NewTable("ID", "TIME", "RUN", "ROUND", "KIND", "AGAINST", "PROVES IT")
	err := eachEvidence(ctx, c.Dir, func(f found) error {
		l := f.line
		lines = append(lines, l)
		proves := "yes"
		if !l.Proven {
			proves = "no: " + l.Why
		}
		table.Row(l.ID, l.Time.Format(time.RFC3339), l.Run[:min(12, len(l.Run))], l.Round, l.Kind, l.Against, proves)
		return nil
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return cli.PrintJSON(std.Out, lines)
	}
	return table.Print(std.Out)
}

// eachEvidence reads the journal, checks its chain on the way, and judges what is kept against members.
func eachEvidence(ctx context.Context, dir string, do func(found) error) error {
	j, err := sqlite.OpenReadOnly(filepath.Join(dir, journalFile))
	if err != nil {
		return err
	}
	defer j.Close()
	return evidenceIn(ctx, j, do)
}

func evidenceIn(ctx context.Context, j journal.Journal, do func(found) error) error {
	book := admin.NewBook(admin.Config{}, j, nil) // only read: rosters are verified by the key that stands in them
	_, err := journal.Replay(ctx, j, func(r journal.Record) error {
		if r.Run == "" {
			return book.Fold(r)
		}
		if r.Kind != round.KindEvidence && r.Kind != round.KindDispute {
			return nil
		}
		fact, err := round.DecodeRecord(r.Kind, r.Body)
		if err != nil {
			return fmt.Errorf("record %d: %w", r.Seq, err)
		}
		if roster, _ := book.Roster(); roster == nil {
			return fmt.Errorf("record %d: evidence before any roster", r.Seq)
		}
		return do(judged(book, r, fact))
	})
	var broken *journal.BrokenError
	if errors.As(err, &broken) {
		return cli.Hint(err, "somebody changed the journal, or a disk did: keep it as it is and go back to a backup")
	}
	return err
}

// judged looks at a record with the roster of its batch, or with the newest if that cannot be told.
func judged(book *admin.Book, r journal.Record, fact round.Record) found {
	f := found{proof: fact.Proof, line: evidenceLine{ID: r.Seq, Time: time.Unix(r.Time, 0).UTC(), Run: r.Run, Round: fact.Round}}
	f.roster, _ = book.Roster()
	if in, err := secagg.InspectEvidence(f.roster.SecAgg(), fact.Proof); err == nil {
		if own, err := book.RosterByDigest(in.Spec.Roster); err == nil {
			f.roster = own
		}
	}
	if r.Kind == round.KindDispute {
		f.line.Kind, f.line.Against, f.line.By = "dispute", f.roster.Name(fact.Dealer), f.roster.Name(fact.Member)
		f.line.Why = "the word of " + f.line.By
		return f
	}
	v := federation.Judge(f.roster, fact.Proof)
	f.line.Kind, f.line.Proven, f.line.Why, f.line.Against = federation.EvidenceKind(fact.Proof), v.Proven, v.Why, v.Names
	if v.Kind != "" {
		f.line.Kind = v.Kind
	}
	if f.line.Against == "" {
		f.line.Against = f.roster.Name(fact.Member)
	}
	return f
}

type exportEvidenceCommand struct {
	place
	output
	ID   uint64 `arg:"" help:"Number in the list."`
	File string `arg:"" help:"File to write; it must not exist." type:"path"`
}

func (exportEvidenceCommand) Help() string {
	return `Hand the file to the member it names and to the others. Each of them checks it with: koinon-node evidence check FILE

Example:
  koinon-coordinator evidence export 4711 france.evidence --dir /var/lib/koinon-coordinator`
}

// Run writes one piece of evidence.
func (c *exportEvidenceCommand) Run(ctx context.Context, std cli.Streams) error {
	var one *found
	err := eachEvidence(ctx, c.Dir, func(f found) error {
		if f.line.ID == c.ID {
			one = &f
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case one == nil:
		return cli.Hint(fmt.Errorf("record %d is no evidence", c.ID), "list what there is with: koinon-coordinator evidence list")
	case len(one.proof) == 0:
		return cli.Hint(fmt.Errorf("record %d is a dispute", c.ID), "it is the word of one member against another, and there is nothing in it to check")
	}
	data, err := one.file().Encode()
	if err != nil {
		return err
	}
	if err := writeNew(c.File, data); err != nil {
		return err
	}
	if c.JSON {
		return cli.PrintJSON(std.Out, one.line)
	}
	_, err = fmt.Fprintf(std.Out, "%s: %s against %s, round %d of run %s. Check it with: koinon-node evidence check %s\n",
		c.File, one.line.Kind, one.line.Against, one.line.Round, one.line.Run[:min(12, len(one.line.Run))], filepath.Base(c.File))
	return err
}

// writeNew writes a file that is not there yet: evidence that somebody keeps is not replaced by a mistyped name.
func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// file is the evidence as it is handed on; what the proof says about itself stands before what the record says.
func (f *found) file() federation.Evidence {
	v := federation.Judge(f.roster, f.proof)
	return federation.Evidence{
		Federation: f.roster.Federation, Keeper: federation.CoordinatorName, Time: f.line.Time, Plan: v.Plan,
		Run: f.line.Run, Round: f.line.Round, Reason: f.line.Kind + " of " + f.line.Against + ": " + v.Why, Proof: f.proof,
	}
}
