package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/node"
	"github.com/koinon-eu/koinon/node/finetune"
	"github.com/koinon-eu/koinon/node/train"
)

type fineTuneCommand struct {
	place
	output
	From             string  `name:"run" help:"Model of this closed run: beginning of its name, or the plan's name for its newest one." placeholder:"RUN" xor:"from" required:""`
	Release          string  `help:"Model of this release directory." placeholder:"DIR" type:"path" xor:"from" required:""`
	Out              string  `required:"" help:"Directory to write to; it must not exist." placeholder:"DIR" type:"path"`
	Epochs           int     `help:"Most passes over the training rows." default:"50" env:"-"`
	Rate             float64 `help:"Rate of Adam." default:"0.001" env:"-"`
	Batch            int     `help:"Rows of a step." default:"64" env:"-"`
	Proximal         float64 `help:"How strongly the model is drawn back to the federated one." default:"0.01" env:"-"`
	Patience         int     `help:"Epochs without a better validation loss before it ends." default:"5" env:"-"`
	FreezeEmbeddings bool    `help:"Leave the vectors of categories as they are (mlp)." env:"-"`
}

// Help shows an example.
func (fineTuneCommand) Help() string {
	return `Goes on from a federated model on this member's own training rows, ends when rows held back say that it gets no better,
and compares federated, fine-tuned and alone on the test rows. Model and report are written here and never leave: they
are not released, not signed, and no scoring program takes the model for a release.

Examples:

  koinon-node fine-tune --dir /var/lib/koinon-node --run document-risk-2026-1 --out fine-tuned
  koinon-node fine-tune --dir /var/lib/koinon-node --release document-risk-2026-1-1 --out fine-tuned`
}

// fineTuneModel is the artifact's name in the output directory: not that of a release.
const fineTuneModel = "fine-tuned.koinon"

// Run implements the command.
func (c *fineTuneCommand) Run(ctx context.Context, std cli.Streams) error {
	if c.Epochs < 1 || c.Batch < 1 || c.Patience < 1 || !(c.Rate > 0) || !(c.Proximal >= 0) {
		return cli.Usagef("--epochs, --batch and --patience must be at least 1, --rate above 0, --proximal not below 0")
	}
	if _, err := os.Lstat(c.Out); err == nil {
		return cli.Hint(fmt.Errorf("%s exists already", c.Out), "name a directory that does not exist; nothing is overwritten")
	}
	in, err := c.input(ctx)
	if err != nil {
		return tuneHint(err)
	}
	in.Time = time.Now()
	in.Tuning.Epochs, in.Tuning.Rate, in.Tuning.Batch, in.Tuning.Proximal = c.Epochs, c.Rate, c.Batch, c.Proximal
	in.Tuning.Patience, in.Tuning.FreezeEmbeddings = c.Patience, c.FreezeEmbeddings
	result, err := finetune.Run(in)
	if err != nil {
		return tuneHint(err)
	}
	if err := c.write(result); err != nil {
		return err
	}
	if c.JSON {
		return cli.PrintJSON(std.Out, result.Report)
	}
	text := result.Report.Markdown()
	if _, err := std.Out.Write(text); err != nil {
		return err
	}
	_, err = fmt.Fprintf(std.Out, "\nWritten to %s.\n", c.Out)
	return err
}

func (c *fineTuneCommand) input(ctx context.Context) (finetune.Input, error) {
	if c.Release != "" {
		return c.dir().TuneRelease(ctx, c.Release)
	}
	return c.dir().TuneRun(ctx, c.From)
}

// write makes the output directory, readable by nobody else, whole or not at all.
func (c *fineTuneCommand) write(result *finetune.Result) (err error) {
	page, err := result.Report.HTML()
	if err != nil {
		return err
	}
	text, err := result.Report.JSON()
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(c.Out), ".koinon-fine-tune-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(tmp))
		}
	}()
	files := map[string][]byte{"fine-tune.json": text, "fine-tune.md": result.Report.Markdown(), "fine-tune.html": page}
	if result.Artifact != nil {
		files[fineTuneModel] = result.Artifact
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(tmp, name), data, 0o600); err != nil {
			return err
		}
	}
	return os.Rename(tmp, c.Out)
}

func tuneHint(err error) error {
	switch {
	case errors.Is(err, train.ErrTuneTrees):
		return cli.Hint(err, "their leaves are the sums of a cohort; train on more rounds of the federation, or ask for a plan with a network")
	case errors.Is(err, train.ErrTuneCounts):
		return cli.Hint(err, "the run's report says how the forecast does on this node's rows against its own model")
	case errors.Is(err, train.ErrFewRows):
		return cli.Hint(err, "a model fitted to so few rows would say more about them than about the next ones: use the federated model")
	case errors.Is(err, node.ErrNotTuned):
		return cli.Hint(err, "koinon-node figures show lists the runs that this node has finished")
	}
	return hinted(err)
}
