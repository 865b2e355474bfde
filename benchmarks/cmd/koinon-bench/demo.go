package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/koinon-eu/koinon/benchmarks/process"
	"github.com/koinon-eu/koinon/benchmarks/synth"
	"github.com/koinon-eu/koinon/deploy/cli"
)

type demoCommand struct {
	Bin  string `placeholder:"DIR" type:"path" help:"Folder of the other programs; that of this program if left out."`
	Dir  string `placeholder:"DIR" type:"path" env:"-" help:"New or empty folder for everything the demo makes; a temporary one if left out."`
	Keep bool   `help:"Keep the whole folder: keys, journal, logs and tables, not only the release."`
	Rows int    `default:"60000" help:"Rows of the five national tables together."`
	Seed uint64 `default:"7" help:"Decides the synthetic tables."`
}

// Help shows an example.
func (demoCommand) Help() string {
	return `Makes a federation of five states on this machine, as real processes with synthetic
tables: enrols them, trains under secure aggregation, kills one node in the middle of
a round, evaluates, approves, signs, publishes, pulls, verifies, scores, and tampers.

Example:
  koinon-bench demo --keep --dir /tmp/koinon`
}

const (
	demoTick   = 250 * time.Millisecond
	demoGrace  = 1
	demoKilled = "PL"
	// demoFrom is the first round in which the node may be killed: late enough that training is under way.
	demoFrom = 12
)

// demo is one run of the demo.
type demo struct {
	demoCommand
	*story
	*process.Federation
	begun time.Time

	authority string // fingerprint

	plan    process.Plan
	run     process.Run
	release process.Release
	lost    process.Lost
	trust   string // trust file
	pulled  string // release directory
	report  string // the report's HTML page
	journal process.Journal
	sent    map[string]int // bytes by member
	rows    []comparedMember
}

// Run tells the whole story.
func (c *demoCommand) Run(ctx context.Context, std cli.Streams) (err error) {
	d := &demo{demoCommand: *c, story: newStory(std.Out), begun: time.Now(), sent: map[string]int{}}
	if err := d.folders(); err != nil {
		return err
	}
	d.Federation, err = process.New(process.Config{
		Bin: d.Bin, Dir: d.Dir, Name: "demo", Tick: demoTick, Grace: demoGrace,
		Admins: []process.Admin{{Name: "anna", Role: "model-owner"}, {Name: "ben", Role: "data-protection"}},
	})
	if err != nil {
		return cli.Hint(errors.Join(err, os.RemoveAll(d.Dir)), "build all programs into one folder first, with `make build`, or name it with --bin")
	}
	defer func() { // also when a step panics
		err = d.tidy(ctx, errors.Join(err, d.Close()))
	}()
	for _, step := range []func(context.Context) error{
		d.tables, d.found, d.enrol, d.consent, d.train, d.evaluate, d.publish, d.use, d.tamper, d.compare,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	d.summary()
	return nil
}

// folders settles where programs are and where everything goes.
func (d *demo) folders() error {
	if d.Bin == "" {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		d.Bin = filepath.Dir(self)
	}
	if d.Dir == "" {
		dir, err := os.MkdirTemp("", "koinon-demo-")
		d.Dir = dir
		return err
	}
	entries, err := os.ReadDir(d.Dir)
	if err == nil && len(entries) > 0 {
		return cli.Hint(fmt.Errorf("%s is not empty", d.Dir), "name a folder that is empty or does not exist")
	}
	return os.MkdirAll(d.Dir, 0o700)
}

// kept is the folder that stays: the release as an engineer has it.
func (d *demo) kept() string { return filepath.Join(d.Dir, "engineer") }

// tidy removes what is not to stay. After a failure everything stays, to be looked at; after ctrl-C nothing.
func (d *demo) tidy(ctx context.Context, failed error) error {
	switch {
	case d.Keep:
		return failed
	case ctx.Err() != nil:
		return errors.Join(failed, os.RemoveAll(d.Dir))
	case failed != nil:
		return cli.Hint(failed, "logs and everything else are left in %s", d.Dir)
	}
	entries, err := os.ReadDir(d.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if path := filepath.Join(d.Dir, e.Name()); path != d.kept() {
			err = errors.Join(err, os.RemoveAll(path))
		}
	}
	return err
}

// members are the states of the demo.
func (d *demo) members() []string { return synth.Demo5() }

func (d *demo) table(member string) string { return filepath.Join(d.Dir, "tables", member+".csv") }

func (d *demo) planFile(name string) string { return filepath.Join(d.Dir, "plan", name) }
