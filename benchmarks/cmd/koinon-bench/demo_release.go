package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/koinon-eu/koinon/benchmarks/process"
	"github.com/koinon-eu/koinon/deploy/cli"
)

// publish has two people in two roles approve, which signs and publishes.
func (d *demo) publish(ctx context.Context) error {
	if !d.passed() {
		return d.keepReport(filepath.Join(d.CoordinatorDir(), "artifacts", "candidates", d.release.Name))
	}
	d.step("Two approvals, a signature, publication")
	for _, who := range []string{"anna", "ben"} {
		d.typed("koinon-coordinator release approve " + d.release.Name + " --as " + who)
		state, err := d.Approve(ctx, who, d.release.Name)
		if err != nil {
			return err
		}
		d.say("%s has signed the statement %s: the release is %s now", who, short(d.release.Statement), state)
	}
	var err error
	if d.release, err = d.Release(ctx, d.release.Name); err != nil {
		return err
	}
	if d.release.URL == "" {
		return fmt.Errorf("release %s is %s after two approvals: %s", d.release.Name, d.release.State, d.release.Reason)
	}
	d.done("signed with the release key and published at %s", d.release.URL)
	return nil
}

// keepReport copies the report of a candidate that is kept back to what stays.
func (d *demo) keepReport(dir string) error {
	if err := os.MkdirAll(d.kept(), 0o700); err != nil {
		return err
	}
	for _, name := range []string{"report.html", "report.json"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(d.kept(), name), data, 0o600); err != nil {
			return err
		}
	}
	d.report = filepath.Join(d.kept(), "report.html")
	return nil
}

// use is what an engineer does: pull, verify, score.
func (d *demo) use(ctx context.Context) (err error) {
	if !d.passed() {
		return nil
	}
	d.step("An engineer pulls, verifies and scores")
	if d.trust, err = d.Trust(d.kept()); err != nil {
		return err
	}
	d.pulled = filepath.Join(d.kept(), d.release.Name)
	d.report = filepath.Join(d.pulled, "report.html")
	d.typed("koinon pull " + d.release.URL + " --trust trust.yaml")
	v, err := d.Pull(ctx, d.release.URL, d.trust, d.pulled)
	if err != nil {
		return err
	}
	d.say("%d files, %s; signature, statement and the approvals of %s hold; only then it was written", v.Files, cli.Bytes(int64(v.Bytes)), approvers(v))
	d.typed("koinon verify " + d.release.Name + " --trust trust.yaml")
	if _, err := d.Verify(ctx, d.trust, d.pulled); err != nil {
		return err
	}
	if err := d.advise(ctx); err != nil {
		return err
	}
	d.done("pulled, verified offline, scored")
	return nil
}

func approvers(v process.Verified) string {
	var words []string
	for _, a := range v.Approvals {
		words = append(words, a.Person+" ("+a.Role+")")
	}
	return strings.Join(words, " and ")
}

// newRows is how many new applications are scored.
const newRows = 400

// advise scores new applications and shows a few of them.
func (d *demo) advise(ctx context.Context) error {
	path := filepath.Join(d.Dir, "tables", "new-applications.csv")
	if err := writeTable(path, d.members()[0], newRows, d.Seed+1); err != nil {
		return err
	}
	d.typed("koinon score --model " + d.release.Name + " --input new-applications.csv --trust trust.yaml")
	advisories, err := d.Score(ctx, d.trust, d.pulled, path)
	if err != nil {
		return err
	}
	if len(advisories) != newRows {
		return fmt.Errorf("%d advisories for %d rows", len(advisories), newRows)
	}
	slices.SortStableFunc(advisories, func(a, b process.Advisory) int {
		return cmp.Compare(b.Score, a.Score)
	})
	t := cli.NewTable("APPLICATION", "SCORE", "BAND", "MAIN FACTORS (change of the logit)")
	for _, a := range append(advisories[:3:3], advisories[newRows/10], advisories[newRows/2]) {
		var factors []string
		for _, f := range a.Factors {
			factors = append(factors, fmt.Sprintf("%s %+.1f", f.Column, f.Effect))
		}
		t.Row(a.ID, fmt.Sprintf("%.1f %%", 100*a.Score), a.Band, strings.Join(factors, ", "))
	}
	d.show(t)
	d.say("%s", advisories[0].Notice)
	return nil
}

// tamper changes one bit of the model and shows that it is refused.
func (d *demo) tamper(ctx context.Context) error {
	if !d.passed() {
		return nil
	}
	d.step("Somebody changes one bit of the model")
	undo, err := process.Tamper(filepath.Join(d.pulled, "model.koinon"))
	if err != nil {
		return err
	}
	d.typed("koinon verify " + d.release.Name + " --trust trust.yaml")
	refusal, err := refused(d.Verify(ctx, d.trust, d.pulled))
	if err != nil {
		return err
	}
	d.lines(refusal.Stderr)
	if _, err := refused(d.Score(ctx, d.trust, d.pulled, d.table(d.members()[0]))); err != nil {
		return err
	}
	if err := undo(); err != nil {
		return err
	}
	if _, err := d.Verify(ctx, d.trust, d.pulled); err != nil {
		return err
	}
	d.done("refused by verify and by score; put back, it verifies again")
	return nil
}

// refused wants a command to have failed, and returns how.
func refused[T any](_ T, err error) (*process.CommandError, error) {
	var refusal *process.CommandError
	if errors.As(err, &refusal) {
		return refusal, nil
	}
	if err == nil {
		err = errors.New("a model that was changed was accepted")
	}
	return nil, err
}
