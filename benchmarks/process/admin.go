package process

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// Plan is what `plan check` and `plan submit` say of a plan.
type Plan struct {
	Name    string   `json:"name"`
	Digest  string   `json:"digest"`
	Rounds  int      `json:"rounds"` // of training
	Members []string `json:"members"`
	Needed  int      `json:"threshold"`
	Leavers int      `json:"may_leave"`
	Gates   int      `json:"gates"`
}

// Run is what `run show` says of a run.
type Run struct {
	ID      string  `json:"run"`
	State   string  `json:"state"`
	Reason  string  `json:"reason"`
	Step    int     `json:"step"`
	Steps   int     `json:"steps"`
	Release string  `json:"release"`
	Rounds  []Round `json:"rounds"`
}

// Round is one round of a run.
type Round struct {
	Number       int      `json:"round"`
	Step         int      `json:"step"`
	Kind         string   `json:"kind"`
	Phase        string   `json:"phase"`
	Outcome      string   `json:"outcome"` // empty while the round is open
	Survivors    []string `json:"survivors"`
	Dropouts     []string `json:"dropouts"`
	LostIn       []string `json:"lost_in"` // the phase in which each dropout was lost
	Milliseconds int      `json:"milliseconds"`
	Bytes        int      `json:"bytes"`
}

// Closed reports whether the round ended with a sum.
func (r Round) Closed() bool { return r.Outcome == "closed" }

// Lost returns the phase in which a member was lost, "" when it was not.
func (r Round) Lost(member string) string {
	for i, m := range r.Dropouts {
		if m == member {
			return r.LostIn[i]
		}
	}
	return ""
}

// Round returns a round by its number; the zero Round when there is none.
func (r Run) Round(number int) Round {
	for _, round := range r.Rounds {
		if round.Number == number {
			return round
		}
	}
	return Round{}
}

// Release is what `release show` says of a candidate or a release.
type Release struct {
	Name      string     `json:"name"`
	State     string     `json:"state"`
	Reason    string     `json:"reason"` // why a candidate is kept back
	Statement string     `json:"statement_digest"`
	URL       string     `json:"url"`
	Gates     []Gate     `json:"gates"`
	Approvals []Approval `json:"approvals"`
}

// Gate is a gate's verdict.
type Gate struct {
	Text    string `json:"text"`
	Verdict string `json:"verdict"`
	Figures string `json:"figures"`
}

// Approval is one person's approval of a release.
type Approval struct {
	Person string `json:"person"`
	Role   string `json:"role"`
}

// Journal is what `journal verify` found.
type Journal struct {
	Records int    `json:"records"`
	Head    string `json:"head"`
}

// admin runs a command of the coordinator as the first admin.
func (f *Federation) admin(ctx context.Context, out any, args ...string) error {
	return f.as(ctx, f.cfg.Admins[0].Name, out, args...)
}

func (f *Federation) as(ctx context.Context, who string, out any, args ...string) error {
	args = append(args, "--dir", f.CoordinatorDir(), "--as", who)
	return runJSON(ctx, out, "", f.path(coordinatorProgram), args...)
}

// CheckPlan checks a plan offline.
func (f *Federation) CheckPlan(ctx context.Context, path string) (p Plan, err error) {
	err = runJSON(ctx, &p, "", f.path(coordinatorProgram), "plan", "check", path)
	return p, err
}

// SubmitPlan offers a plan to its cohort.
func (f *Federation) SubmitPlan(ctx context.Context, path string) (p Plan, err error) {
	err = f.admin(ctx, &p, "plan", "submit", path)
	return p, err
}

// Run returns the newest run of a plan with its rounds.
func (f *Federation) Run(ctx context.Context, plan string) (r Run, err error) {
	err = f.admin(ctx, &r, "run", "show", plan)
	return r, err
}

// poll is how long to wait between two looks at a run.
const poll = 200 * time.Millisecond

// WaitRun waits until a plan's run is over, also through restarts of the
// coordinator, and returns it. A run that ended otherwise than evaluated is an error.
func (f *Federation) WaitRun(ctx context.Context, plan string) (Run, error) {
	for {
		r, err := f.Run(ctx, plan)
		if err == nil {
			switch r.State {
			case "evaluated":
				return r, nil
			case "stopped", "failed":
				return r, fmt.Errorf("run %s is %s: %s%s", r.ID, r.State, r.Reason, f.coordinator.Tail())
			}
		}
		select {
		case <-ctx.Done():
			if err == nil {
				err = fmt.Errorf("run %s is %s in step %d of %d: %s", r.ID, r.State, r.Step, r.Steps, r.Reason)
			}
			return r, fmt.Errorf("%w: %w%s", context.Cause(ctx), err, f.coordinator.Tail())
		case <-time.After(poll):
		}
	}
}

// Release returns a candidate or release.
func (f *Federation) Release(ctx context.Context, name string) (r Release, err error) {
	err = f.admin(ctx, &r, "release", "show", name)
	return r, err
}

// Answer has an admin answer in writing the gate in this place, counted from 1,
// and returns the release's new state.
func (f *Federation) Answer(ctx context.Context, admin, name string, gate int, answer string) (state string, err error) {
	var out struct {
		State string `json:"state"`
	}
	err = f.as(ctx, admin, &out, "release", "answer", name, "--gate", strconv.Itoa(gate), "--answer", answer)
	return out.State, err
}

// Approve has an admin approve a release, and returns its new state.
func (f *Federation) Approve(ctx context.Context, admin, name string) (state string, err error) {
	var out struct {
		State string `json:"state"`
	}
	err = f.as(ctx, admin, &out, "release", "approve", name)
	return out.State, err
}

// The verdicts of a gate. AnswerRequired asks the approvers for an answer in
// writing instead of failing.
const (
	Pass           = "pass"
	AnswerRequired = "answer required"
	Answered       = "answered"
)

// VerifyJournal recomputes the chain of the coordinator's records.
func (f *Federation) VerifyJournal(ctx context.Context) (j Journal, err error) {
	err = runJSON(ctx, &j, "", f.path(coordinatorProgram), "journal", "verify", "--dir", f.CoordinatorDir())
	return j, err
}
