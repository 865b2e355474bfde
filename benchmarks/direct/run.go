package direct

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node"
	"github.com/koinon-eu/koinon/node/train"
)

// Vector is what one member puts into a step.
type Vector struct {
	Step   schedule.Step
	Member string
	Plain  train.Vector
	Words  []uint64 // encoded, not masked
}

// Config says what to compute.
type Config struct {
	Learning schedule.Config // its number of members is that of Members
	Members  []Member
	Minimum  int    // a sum of fewer members is an error; 0 means 1
	Seed     uint64 // of the order of rows and of rounding

	Unjudged bool // end before the evaluation, for which each member would train a model alone

	Machine *schedule.Machine // to go on from, of the same plan; nil begins with the first sum

	// Workers do the members' work, in their order; nil makes them. Those of an earlier run over the same tables
	// still know the models that they trained alone.
	Workers  []*train.Member
	Progress func(step int)    // after each sum; may be nil
	Summed   func(Vector) bool // sees each vector and says whether it is in the sum; nil: all are
}

// Result is what a run leaves.
type Result struct {
	Machine *schedule.Machine // after the last step
	Workers []*train.Member   // one a member, with the model each trained alone; the caller closes them
}

// Close releases what the workers hold.
func (r *Result) Close() error {
	var errs []error
	for _, w := range r.Workers {
		errs = append(errs, w.Close())
	}
	return errors.Join(errs...)
}

// Run takes the plan from its first sum to its last. A member with fewer rows than a step asks for is left out of
// that step, as it would decline over the protocol (S44).
func Run(ctx context.Context, cfg Config) (*Result, error) {
	machine := cfg.Machine
	if machine == nil {
		var err error
		if machine, err = schedule.New(cfg.Learning); err != nil {
			return nil, err
		}
	}
	if n := cfg.Learning.Members; n != len(cfg.Members) {
		return nil, fmt.Errorf("plan has %d members, there are %d tables", n, len(cfg.Members))
	}
	r := &Result{Machine: machine, Workers: cfg.Workers}
	if err := r.employ(cfg); err != nil {
		return nil, err
	}
	for {
		step, more := machine.Next()
		if !more || cfg.Unjudged && step.Kind == schedule.Evaluate {
			return r, nil
		}
		sum, survivors, err := cfg.sum(ctx, r, step)
		if err == nil {
			err = machine.Apply(sum, survivors)
		}
		if err != nil {
			return nil, errors.Join(err, r.Close())
		}
		if cfg.Progress != nil {
			cfg.Progress(int(step.Ordinal))
		}
	}
}

// employ makes workers, or has those of an earlier run begin afresh.
func (r *Result) employ(cfg Config) error {
	for i, m := range cfg.Members {
		if cfg.Workers == nil {
			r.Workers = append(r.Workers, train.NewMember(m.Table))
		}
		w := r.Workers[i]
		w.SetRunKey(key(cfg.Seed, 0, "run key", m.Name))
		if err := errors.Join(w.Close(), w.SetControl(nil)); err != nil {
			return err
		}
	}
	return nil
}

// sum computes, encodes and adds the members' vectors.
func (cfg Config) sum(ctx context.Context, r *Result, step schedule.Step) (sum []uint64, survivors int, err error) {
	sum = make([]uint64, step.Encoding.Layout.Words())
	for i, m := range cfg.Members {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		if m.rows(step) < int(step.MinRows) {
			continue
		}
		v := Vector{Step: step, Member: m.Name}
		if v.Plain, err = r.Workers[i].Local(r.Machine, step, Random(cfg.Seed, m.Name, step.Ordinal, node.UseOrder)); err != nil {
			return nil, 0, fmt.Errorf("member %s: %w", m.Name, err)
		}
		rounding := Random(cfg.Seed, m.Name, step.Ordinal, node.UseRounding)
		if v.Words, err = step.Encoding.Encode(v.Plain.X, v.Plain.Ints, v.Plain.Rows, rounding); err != nil {
			return nil, 0, fmt.Errorf("member %s: %w", m.Name, err)
		}
		summed := cfg.Summed == nil || cfg.Summed(v)
		r.Workers[i].Settle(step, summed)
		if summed {
			ring.Add(sum, v.Words)
			survivors++
		}
	}
	if least := max(cfg.Minimum, 1); survivors < least {
		return nil, 0, fmt.Errorf("step %d, %s: %d of %d members have rows enough, the plan wants %d: give nodes more rows, or make fewer nodes",
			step.Ordinal, step.Kind, survivors, len(cfg.Members), least)
	}
	return sum, survivors, nil
}

// Random gives each member, step and use a stream of its own from the seed.
func Random(seed uint64, member string, step uint32, use node.Use) io.Reader {
	return rand.NewChaCha8(key(seed, step, use, member))
}

func key(seed uint64, step uint32, use node.Use, member string) [32]byte {
	text := binary.BigEndian.AppendUint64([]byte("koinon/sim/random/v1"), seed)
	text = binary.BigEndian.AppendUint32(text, step)
	return sha256.Sum256(append(append(text, use...), member...))
}
