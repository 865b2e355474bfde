package main

import (
	"context"
	"fmt"

	"github.com/koinon-eu/koinon/benchmarks/direct"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node/train"
)

// attackTarget trains the models that are attacked as a federation would, with
// sums in the clear, which changes no bit of a model.
type attackTarget struct {
	cfg   schedule.Config
	table *feature.Table // the candidates
}

// train is attack.Train.
func (a *attackTarget) train(ctx context.Context, in []bool, seed uint64) ([]float64, error) {
	cfg := a.cfg
	cfg.Seed = seed
	r, err := direct.Run(ctx, direct.Config{Learning: cfg, Members: a.deal(in), Seed: seed, Unjudged: true})
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	return a.sureness(r.Machine)
}

// deal gives each training row to the next node in turn.
func (a *attackTarget) deal(in []bool) []direct.Member {
	rows := make([][]int32, a.cfg.Members)
	dealt := 0
	for i, member := range in {
		if member {
			rows[dealt%len(rows)] = append(rows[dealt%len(rows)], int32(i))
			dealt++
		}
	}
	members := make([]direct.Member, len(rows))
	for i := range rows {
		members[i] = direct.Member{Name: fmt.Sprint("node-", i+1), Table: a.table.Subset(rows[i])}
	}
	return members
}

// sureness is the log-odds that the machine's model gives to each candidate's own
// label. They are never probabilities in between, which are all 1 where a model is
// very sure.
func (a *attackTarget) sureness(machine *schedule.Machine) ([]float64, error) {
	logits, err := a.logits(machine)
	if err != nil {
		return nil, err
	}
	for i, label := range a.table.Label() {
		if label == 0 {
			logits[i] = -logits[i]
		}
	}
	return logits, nil
}

func (a *attackTarget) logits(machine *schedule.Machine) ([]float64, error) {
	all := make([]int32, a.table.Rows())
	for i := range all {
		all[i] = int32(i)
	}
	encoder := machine.Encoder()
	if machine.Forest() != nil {
		return treeLogits(machine.Forest().Ensemble(), encoder, a.table, all)
	}
	rows, err := encoder.EncodeRows(a.table, all)
	if err != nil {
		return nil, err
	}
	params, _ := machine.Chosen() // what a release would hold
	model, err := arch.NewModel(machine.Config().Architecture, train.Shape(rows), params)
	if err != nil {
		return nil, err
	}
	out := make([]float64, len(all))
	model.Logits(arch.Batch{Rows: rows.Rows, X: rows.X, C: rows.C}, out)
	return out, nil
}
