package node

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node/budget"
	"github.com/koinon-eu/koinon/node/chain"
)

// A sum of histograms over some members, less the same sum over all of them but one, is that one's histogram (trees 35).
// So this node releases statistics and histograms only for cohorts that its ledger allows, and the levels of one tree
// only for one cohort. Sums with the noise of every node need neither (trees 62).

// ofTree returns the only survivors with which this node releases the present sum: below its first level a tree opens
// for those of that level, which all sides know (trees 34).
func (a *actor) ofTree(secagg.Sum) (secagg.Set, bool) {
	return a.run.Cohort, a.step.Kind == schedule.Grow && a.machine.Level() > 0
}

// checkTree holds survivors to what the tree in progress wants, or the one that was ended before it: members who cannot
// be in the next one are the only reason to end a tree.
func (a *actor) checkTree(survivors secagg.Set) error {
	if set, ok := a.ofTree(secagg.Sum{}); ok && set != survivors {
		return fmt.Errorf("%w: a level of a tree over %v, it began over %v", secagg.ErrSurvivors, survivors, set)
	}
	if a.cut == nil || a.step.Kind != schedule.Grow {
		return nil
	}
	if left := a.cut.Minus(survivors).Len(); left < a.plan.Shed {
		return fmt.Errorf("%w: a tree was ended early, but only %d of its cohort are left out of the next, at least %d must be", secagg.ErrSurvivors, left, a.plan.Shed)
	}
	return nil
}

// allows says why the present sum is not released for these survivors.
func (a *actor) allows(_ secagg.Sum, survivors secagg.Set) error {
	if err := a.checkTree(survivors); err != nil {
		return err
	}
	cohort, ok, err := a.cohort(survivors, a.part.Round())
	if err != nil || !ok {
		return err
	}
	return a.n.cfg.Ledger.CheckCohort(cohort)
}

// cohort is what the ledger holds of the present sum over these survivors; false for a kind that it does not watch, and
// for sums with noise.
func (a *actor) cohort(survivors secagg.Set, round uint32) (budget.Cohort, bool, error) {
	if a.step.Kind != schedule.Statistics && a.step.Kind != schedule.Grow || a.plan.Privacy.DP == federation.DPRecord {
		return budget.Cohort{}, false, nil
	}
	data, err := a.national()
	return budget.Cohort{
		Data: chain.Digest(data.name), Survivors: chain.Digest(survivors), Apart: a.plan.Shed, Run: budget.Run(a.run.ID), Round: round,
	}, true, err
}

// saw records for whom a verified sum was opened, also where this node was not among them.
func (a *actor) saw(c secagg.Closed) error {
	cohort, ok, err := a.cohort(c.Survivors, c.Round)
	if err != nil || !ok {
		return err
	}
	return a.n.cfg.Ledger.Saw(time.Now().Unix(), cohort)
}

// release records for whom the present sum is released, before it is.
func (a *actor) release(now int64, survivors secagg.Set) error {
	cohort, ok, err := a.cohort(survivors, a.part.Round())
	if err != nil || !ok {
		return err
	}
	err = a.n.cfg.Ledger.Cohort(now, cohort)
	if errors.Is(err, budget.ErrTooNear) {
		err = fmt.Errorf("%w: %w", secagg.ErrSurvivors, err)
	}
	return err
}

// ending is how a coordinator may change the model between two sums, which nodes compute for themselves.
type ending struct {
	name string
	do   func(*schedule.Machine) error
}

// endings: the trees in progress end at their last opened level because members are left out of the next (trees 38), or
// growth ends (39).
var endings = []ending{{"cut", (*schedule.Machine).Cut}, {"stop", (*schedule.Machine).Stop}}

// align brings the machine to the model that a sum names, where the coordinator has ended trees or growth since the sum
// before. For whom a sum after that may be released is the question of allows. Any other model is left to those who
// compare.
func (a *actor) align(model [32]byte) error {
	if !a.plan.Grows() {
		return nil
	}
	own, err := a.machine.Digest()
	if err != nil || own == model {
		return err
	}
	for _, e := range endings {
		machine, err := a.after(e)
		if err != nil {
			return err
		}
		if machine == nil {
			continue
		}
		if digest, err := machine.Digest(); err != nil || digest != model {
			if err != nil {
				return err
			}
			continue
		}
		a.adopt(e, machine)
		return nil
	}
	return nil
}

// after returns a copy of the machine with an ending; nil where there is nothing to end.
func (a *actor) after(e ending) (*schedule.Machine, error) {
	state, err := a.machine.MarshalBinary()
	if err != nil {
		return nil, err
	}
	machine, err := schedule.UnmarshalMachine(a.plan.Learning(), state)
	if err != nil {
		return nil, err
	}
	if err := e.do(machine); errors.Is(err, schedule.ErrComplete) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return machine, nil
}

// adopt goes on with a machine of after. Nothing is stored: the same follows again from what is, and the sum that
// closes next stores the outcome.
func (a *actor) adopt(e ending, machine *schedule.Machine) {
	a.training.Lock() // a worker of a round that was aborted may still read the machine
	defer a.training.Unlock()
	if cohort := a.run.Cohort; e.name == "cut" {
		a.cut = &cohort
	}
	a.machine = machine
	a.log.Info("the coordinator ended the growth of trees before its time", "how", e.name, "trees", machine.Trees())
}

// sameRows refuses to go on with trees over other rows than they were begun with: no level would fit the one before.
func (a *actor) sameRows() error {
	if !a.plan.Grows() {
		return nil
	}
	data, err := a.national()
	if err != nil || data.name == a.run.Data {
		return err
	}
	if a.run.Data != ([32]byte{}) {
		return fmt.Errorf("%w: the national table changed since this run of trees began; put the old one back, or wait for a new run", secagg.ErrNoData)
	}
	a.run.Data = data.name
	return a.n.cfg.Store.SaveRun(a.run, nil)
}

// checkRows refuses a plan for which this node has too many rows (trees 9). With noise it is not asked: cells then hold
// any number of rows (trees 61), and a refusal would tell of a single one.
func (a *actor) checkRows(rows int) error {
	if most := a.plan.RowsMax; most > 0 && rows > int(most) {
		return fmt.Errorf("%w: %d training rows here, the plan's rows_max is %d; it takes a plan with more, or a table with fewer", secagg.ErrPolicy, rows, most)
	}
	return nil
}

// runKey draws the key by which this node samples rows and rounds gradients of a run's trees. It is kept with the run,
// so that a node that was started again makes the same integers (trees 8).
func runKey(plan *federation.Plan) (key [32]byte, err error) {
	if plan.Grows() {
		_, err = rand.Read(key[:])
	}
	return key, err
}
