package secagg

import (
	"errors"
	"fmt"
)

// What a check found (§6, §7). Every failure wraps exactly one of these.
var (
	ErrSignature    = errors.New("signature is not valid")
	ErrRoster       = errors.New("roster is not the pinned one or not valid")
	ErrPlan         = errors.New("plan or cohort is not the approved one")
	ErrThreshold    = errors.New("cohort size or threshold is not acceptable")
	ErrPolicy       = errors.New("step is not the one this member derived")
	ErrStale        = errors.New("round or phase is over")
	ErrTranscript   = errors.New("message does not belong to this transcript")
	ErrNoData       = errors.New("too few rows to take part")
	ErrTooFew       = errors.New("too few members")
	ErrAltered      = errors.New("message was altered on the way")
	ErrModel        = errors.New("state or model is not the expected one")
	ErrBundle       = errors.New("bundle of another member is not usable")
	ErrNotSurvivor  = errors.New("this member is not in the set")
	ErrSpotCheck    = errors.New("chunk of the sum is not the sum of the uploads")
	ErrBudget       = errors.New("budget is spent")
	ErrReused       = errors.New("seeds already cover a vector")
	ErrUpload       = errors.New("upload is not complete or not acceptable")
	ErrSurvivors    = errors.New("survivors are not acceptable")
	ErrStepReleased = errors.New("step was already released with other survivors")
	ErrCertificate  = errors.New("certificate is not valid")
	ErrResult       = errors.New("result does not match the round")
	ErrEquivocation = errors.New("two different messages where one is allowed")
	ErrSender       = errors.New("frame names another sender")
	ErrRange        = errors.New("value is out of range")

	// ErrFormat: bytes that are not a canonical message (S18).
	ErrFormat = errors.New("not a canonical message")
	// ErrAborted: the coordinator ended the batch; see AbortError.
	ErrAborted = errors.New("coordinator aborted the round")
	// ErrLeft: the client has left this batch.
	ErrLeft = errors.New("batch is over for this side")
	// ErrBlamed: the message proves that its sender, or a dealer, cheated; the
	// server's Blames has the evidence.
	ErrBlamed = errors.New("evidence against a member")
)

// AbortError tells why the coordinator ended a sum or, with K = 0, the batch. It
// wraps ErrAborted.
type AbortError struct {
	K        uint16
	Reason   uint8 // one of the Reason constants
	Evidence [32]byte
}

func (e *AbortError) Error() string {
	return fmt.Sprintf("%v: %s", ErrAborted, ReasonText(e.Reason))
}

// Unwrap returns ErrAborted.
func (e *AbortError) Unwrap() error { return ErrAborted }

// EquivocationError holds two different packets of the coordinator where the
// protocol allows one (S30). It wraps ErrEquivocation. Of a packet of an earlier
// sum of the batch only a digest was kept: First is nil.
type EquivocationError struct{ First, Second []Frame }

func (e *EquivocationError) Error() string {
	return fmt.Sprintf("%v: %s", ErrEquivocation, e.Second[0].Type)
}

// Unwrap returns ErrEquivocation.
func (e *EquivocationError) Unwrap() error { return ErrEquivocation }

// Reasons of an abort (§7).
const (
	ReasonTooFew  uint8 = 1 + iota // too few members answered a phase
	ReasonBlame                    // evidence names a member
	ReasonAgree                    // too few agreed in time
	ReasonDealing                  // a dealer's shares do not give the committed seed
	ReasonUnmask                   // too few unmasked in time
	ReasonRange                    // the sum is out of range
	ReasonRestart                  // the coordinator restarted
	ReasonAdmin                    // an admin stopped the run
	ReasonStorage                  // the coordinator cannot store
	ReasonReveal                   // a member did not reveal its part in the draw (V7)
)

var reasonTexts = [...]string{
	ReasonTooFew:  "too few members answered",
	ReasonBlame:   "a member was blamed",
	ReasonAgree:   "too few members agreed in time",
	ReasonDealing: "a dealer's shares are wrong",
	ReasonUnmask:  "too few members unmasked in time",
	ReasonRange:   "sum is out of range",
	ReasonRestart: "coordinator restarted",
	ReasonAdmin:   "stopped by an admin",
	ReasonStorage: "coordinator cannot store",
	ReasonReveal:  "a member withheld its part in the draw",
}

// ReasonText returns a reason of an abort in words.
func ReasonText(r uint8) string {
	if int(r) < len(reasonTexts) && r > 0 {
		return reasonTexts[r]
	}
	return fmt.Sprintf("reason %d", r)
}
