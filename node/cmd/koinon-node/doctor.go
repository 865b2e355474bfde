package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/koinon-eu/koinon/crypto/identity"
	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/node"
	"github.com/koinon-eu/koinon/node/budget"
	"github.com/koinon-eu/koinon/node/dataset"
	"github.com/koinon-eu/koinon/node/egress"

	"golang.org/x/sys/unix"
)

type doctorCommand struct {
	place
	output
}

// Help shows an example.
func (doctorCommand) Help() string {
	return `Checks configuration, keys, certificate, clock, records, data, disk, and the way to the coordinator. Each line says ok,
warn or fail; what is not ok has a hint. Exit code 1 when something fails.

Example:

  koinon-node doctor --dir /var/lib/koinon-node`
}

// finding is one line of doctor.
type finding struct {
	Check string `json:"check"`
	State string `json:"state"` // ok, warn, fail
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"`
}

func ok(check, format string, args ...any) finding {
	return finding{Check: check, State: "ok", Text: fmt.Sprintf(format, args...)}
}

func warn(check, hint, format string, args ...any) finding {
	return finding{Check: check, State: "warn", Text: fmt.Sprintf(format, args...), Hint: hint}
}

func fail(check, hint string, err error) finding {
	if h := cli.HintOf(hinted(err)); h != "" {
		hint = h
	}
	return finding{Check: check, State: "fail", Text: err.Error(), Hint: hint}
}

// Run implements the command.
func (c *doctorCommand) Run(ctx context.Context, std cli.Streams) error {
	findings := examine(ctx, c.dir(), time.Now())
	if c.JSON {
		if err := cli.PrintJSON(std.Out, findings); err != nil {
			return err
		}
	}
	failed := 0
	for _, f := range findings {
		if f.State == "fail" {
			failed++
		}
		if c.JSON {
			continue
		}
		cli.Printf(std.Out, "%-4s  %-12s %s\n", f.State, f.Check, strings.ReplaceAll(f.Text, "\n", "; "))
		if f.Hint != "" {
			cli.Printf(std.Out, "      %-12s hint: %s\n", "", f.Hint)
		}
	}
	if failed > 0 {
		return cli.Hint(fmt.Errorf("%d of %d checks failed", failed, len(findings)), "each failed line above says what to do")
	}
	return nil
}

func examine(ctx context.Context, d node.Dir, now time.Time) []finding {
	file, err := d.LoadFile()
	if err != nil {
		return []finding{fail("config", "mend the line in node.yaml", err)} // without node.yaml the hint is another
	}
	out := []finding{ok("config", "member %s of %s", file.Member, file.Federation)}
	if _, err := d.LoadPolicy(file); err != nil {
		out = append(out, fail("policy", "mend the file that node.yaml names under policy", err))
	} else {
		out = append(out, ok("policy", "%s", policyName(file)))
	}
	own := owner(d)
	out = append(out, own, keys(ctx, d, file), certificate(d, file, now), clock(d, file, now), roster(d, file))
	out = append(out, records(d)...)
	out = append(out, stops(d))
	out = append(out, data(ctx, d, file)...)
	out = append(out, disk(d))
	if own.State == "fail" { // asking leaves a record, which would belong to the wrong user
		return append(out, warn("coordinator", "mend what the line about owner says first", "not asked"))
	}
	return append(out, coordinator(ctx, d, now))
}

// owner checks that every file belongs to the user that runs this: what another user has written stops the service later,
// in the middle of something.
func owner(d node.Dir) finding {
	var foreign []string
	err := filepath.WalkDir(d.Path(), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return ignoreMissing(err) // replaced meanwhile
		}
		info, err := e.Info()
		if err != nil {
			return ignoreMissing(err)
		}
		if s, ok := info.Sys().(*syscall.Stat_t); ok && int(s.Uid) != os.Geteuid() {
			foreign = append(foreign, path)
		}
		return nil
	})
	const hint = "run doctor as the user that serves; if it does, give the files back to it: chown -R koinon-node: DIR"
	switch {
	case err != nil:
		return fail("owner", hint, err)
	case len(foreign) > 0:
		return fail("owner", hint, fmt.Errorf("%d files do not belong to the user that runs this (%d), first %s", len(foreign), os.Geteuid(), foreign[0]))
	}
	return ok("owner", "every file belongs to the user that runs this")
}

func policyName(f node.File) string {
	if f.Policy == "" {
		return "the defaults: every plan waits for the operator"
	}
	return f.Policy
}

func keys(ctx context.Context, d node.Dir, file node.File) finding {
	const hint = "the keys of this member: chmod 700 the directory and 600 the files, owned by the user that serves"
	for _, path := range []string{d.Path(), d.Path("keys"), d.Path("certs")} {
		info, err := os.Stat(path)
		if err != nil {
			return fail("keys", hint, err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			return fail("keys", hint, fmt.Errorf("%s has mode %o: others may look into it", path, info.Mode().Perm()))
		}
	}
	if _, err := d.Signer(ctx, file); err != nil {
		return fail("keys", hint, err)
	}
	return ok("keys", "identity key opens; nobody else may read it")
}

func certificate(d node.Dir, file node.File, now time.Time) finding {
	c, trust, err := d.Credentials(file.Federation)
	if err == nil {
		trust.Now = func() time.Time { return now }
		_, err = trust.PeerOfCertificate(c.Leaf(), identity.Member)
	}
	if err != nil {
		return fail("certificate", "ask the admin for a new invite and enrol again", err)
	}
	left := c.Leaf().NotAfter.Sub(now).Round(time.Minute)
	if identity.RenewAt(c.Leaf(), 1).Before(now) {
		return warn("certificate", "it is past its time of renewal: a serving node renews it; start it and look at its log", "valid for another %s", left)
	}
	return ok("certificate", "valid for another %s", left)
}

// clock compares this machine's clock with times that cannot lie in the future: when the coordinator made the
// certificate, and when this node's records were written.
func clock(d node.Dir, file node.File, now time.Time) finding {
	const hint = "set the clock (NTP): deadlines, validity of plans and certificates depend on it"
	latest, from := time.Time{}, ""
	if c, _, err := d.Credentials(file.Federation); err == nil {
		latest, from = c.Leaf().NotBefore, "the certificate was made"
	}
	nodePath, _ := d.EgressPaths()
	_, err := egress.List(nodePath, func(e egress.Entry) error {
		if at := time.Unix(e.Time, 0); at.After(latest) {
			latest, from = at, "the last message left"
		}
		return nil
	})
	if ignoreMissing(err) != nil {
		return warn("clock", "see the line about egress", "cannot be compared with the records")
	}
	if ahead := latest.Sub(now); ahead > time.Minute {
		return fail("clock", hint, fmt.Errorf("%s before %s: the clock is behind", ahead.Round(time.Second), from))
	}
	return ok("clock", "%s, after everything that was recorded", now.UTC().Format(time.RFC3339))
}

func roster(d node.Dir, file node.File) finding {
	view, err := rosterOf(d)
	if err != nil {
		return fail("roster", "enrol again, or restore roster.json from a backup", err)
	}
	if _, listed := view.Accepted.Member(file.Member); !listed {
		return fail("roster", "accept a newer roster: koinon-node roster accept", fmt.Errorf("version %d does not list %s", view.Accepted.Version, file.Member))
	}
	if view.Offered != nil {
		return warn("roster", "koinon-node roster show, then roster accept", "version %d accepted, %d offered", view.Accepted.Version, view.Offered.Version)
	}
	return ok("roster", "version %d, %d members", view.Accepted.Version, len(view.Accepted.Members))
}

func records(d node.Dir) []finding {
	nodePath, operatorPath := d.EgressPaths()
	var out []finding
	for _, r := range []struct {
		name  string
		check func() (uint64, error)
	}{
		{"budget", func() (uint64, error) { s, err := budget.Verify(d.BudgetPath()); return s.Entries, err }},
		{"egress", func() (uint64, error) {
			a, err := egress.Verify(nodePath)
			b, err2 := egress.Verify(operatorPath)
			return a.Entries + b.Entries, errors.Join(ignoreMissing(err), ignoreMissing(err2))
		}},
	} {
		n, err := r.check()
		if err = ignoreMissing(err); err != nil {
			out = append(out, fail(r.name, "the file was changed or damaged: keep it as it is and compare it with a backup", err))
			continue
		}
		out = append(out, ok(r.name, "%d entries, chain is whole", n))
	}
	return out
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// data reads the table under the schema of every approved plan, or says that there is none to read it under.
func data(ctx context.Context, d node.Dir, file node.File) []finding {
	const hint = "koinon-node data check --plan PLAN names every wrong line"
	if file.Data.None() {
		return []finding{warn("data", "name the table in node.yaml: data: FILE.csv", "node.yaml names no table")}
	}
	if file.Data.Postgres == nil {
		f, err := os.Open(d.Abs(file.Data.File))
		if err != nil {
			return []finding{fail("data", "check the path in node.yaml and that the user that serves may read it", err)}
		}
		_ = f.Close()
	}
	plans, err := d.Plans()
	if err != nil {
		return []finding{fail("data", hint, err)}
	}
	var out []finding
	for _, p := range plans {
		decision, err := d.Decision(p.Digest())
		if err != nil || !decision.Approve {
			continue
		}
		report, err := d.CheckTable(ctx, file, p.Schema, dataset.Options{}, p.Declaration.Features.Deny...)
		switch {
		case err != nil:
			out = append(out, fail("data", hint, err))
		case !report.OK():
			out = append(out, fail("data", hint, fmt.Errorf("does not fit plan %s: %d wrong fields", p.Name, len(report.Errors)+report.More+len(report.Wrong))))
		default:
			out = append(out, ok("data", "%d rows fit plan %s; %d train, %d test", report.Rows, p.Name, report.Train.Rows, report.Test.Rows))
		}
	}
	if len(out) == 0 {
		if file.Data.Postgres != nil {
			return []finding{warn("data", "koinon-node data check --schema FILE tries it", "the PostgreSQL server was not asked: no plan is approved")}
		}
		return []finding{ok("data", "%s can be read; no plan is approved, so nothing was checked under a schema", file.Data.File)}
	}
	return out
}

// leastSpace is what a node wants free for its records and the state of its runs.
const leastSpace = 1 << 30

func disk(d node.Dir) finding {
	var s unix.Statfs_t
	if err := unix.Statfs(d.Path(), &s); err != nil {
		return fail("disk", "check the file system of the state directory", err)
	}
	free := int64(s.Bavail) * int64(s.Bsize)
	if free < leastSpace {
		return warn("disk", "a node whose records cannot be written sends nothing: make room", "%s free", cli.Bytes(free))
	}
	return ok("disk", "%s free", cli.Bytes(free))
}

// coordinator asks for a Sync, which also shows whether the clocks agree: TLS refuses a certificate out of its time.
func coordinator(ctx context.Context, d node.Dir, now time.Time) finding {
	ctx, cancel := context.WithDeadline(ctx, now.Add(20*time.Second))
	defer cancel()
	var plans int
	err := withOperator(d, func(o *node.Operator) error {
		offers, err := o.Sync(ctx)
		plans = len(offers.Plans)
		return err
	})
	if err != nil {
		return fail("coordinator", "check address, network and clock", err)
	}
	return ok("coordinator", "reached; %d plans name this member", plans)
}
