package node

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/artifact"
	"github.com/koinon-eu/koinon/models/release"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node/dataset"
	"github.com/koinon-eu/koinon/node/finetune"
	"github.com/koinon-eu/koinon/node/train"
)

// ErrNotTuned says that a run has no model to fine-tune.
var ErrNotTuned = errors.New("run has no evaluated model here")

// TuneRun prepares the fine-tuning of the model that a closed run has made: the run whose name begins with word, or the
// newest evaluated one of the plan of that name.
func (d Dir) TuneRun(ctx context.Context, word string) (finetune.Input, error) {
	plan, run, machine, err := d.evaluatedRun(word)
	if err != nil {
		return finetune.Input{}, err
	}
	if machine.Config().Architecture.Kind == arch.Trees {
		return finetune.Input{}, train.ErrTuneTrees
	}
	if machine.Config().Architecture.Counts() {
		return finetune.Input{}, train.ErrTuneCounts
	}
	in, err := d.tuning(plan, machine.Config())
	if err != nil {
		return in, err
	}
	threshold := 2.0
	if t, ok := machine.Tally().Threshold(plan.Operating.FPR); ok && t <= 1 {
		threshold = t
	}
	params, _ := machine.Chosen()
	in.Source = fmt.Sprintf("run %x of plan %s", run.ID, plan.Name)
	in.Model = &artifact.Model{
		Header: artifact.Header{
			Name: plan.Name, Purpose: plan.Declaration.PurposeCode, Plan: plan.Digest().String(),
			Architecture: machine.Config().Architecture, Threshold: threshold, Bands: artifact.BandsAt(threshold, 2),
		},
		Encoder: machine.Encoder(), Params: params,
	}
	if in.From, err = machine.Digest(); err != nil {
		return in, err
	}
	return d.withTable(ctx, in)
}

// evaluatedRun finds a run that is over and its machine.
func (d Dir) evaluatedRun(word string) (plan *federation.Plan, run Run, machine *schedule.Machine, err error) {
	plans, err := d.Plans()
	if err != nil {
		return nil, Run{}, nil, err
	}
	var newest time.Time
	for _, p := range plans {
		runs, err := d.Runs(p.Digest())
		if err != nil {
			return nil, Run{}, nil, err
		}
		for _, r := range runs {
			id := hex.EncodeToString(r.ID[:])
			if !r.Done || p.Name != word && (len(word) < 6 || !strings.HasPrefix(id, strings.ToLower(word))) {
				continue
			}
			info, err := os.Stat(d.Path(d.runPath(r.ID, ".json")))
			if err != nil {
				return nil, Run{}, nil, err
			}
			if plan == nil || info.ModTime().After(newest) {
				plan, run, newest = p, r, info.ModTime()
			}
		}
	}
	if plan == nil {
		return nil, run, nil, fmt.Errorf("%q: %w", word, ErrNotTuned)
	}
	_, machine, err = d.Run(run.ID, plan.Learning())
	if err == nil && machine.Tally() == nil {
		err = fmt.Errorf("%q: %w", word, ErrNotTuned)
	}
	return plan, run, machine, err
}

// TuneRelease prepares the fine-tuning of a release in a directory. Where node.yaml names release keys it must be signed
// with one of them, otherwise the statement decides which artifact it is, and the report says that nobody verified it.
func (d Dir) TuneRelease(ctx context.Context, dir string) (finetune.Input, error) {
	file, err := d.LoadFile()
	if err != nil {
		return finetune.Input{}, err
	}
	trusted, err := d.Trusted(file)
	if err != nil {
		return finetune.Input{}, err
	}
	files, err := release.Read(dir)
	if err != nil {
		return finetune.Input{}, err
	}
	checked := "not verified: node.yaml names no release_keys"
	if trusted != nil {
		if _, err := release.Open(files, *trusted); err != nil {
			return finetune.Input{}, err
		}
		checked = "verified"
	}
	statement, err := release.ParseStatement(files[release.StatementFile])
	if err != nil {
		return finetune.Input{}, err
	}
	model, err := artifact.Parse(files[release.ArtifactFile])
	if err != nil {
		return finetune.Input{}, err
	}
	digest, err := model.Digest()
	if err != nil {
		return finetune.Input{}, err
	}
	if release.Digest(digest) != statement.Artifact || model.Header.FineTuned != "" {
		return finetune.Input{}, fmt.Errorf("%s: %w", dir, release.ErrStatement)
	}
	if model.Ensemble != nil {
		return finetune.Input{}, train.ErrTuneTrees
	}
	if model.Forecasts() {
		return finetune.Input{}, train.ErrTuneCounts
	}
	cfg := schedule.Config{Schema: model.Encoder.Schema, Architecture: model.Header.Architecture, Members: len(statement.Members)}
	plan, err := d.Plan(federation.Digest(statement.Plan.Digest))
	if errors.Is(err, ErrUnknown) { // of another federation, or from before this directory
		plan, err = nil, nil
	} else if err == nil {
		cfg = plan.Learning()
	}
	if err != nil {
		return finetune.Input{}, err
	}
	in, err := d.tuning(plan, cfg)
	if err != nil {
		return in, err
	}
	in.Source, in.From, in.Model = fmt.Sprintf("release %s (%s)", statement.Name, checked), digest, model
	return d.withTable(ctx, in)
}

// withTable reads the national table under the model's schema.
func (d Dir) withTable(ctx context.Context, in finetune.Input) (finetune.Input, error) {
	file, err := d.LoadFile()
	if err == nil {
		in.Table, _, err = d.readTable(ctx, file, in.Model.Encoder.Schema, dataset.Options{})
	}
	return in, err
}

// tuning is what run and release have in common. A release of a plan that is not known here has the usual settings.
func (d Dir) tuning(plan *federation.Plan, cfg schedule.Config) (finetune.Input, error) {
	file, err := d.LoadFile()
	if err != nil {
		return finetune.Input{}, err
	}
	cfg = cfg.WithDefaults()
	in := finetune.Input{
		Member: file.Member, Key: cfg.Digest(), FPR: 0.05,
		Tuning: train.Tuning{Seed: cfg.Seed},
		Alone:  train.Settings{Rate: cfg.Algorithm.LocalRate, Batch: cfg.Algorithm.Batch, Seed: cfg.Seed},
	}
	if plan != nil {
		in.FPR = plan.Operating.FPR
	}
	return in, nil
}
