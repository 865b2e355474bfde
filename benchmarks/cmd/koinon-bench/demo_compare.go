package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/koinon-eu/koinon/benchmarks/metrics"
	"github.com/koinon-eu/koinon/benchmarks/report"
	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node"
	"github.com/koinon-eu/koinon/node/dataset"
	"github.com/koinon-eu/koinon/node/train"
)

// comparedMember is one member's AUROC on its own test rows under three models.
type comparedMember struct {
	name                     string
	test, positives          int
	alone, federated, pooled *metrics.Estimate // 95 %
}

// compare puts each node alone, the federated model and one trained on all rows side by side. Only the demo can:
// it owns all five tables.
func (d *demo) compare(ctx context.Context) error {
	d.step("Was it worth it? Each node alone, federated, pooled")
	machine, err := d.machine()
	if err != nil {
		return err
	}
	var tables []*train.Member
	for _, m := range d.members() {
		table, err := dataset.Open(d.table(m), machine.Config().Schema)
		if err != nil {
			return err
		}
		member := train.NewMember(table)
		defer func() { _ = member.Close() }()
		tables = append(tables, member)
	}
	pooled, err := train.Pooled(machine, tables)
	if err != nil {
		return err
	}
	for i, m := range d.members() {
		row, err := d.compareMember(ctx, m, machine, tables[i], pooled)
		if err != nil {
			return fmt.Errorf("compare %s: %w", m, err)
		}
		d.rows = append(d.rows, row)
	}
	t := cli.NewTable("AUROC", "TEST ROWS", "POSITIVES", "ALONE", "FEDERATED", "POOLED")
	for _, r := range d.rows {
		t.Row(r.name, count(r.test), r.positives, interval95(r.alone), interval95(r.federated), interval95(r.pooled))
	}
	d.show(t)
	small := d.rows[0]
	for _, r := range d.rows {
		if r.positives < small.positives {
			small = r
		}
	}
	d.say("In brackets the 95 %% interval. %s has %d positives in its test rows: its interval says how little one figure", small.name, small.positives)
	d.say("of so few is worth. A member sees its own line only (koinon-node figures show); the coordinator sees none.")
	d.done("pooling all rows in one place, which nobody may do, would be the yardstick")
	return d.record(ctx)
}

// machine takes the model from a node's own state; every node has the same.
func (d *demo) machine() (*schedule.Machine, error) {
	dir, err := os.OpenRoot(filepath.Join(d.Dir, "plan"))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	text, err := dir.ReadFile("plan.yaml")
	if err != nil {
		return nil, err
	}
	plan, err := federation.ParsePlan(text, dir.ReadFile)
	if err != nil {
		return nil, err
	}
	id, err := hex.DecodeString(d.run.ID)
	if err != nil || len(id) != len(node.RunID{}) {
		return nil, fmt.Errorf("run %q is not a run's name", d.run.ID)
	}
	var first [32]byte
	var machine *schedule.Machine
	for i, m := range d.members() {
		_, own, err := node.Dir(d.NodeDir(m)).Run(node.RunID(id), plan.Learning())
		if err != nil {
			return nil, fmt.Errorf("model of %s: %w", m, err)
		}
		digest, err := own.Digest()
		if err != nil {
			return nil, err
		}
		if i == 0 {
			machine, first = own, digest
		} else if digest != first {
			return nil, fmt.Errorf("%s ended with another model than %s", m, d.members()[0])
		}
	}
	return machine, nil
}

// compareMember takes alone and federated from what the node keeps for its operator.
func (d *demo) compareMember(ctx context.Context, name string, machine *schedule.Machine, table *train.Member, pooled *train.Fit) (comparedMember, error) {
	var kept []node.Figures
	if err := d.Figures(ctx, name, &kept); err != nil {
		return comparedMember{}, err
	}
	if len(kept) != 1 {
		return comparedMember{}, fmt.Errorf("%d sets of figures, want those of one run", len(kept))
	}
	row := comparedMember{name: name, test: kept[0].TestRows, positives: kept[0].Positives, federated: kept[0].Federated.Interval}
	if kept[0].Alone != nil {
		row.alone = kept[0].Alone.Interval
	}
	test, err := table.TestRows(machine.Encoder())
	if err != nil {
		return row, err
	}
	scores, err := train.Scores(machine.Config().Architecture, pooled.Params, test)
	if err != nil {
		return row, err
	}
	sample := metrics.Sample{Scores: scores, Labels: test.Label}
	row.pooled = sample.Only(func(i int) bool { return test.Label[i] >= 0 }).Curve().AUROCInterval()
	return row, nil
}

func interval95(e *metrics.Estimate) any {
	if e == nil {
		return nil
	}
	return fmt.Sprintf("%.3f (%.3f–%.3f)", e.Value, e.Low, e.High)
}

// record collects what the summary says of traffic and records.
func (d *demo) record(ctx context.Context) (err error) {
	if d.journal, err = d.VerifyJournal(ctx); err != nil {
		return err
	}
	for _, m := range d.members() {
		if _, d.sent[m], err = d.Sent(ctx, m); err != nil {
			return err
		}
		err = errors.Join(err, d.VerifyRecords(ctx, m))
	}
	return err
}

// summary closes the demo.
func (d *demo) summary() {
	fmt.Fprintf(d.out, "\n%s\n", d.style("1", "Summary"))
	lost, milliseconds := 0, 0
	for _, r := range d.run.Rounds {
		milliseconds += r.Milliseconds
		if r.Closed() {
			lost += len(r.Dropouts)
		}
	}
	var sent []string
	for _, m := range d.members() {
		sent = append(sent, m+" "+cli.Bytes(int64(d.sent[m])))
	}
	line := func(name, format string, args ...any) {
		fmt.Fprintf(d.out, "    %-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("rounds", "%d in %.1f s (%.0f ms each); %d dropout recovered: %s in round %d, in Mask", len(d.run.Rounds),
		float64(milliseconds)/1000, float64(milliseconds)/float64(len(d.run.Rounds)), lost, demoKilled, d.lost.Round.Number)
	line("sent", "%s; not one row", strings.Join(sent, ", "))
	line("records", "the coordinator's journal (%s records) and every node's ledger and record of what left verify", count(d.journal.Records))
	line("gates", "%s", d.verdicts())
	if auroc := d.overall(); auroc != nil {
		line("AUROC", "%s over all test rows", interval95(auroc))
	}
	if d.passed() {
		line("release", "%s, %s", d.release.Name, d.release.State)
	} else {
		line("release", "none: %s is kept back by its gates", d.release.Name)
	}
	line("report", "%s", d.report)
	if d.Keep {
		line("folder", "%s, with keys, journal, logs and tables", d.Dir)
	} else {
		line("folder", "%s; keys, journal, logs and tables are removed (--keep keeps them)", d.kept())
	}
	line("time", "%s", seconds(time.Since(d.begun)))
}

// overall is the AUROC in the published report.
func (d *demo) overall() *metrics.Estimate {
	body, err := os.ReadFile(strings.TrimSuffix(d.report, ".html") + ".json")
	if err != nil {
		return nil
	}
	r, err := report.Parse(body)
	if err != nil {
		return nil
	}
	return r.Overall.AUROC
}
