package coordinator

import "github.com/koinon-eu/koinon/models/schedule"

// Schedule says which sum of a plan comes next and what follows from it. It is a *schedule.Machine, and something else
// only where no model is trained: a benchmark of sums alone.
type Schedule interface {
	// Next returns the step to be summed; more is false when the plan is complete.
	Next() (step schedule.Step, more bool)
	// Rounds counts the training rounds that were applied and those of the plan.
	Rounds() (applied, planned int)
	// Apply moves on by a sum over so many survivors. An error refuses the sum and leaves the schedule as it was.
	Apply(sum []uint64, survivors int) error
	// Digest is that of the model (S58).
	Digest() ([32]byte, error)
}

var _ Schedule = (*schedule.Machine)(nil)

// model is the machine of a run that trains a model, else nil.
func (r *run) model() *schedule.Machine {
	m, _ := r.machine.(*schedule.Machine)
	return m
}
