package participant

import (
	"errors"
	"fmt"
	"slices"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/secagg"
)

// ErrNotApproved means that neither the operator nor a rule of the policy has let the plan run on this node.
var ErrNotApproved = errors.New("plan is not approved on this node")

// ErrDeadline means that the coordinator said nothing for longer than the phase may last (S67).
var ErrDeadline = errors.New("phase took too long")

// Config is what a node knows by itself when a batch opens. Nothing in it comes from the batch's own messages.
type Config struct {
	Self     uint8 // own index in the roster
	Roster   *federation.Roster
	Plan     *federation.Plan
	Approved bool   // by the operator; a rule of the policy may stand in for it
	Today    string // YYYY-MM-DD, for the plan's validity
	Policy   federation.Policy

	Run       [16]byte
	LastRound uint32 // the last round of this run that this node joined; older ones are stale
	// Expect is the first sum, of the step this node derived itself, by Plan.Sum from its own machine and state (S73).
	Expect secagg.Sum
	Number uint32 // of that step among the plan's steps of its kind, from 1 (S33)
	Rows   uint32 // own rows that take part in the step
	Drawn  int    // graphs drawn under the plan so far (V12)
	Follow bool   // S62

	// Lock returns the survivors that this node released for a place τ of the plan before, in any run (S33).
	Lock func(name [32]byte) (secagg.Set, bool)
	// Require returns the only survivors with which this node releases a sum, if there are any: the cohort of a tree (S38).
	Require func(sum secagg.Sum) (secagg.Set, bool)
	// Allow says why this node does not release a sum with these survivors; nil allows all.
	Allow func(sum secagg.Sum, survivors secagg.Set) error
	Sign  secagg.Signer
	Seal  secagg.Seal
	Rho   [32]byte // fresh from the operating system for every batch (S13)
}

// String hides Rho.
func (c Config) String() string { return fmt.Sprintf("participant.Config(member %d)", c.Self) }

// GoString hides Rho.
func (c Config) GoString() string { return c.String() }

// check decides whether this node takes part in any round of the plan at all.
func (c Config) check() error {
	if c.Roster == nil || c.Plan == nil {
		return fmt.Errorf("%w: no roster or no plan", secagg.ErrPlan)
	}
	if !c.Approved && !c.Policy.RunsUnattended(c.Plan) {
		return ErrNotApproved
	}
	if err := c.Plan.Check(c.Today); err != nil {
		return fmt.Errorf("%w: %w", secagg.ErrPlan, err)
	}
	if err := c.Policy.Allows(c.Plan); err != nil {
		return fmt.Errorf("%w: %w", secagg.ErrPolicy, err)
	}
	if err := c.bounds(c.Expect); err != nil {
		return err
	}
	name := c.Roster.Name(c.Self)
	if !slices.Contains(c.Plan.Cohort.Members, name) {
		return fmt.Errorf("%w: the cohort does not name %s", secagg.ErrPlan, name)
	}
	return nil
}

// bounds holds a sum to this node's own limits.
func (c Config) bounds(sum secagg.Sum) error {
	if words := sum.Layout().Words(); words > c.Policy.MaxWords {
		return fmt.Errorf("%w: a vector of %d words, this node allows %d", secagg.ErrPolicy, words, c.Policy.MaxWords)
	}
	return nil
}

func (c Config) client() (secagg.ClientConfig, error) {
	cohort, err := c.Plan.Set(c.Roster)
	if err != nil {
		return secagg.ClientConfig{}, fmt.Errorf("%w: %w", secagg.ErrPlan, err)
	}
	return secagg.ClientConfig{
		Self: c.Self, Federation: c.Roster.ID, RosterDigest: c.Roster.Digest(), Plan: c.Plan.Digest(),
		Roster: c.Roster.SecAgg(), Cohort: cohort, Run: c.Run, LastRound: c.LastRound,
		MinCohort: c.Policy.MinCohort, MinSurvivors: max(c.Policy.MinSurvivors, c.Plan.Cohort.Minimum),
		Expect: c.Expect, Number: c.Number, Rows: c.Rows, MaxSums: uint16(c.Plan.Batch), Drawn: c.Drawn, Follow: c.Follow, Lock: c.Lock,
		Require: c.Require, Allow: c.Allow, Sign: c.Sign, Seal: c.Seal, Rho: c.Rho,
	}, nil
}
