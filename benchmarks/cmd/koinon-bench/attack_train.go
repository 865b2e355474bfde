package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node/train"
)

// attackTarget trains the models that are attacked: the machine and the members
// of a federation, with sums in the clear, which changes no bit of a model.
type attackTarget struct {
	cfg   schedule.Config
	table *feature.Table // the candidates
}

// train is attack.Train.
func (a *attackTarget) train(ctx context.Context, in []bool, seed uint64) ([]float64, error) {
	cfg := a.cfg
	cfg.Seed = seed
	machine, err := schedule.New(cfg)
	if err != nil {
		return nil, err
	}
	members := a.deal(in, seed)
	defer func() {
		for _, m := range members {
			_ = m.Close()
		}
	}()
	for {
		step, more := machine.Next()
		if !more || step.Kind == schedule.Evaluate {
			break
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := sumStep(machine, step, members, seed); err != nil {
			return nil, err
		}
	}
	return a.sureness(machine)
}

// deal gives each training row to the next node in turn.
func (a *attackTarget) deal(in []bool, seed uint64) []*train.Member {
	rows := make([][]int32, a.cfg.Members)
	dealt := 0
	for i, member := range in {
		if member {
			rows[dealt%len(rows)] = append(rows[dealt%len(rows)], int32(i))
			dealt++
		}
	}
	members := make([]*train.Member, len(rows))
	for i := range rows {
		members[i] = train.NewMember(a.table.Subset(rows[i]))
		members[i].SetRunKey(streamKey(seed, uint64(i), 0))
	}
	return members
}

// sumStep adds up what the members compute and moves the machine on.
func sumStep(machine *schedule.Machine, step schedule.Step, members []*train.Member, seed uint64) error {
	sum, survivors := make([]uint64, step.Encoding.Layout.Words()), 0
	for i, m := range members {
		if m.Rows() < int(step.MinRows) {
			continue
		}
		rnd := rand.NewChaCha8(streamKey(seed, uint64(i), uint64(step.Ordinal)))
		v, err := m.Local(machine, step, rnd)
		if err != nil {
			return fmt.Errorf("node %d: %w", i+1, err)
		}
		words, err := step.Encoding.Encode(v.X, v.Ints, v.Rows, rnd)
		if err != nil {
			return fmt.Errorf("node %d: %w", i+1, err)
		}
		m.Settle(step, true)
		ring.Add(sum, words)
		survivors++
	}
	if survivors == 0 {
		return errors.New("no node has enough rows")
	}
	return machine.Apply(sum, survivors)
}

// streamKey gives each model, node and step randomness of its own.
func streamKey(seed, node, step uint64) (key [32]byte) {
	binary.LittleEndian.PutUint64(key[:], seed)
	binary.LittleEndian.PutUint64(key[8:], node+1)
	binary.LittleEndian.PutUint64(key[16:], step)
	return key
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
