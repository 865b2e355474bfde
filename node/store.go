package node

import (
	"errors"
	"time"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/models/schedule"
)

// ErrUnknown means that a store does not hold what was asked for.
var ErrUnknown = errors.New("not known on this node")

// Decision is the operator's word on a plan. The zero Decision is none: the plan does not run (default-deny), unless
// a rule of the policy lets it.
type Decision struct {
	Plan      federation.Digest `json:"plan"`
	Approve   bool              `json:"approve"`
	Reason    string            `json:"reason,omitempty"`
	By        string            `json:"by"` // operator, policy
	Time      time.Time         `json:"time"`
	Signature []byte            `json:"signature"` // by the identity key, over federation.Approval
}

// Made reports whether there is a decision at all.
func (d Decision) Made() bool { return !d.Time.IsZero() }

// RunID names a run.
type RunID [16]byte

// Run is what a node remembers of a run besides its ledger (S63). State, Step and Closed change together with the
// machine.
type Run struct {
	ID          RunID
	Plan        federation.Digest
	Closed      uint32     // last closed round applied
	Step        uint32     // steps applied
	State       [32]byte   // S58
	Cohort      secagg.Set // of the newest sum of statistics or histograms (trees 34)
	Data        [32]byte   // of a plan of trees: names the rows with which this node is in it
	Key         [32]byte   // of a plan of trees: draws rows and rounding; a secret of this node (trees 8)
	Follow      bool       // S62: a sum was taken over that this node could not spot-check
	Stopped     string     // why this node takes no part until its operator approves the plan again
	StoppedAt   time.Time
	Evidence    string // the file that shows why, in the evidence folder
	Control     []byte // SCAFFOLD: this member's control variate after Step. It never leaves the node
	Pending     []byte // what it will be if this member's vector is in the sum of PendingStep
	PendingStep uint32
	Done        bool
}

// Store keeps what a restart must not lose. Each method is atomic: after a crash the old or the new value is there.
// Round secrets never pass through it.
type Store interface {
	// Roster returns the roster that the operator accepted, or ErrUnknown.
	Roster() (*federation.Roster, error)
	// OfferRoster keeps a newer roster for the operator to look at.
	OfferRoster(federation.SignedRoster) error
	// AcceptRoster pins a roster; only an operator's act or enrolment leads here.
	AcceptRoster(federation.SignedRoster) error

	// Plan returns a plan that was offered, or ErrUnknown.
	Plan(federation.Digest) (*federation.Plan, error)
	KeepPlan(*federation.Plan) error
	// Decision returns the zero Decision when there is none.
	Decision(federation.Digest) (Decision, error)
	Decide(Decision) error

	// Start returns the artifact of that digest, which a plan starts from, or ErrUnknown.
	Start(artifact federation.Digest) ([]byte, error)
	KeepStart(artifact federation.Digest, body []byte) error

	// Run returns a run with its machine, or ErrUnknown.
	Run(id RunID, cfg schedule.Config) (Run, *schedule.Machine, error)
	// SaveRun keeps a run; a nil machine leaves the stored one as it is.
	SaveRun(Run, *schedule.Machine) error
	// Runs lists the runs of a plan.
	Runs(plan federation.Digest) ([]Run, error)

	// SaveFigures keeps this member's own figures of a run. They never leave.
	SaveFigures(Figures) error
	// KeepEvidence keeps a file that says that somebody lied, and proves it where that can be. A name that is kept
	// already stays as it is.
	KeepEvidence(name string, data []byte) error
}
