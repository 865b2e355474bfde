package process

import (
	"context"
	"net"
	"strings"
)

// Enrolment says what a member got.
type Enrolment struct {
	Member    string `json:"member"`
	Index     int    `json:"index"`
	Identity  string `json:"identity_key"` // base64, as other operators see it in the roster
	Authority string `json:"authority"`    // fingerprint of the certificate authority
}

// Roster is what `roster show` and `roster accept` print.
type Roster struct {
	Accepted struct {
		Version int `json:"version"`
		Members []struct {
			Name string `json:"name"`
			Key  string `json:"key"`
		} `json:"members"`
	} `json:"accepted"`
	Changes []struct {
		Member string `json:"member"`
		What   string `json:"what"`
	} `json:"changes"`
}

// Account is what a node's ledger says of one plan.
type Account struct {
	Steps       int `json:"steps"`
	Evaluations int `json:"evaluations"`
}

// Enrol has the coordinator invite a member, and its operator use the invite in
// a new state directory beside the table.
func (f *Federation) Enrol(ctx context.Context, member, table string) (Enrolment, error) {
	var invite struct {
		Invite string `json:"invite"`
	}
	if err := f.admin(ctx, &invite, "member", "invite", member); err != nil {
		return Enrolment{}, err
	}
	ports, err := freePorts(1)
	if err != nil {
		return Enrolment{}, err
	}
	f.metrics[member] = net.JoinHostPort("127.0.0.1", ports[0])
	var out Enrolment
	err = runJSON(ctx, &out, invite.Invite, f.path(nodeProgram), "enroll", "--dir", f.NodeDir(member), "--data", table,
		"--tick", f.cfg.Tick.String(), "--metrics", f.metrics[member])
	if err != nil {
		return out, err
	}
	f.nodes[member], err = newProgram("node-"+member, f.logs(), f.path(nodeProgram), "serve", "--dir", f.NodeDir(member))
	return out, err
}

// operator runs a command of a member's operator.
func (f *Federation) operator(ctx context.Context, member string, out any, args ...string) error {
	return runJSON(ctx, out, "", f.path(nodeProgram), append(args, "--dir", f.NodeDir(member))...)
}

// AcceptRoster pins the newest roster at a member's node.
func (f *Federation) AcceptRoster(ctx context.Context, member string) (r Roster, err error) {
	err = f.operator(ctx, member, &r, "roster", "accept")
	return r, err
}

// CheckData reads a member's table under a schema file.
func (f *Federation) CheckData(ctx context.Context, member, schema string) error {
	var report any
	return f.operator(ctx, member, &report, "data", "check", "--schema", schema)
}

// ApprovePlan has a member's operator approve a plan.
func (f *Federation) ApprovePlan(ctx context.Context, member, plan string) error {
	var decision any
	return f.operator(ctx, member, &decision, "plan", "approve", plan)
}

// Figures decodes into out what a node keeps for its own operator: its figures
// of every run, alone against federated.
func (f *Federation) Figures(ctx context.Context, member string, out any) error {
	return f.operator(ctx, member, out, "figures", "show")
}

// Sent sums up what a node has sent above TLS, by its own record: messages and bytes.
func (f *Federation) Sent(ctx context.Context, member string) (messages, bytes int, err error) {
	var lines []struct {
		Bytes int `json:"bytes"`
	}
	if err := f.operator(ctx, member, &lines, "egress", "list"); err != nil {
		return 0, 0, err
	}
	for _, l := range lines {
		bytes += l.Bytes
	}
	return len(lines), bytes, nil
}

// VerifyRecords recomputes the chains of a node's ledger and of its egress record.
func (f *Federation) VerifyRecords(ctx context.Context, member string) error {
	for _, what := range []string{"budget verify", "egress verify"} {
		var summary any
		if err := f.operator(ctx, member, &summary, strings.Fields(what)...); err != nil {
			return err
		}
	}
	return nil
}
