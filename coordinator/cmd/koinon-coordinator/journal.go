package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/koinon-eu/koinon/coordinator/journal"
	"github.com/koinon-eu/koinon/coordinator/journal/sqlite"
	"github.com/koinon-eu/koinon/deploy/cli"
)

type journalCommands struct {
	Verify verifyJournalCommand `cmd:"" help:"Recompute the chain of records, also while the coordinator runs."`
	Export exportJournalCommand `cmd:"" help:"Print every record as one line of JSON."`
}

type verifyJournalCommand struct {
	place
	output
	Head string `help:"Digest noted earlier; the journal must hold that record." placeholder:"DIGEST"`
}

func (verifyJournalCommand) Help() string {
	return `Prints the number of records and the digest of the last. Note the digest elsewhere: only it can show later that nothing was cut off the end.

Example:
  koinon-coordinator journal verify --dir /var/lib/koinon-coordinator`
}

// Run verifies the journal.
func (c *verifyJournalCommand) Run(ctx context.Context, std cli.Streams) error {
	j, err := sqlite.OpenReadOnly(filepath.Join(c.Dir, journalFile))
	if err != nil {
		return err
	}
	defer j.Close()
	seen := c.Head == ""
	summary, err := journal.Replay(ctx, j, func(r journal.Record) error {
		seen = seen || hex.EncodeToString(r.Digest[:]) == c.Head
		return nil
	})
	var broken *journal.BrokenError
	if errors.As(err, &broken) {
		return cli.Hint(err, "somebody changed the journal, or a disk did: keep it as it is and go back to a backup")
	}
	if err != nil {
		return err
	}
	if !seen {
		return fmt.Errorf("no record has the digest %s: the journal was cut off or is another one", c.Head)
	}
	last := time.Unix(summary.Last, 0).UTC().Format(time.RFC3339)
	if c.JSON {
		return cli.PrintJSON(std.Out, map[string]any{"records": summary.Records, "head": hex.EncodeToString(summary.Head[:]), "last": last})
	}
	_, err = fmt.Fprintf(std.Out, "%d records, each follows from the one before; the last is of %s\nhead %x\n", summary.Records, last, summary.Head)
	return err
}

type exportJournalCommand struct{ place }

func (exportJournalCommand) Help() string {
	return `Signed messages stand in it as they were made. It holds no key, no share of a living round and no vector.

Example:
  koinon-coordinator journal export --dir /var/lib/koinon-coordinator > journal.jsonl`
}

// exported is a record as a line of JSON.
type exported struct {
	Seq    uint64          `json:"seq"`
	Time   string          `json:"time"`
	Run    string          `json:"run,omitempty"`
	Kind   string          `json:"kind"`
	Body   json.RawMessage `json:"body"`
	Prev   string          `json:"prev"`
	Digest string          `json:"digest"`
}

// Run prints the records, checking the chain on the way.
func (c *exportJournalCommand) Run(ctx context.Context, std cli.Streams) error {
	j, err := sqlite.OpenReadOnly(filepath.Join(c.Dir, journalFile))
	if err != nil {
		return err
	}
	defer j.Close()
	return exportTo(ctx, j, std.Out)
}

func exportTo(ctx context.Context, j journal.Journal, w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_, err := journal.Replay(ctx, j, func(r journal.Record) error {
		return enc.Encode(exported{
			Seq: r.Seq, Time: time.Unix(r.Time, 0).UTC().Format(time.RFC3339), Run: r.Run, Kind: r.Kind, Body: r.Body,
			Prev: hex.EncodeToString(r.Prev[:]), Digest: hex.EncodeToString(r.Digest[:]),
		})
	})
	return err
}
