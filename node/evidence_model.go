package node

import (
	"fmt"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/secagg"
)

// Recompute judges evidence about a model (S68 kind 6) by computing the model again, which needs the model before that
// round: a node has it that is at that round, above all one that stopped there for the same reason. nil means that the
// coordinator announced another model than follows from its own sum; otherwise the error says why this is not shown.
func Recompute(s Store, r *federation.Roster, proof []byte) error {
	claim, err := secagg.ReadModelClaim(r.SecAgg(), proof)
	if err != nil {
		return err
	}
	plan, err := s.Plan(claim.Spec.Plan)
	if err != nil {
		return fmt.Errorf("the plan: %w", err)
	}
	run, machine, err := s.Run(claim.Sum.Run, plan.Learning())
	switch {
	case err != nil:
		return fmt.Errorf("the run: %w", err)
	case run.State != claim.Sum.State:
		return fmt.Errorf("this node is after round %d of the run and has another model than the one before round %d", run.Closed, claim.Closed.Round)
	case claim.Words == nil:
		return fmt.Errorf("the sum is too large to be kept in the file, and this node has not got it")
	}
	step, more := machine.Next()
	if !more || step.Ordinal != claim.Sum.Step || uint8(step.Kind) != claim.Sum.Kind {
		return fmt.Errorf("the sum is not that of the step which follows from the model of this node")
	}
	if machine.Apply(claim.Words, claim.Closed.Survivors.Len()) != nil {
		return nil // nothing follows from it, and yet a model was announced
	}
	model, err := machine.Digest()
	if err == nil && model == claim.Closed.Model {
		err = fmt.Errorf("computed again here, the announced model is the one that follows from the sum")
	}
	return err
}
