package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/koinon-eu/koinon/benchmarks/process"
	"github.com/koinon-eu/koinon/benchmarks/synth"
	"github.com/koinon-eu/koinon/deploy/cli"

	"golang.org/x/sync/errgroup"
)

// tables makes the national tables.
func (d *demo) tables(ctx context.Context) error {
	d.step("Five national tables")
	sizes, err := synth.Sizes(d.Rows, d.members(), synth.DemoExponent)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(d.Dir, "tables"), 0o700); err != nil {
		return err
	}
	group, _ := errgroup.WithContext(ctx)
	var words []string
	total := 0
	for i, m := range d.members() {
		words = append(words, m+" "+count(sizes[i]))
		total += sizes[i]
		group.Go(func() error { return writeTable(d.table(m), m, sizes[i], d.Seed) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	d.say("Which application's documents should an expert examine first? The tables are synthetic (seed %d):", d.Seed)
	d.say("no figure in them says anything about a state.")
	d.done("%s rows: %s", count(total), strings.Join(words, ", "))
	return nil
}

func writeTable(path, state string, rows int, seed uint64) error {
	var b bytes.Buffer
	if err := synth.Generate(&b, "demo", state, rows, seed); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o600)
}

// found makes the federation and starts its coordinator.
func (d *demo) found(ctx context.Context) error {
	d.step("A federation and its coordinator")
	d.typed("koinon-coordinator init demo --admin anna:model-owner --admin ben:data-protection")
	made, err := d.Init(ctx)
	if err != nil {
		return err
	}
	d.authority = made.Fingerprint
	d.say("certificate authority  %s", made.Fingerprint)
	d.typed("koinon-coordinator serve")
	if err := d.StartCoordinator(ctx); err != nil {
		return err
	}
	d.done("serves members on %s and the public on %s", made.Reach["federation"], made.Reach["web"])
	return nil
}

// enrol brings the members in. Nodes dial out; nobody can dial them.
func (d *demo) enrol(ctx context.Context) error {
	d.step("Five members enrol")
	d.typed("koinon-coordinator member invite DE | koinon-node enroll --data DE.csv")
	t := cli.NewTable("", "AUTHORITY THAT THE NODE PINNED", "AS READ OUT", "IDENTITY KEY, MADE AND KEPT AT THE NODE")
	for _, m := range d.members() {
		e, err := d.Enrol(ctx, m, d.table(m))
		if err != nil {
			return err
		}
		if e.Authority != d.authority {
			return fmt.Errorf("%s pinned the authority %s, the admin's is %s", m, e.Authority, d.authority)
		}
		t.Row(m, short(e.Authority), "✓ the same", e.Identity)
	}
	d.show(t)
	d.say("An invite is good once, and names the authority's fingerprint. Each operator compares it with what the admin reads")
	d.say("out over the telephone: whoever stood between the two would show another one.")
	d.done("five certificates, for keys that never left their nodes")

	d.step("Each operator accepts the roster, and starts the node")
	d.typed("koinon-node roster accept && koinon-node serve")
	group, step := errgroup.WithContext(ctx)
	versions := make([]int, len(d.members()))
	for i, m := range d.members() {
		group.Go(func() error {
			roster, err := d.AcceptRoster(step, m)
			versions[i] = roster.Accepted.Version
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := d.StartNodes(ctx, d.members()...); err != nil {
		return err
	}
	d.done("all five compared the identity keys and pinned roster version %d; all five nodes are connected", versions[0])
	return nil
}

// consent submits the plan and has every operator look at it and approve it.
func (d *demo) consent(ctx context.Context) error {
	d.step("A plan, and the consent of each member")
	if err := d.writePlan(); err != nil {
		return err
	}
	d.typed("koinon-coordinator plan check plan.yaml && koinon-coordinator plan submit plan.yaml --as anna")
	if _, err := d.CheckPlan(ctx, d.planFile("plan.yaml")); err != nil {
		return err
	}
	var err error
	if d.plan, err = d.SubmitPlan(ctx, d.planFile("plan.yaml")); err != nil {
		return err
	}
	d.say("plan %s, digest %s: logistic regression, %d rounds;", d.plan.Name, short(d.plan.Digest), d.plan.Rounds)
	d.say("%d of %d members must answer in every phase; %d gates, fixed before anyone has seen a figure", d.plan.Needed, len(d.plan.Members), d.plan.Gates)
	d.typed("koinon-node data check --schema schema.yaml && koinon-node plan approve " + d.plan.Name)
	group, step := errgroup.WithContext(ctx)
	for _, m := range d.members() {
		group.Go(func() error { return d.CheckData(step, m, d.planFile("schema.yaml")) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, m := range d.members() { // the run begins with the last approval
		if err := d.ApprovePlan(ctx, m, d.plan.Digest); err != nil {
			return err
		}
	}
	d.done("five tables fit the schema, five approvals signed; without them no round can start")
	return nil
}

func (d *demo) writePlan() error {
	if err := os.MkdirAll(filepath.Join(d.Dir, "plan"), 0o700); err != nil {
		return err
	}
	pack := synth.Pack()
	for name, text := range map[string][]byte{"plan.yaml": pack.Plan, "schema.yaml": pack.Schema, "declaration.yaml": pack.Declaration} {
		if err := os.WriteFile(d.planFile(name), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// train follows the run and loses a node on the way.
func (d *demo) train(ctx context.Context) error {
	d.step("Training under secure aggregation")
	log := d.Coordinator().FromStart()
	if _, err := log.Next(ctx, "the first training round", closed("train")); err != nil {
		return err
	}
	d.say("The encoder is built: value counts and cuts came out of masked sums, none of less than 20 rows.")
	d.say("Now each round sums five gradients; the coordinator opens the sum and never a part of it.")
	var err error
	if d.lost, err = d.LoseInMask(ctx, d.plan.Name, demoKilled, demoFrom, func(text string) { d.say("%s", text) }); err != nil {
		return err
	}
	d.say("round %d closed with %s; the others gave their shares of the masks that %s left behind", d.lost.Round.Number,
		strings.Join(d.lost.Round.Survivors, " "), demoKilled)
	caught, err := d.Node(demoKilled).FromStart().Next(ctx, demoKilled+" to catch up", func(e process.Entry) bool {
		return e.Is("caught up") && e.Number("round") == d.lost.Round.Number
	})
	if err != nil {
		return err
	}
	d.say("%s was started again, checked the sum of round %d that it missed, and is back", demoKilled, caught.Number("round"))
	bar := cli.NewProgress(d.out, "    training", "rounds", int64(d.plan.Rounds))
	for done := 1; done < d.plan.Rounds; {
		if _, err := log.Next(ctx, "the next training round", closed("train")); err != nil {
			return err
		}
		done++
		bar.Set(int64(done))
	}
	bar.Done()
	d.done("%d training rounds, one of them without %s", d.plan.Rounds, demoKilled)
	return nil
}

// closed matches the end of a round of this kind.
func closed(kind string) func(process.Entry) bool {
	return func(e process.Entry) bool { return e.Is("round closed", "kind", kind) }
}

// evaluate waits for the evaluation and shows what the gates say.
func (d *demo) evaluate(ctx context.Context) error {
	d.step("Evaluation with all five, and the gates")
	var err error
	if d.run, err = d.WaitRun(ctx, d.plan.Name); err != nil {
		return err
	}
	for _, m := range d.members() {
		if _, err := d.Node(m).FromStart().Next(ctx, "the end of the run at "+m, func(e process.Entry) bool {
			return e.Is("run finished; own figures are kept here")
		}); err != nil {
			return err
		}
	}
	last := d.run.Rounds[len(d.run.Rounds)-1]
	d.say("Counts of scores by label and group over each member's test rows, summed under masks: %d members in the sum.", len(last.Survivors))
	if d.release, err = d.Release(ctx, d.run.Release); err != nil {
		return err
	}
	d.typed("koinon-coordinator release show " + d.release.Name + "   (what the approvers see)")
	t := cli.NewTable("GATE", "VERDICT", "WHY")
	for _, g := range d.release.Gates {
		text, _, _ := strings.Cut(g.Text, ": ")
		t.Row(text, g.Verdict, g.Figures)
	}
	d.show(t)
	if err := d.answer(ctx); err != nil {
		return err
	}
	if !d.passed() {
		d.attention("gates: %s, so the candidate is kept back: nobody can approve it,", d.verdicts())
		d.attention("and nothing is signed or published. That is what gates are for. (60,000 rows are enough to pass.)")
		return nil
	}
	d.done("gates: %s", d.verdicts())
	return nil
}

// demoAnswer is true of every seed: nobody can audit labels that were drawn.
const demoAnswer = "Demonstration on synthetic labels, which nobody can audit. Before use on real files: blind re-examination of a random sample in each group."

// answer answers in writing what asks for it, if nothing failed otherwise.
func (d *demo) answer(ctx context.Context) (err error) {
	open := map[int]string{}
	for i, g := range d.release.Gates {
		switch g.Verdict {
		case process.Pass:
		case process.AnswerRequired:
			open[i+1] = g.Text
		default:
			return nil
		}
	}
	if len(open) == 0 {
		return nil
	}
	d.say("This plan lets a finding, or too little evidence, by group be answered in writing instead of failing; neither is a pass.")
	d.say("The model owner answers, in the statement that both approvers sign and everyone can read:")
	for gate := range open {
		d.typed(fmt.Sprintf("koinon-coordinator release answer %s --gate %d --as anna --answer …", d.release.Name, gate))
		if _, err := d.Answer(ctx, "anna", d.release.Name, gate, demoAnswer); err != nil {
			return err
		}
	}
	d.lines(strings.ReplaceAll("“"+demoAnswer+"”", ". B", ".\nB"))
	d.release, err = d.Release(ctx, d.release.Name)
	return err
}

// passed reports whether the candidate may be approved.
func (d *demo) passed() bool { return d.release.Statement != "" }

// verdicts counts the gates by verdict.
func (d *demo) verdicts() string {
	passed, answered := 0, 0
	for _, g := range d.release.Gates {
		switch g.Verdict {
		case process.Pass:
			passed++
		case process.Answered:
			answered++
		}
	}
	words := fmt.Sprintf("%d of %d passed", passed, len(d.release.Gates))
	if answered > 0 {
		words += fmt.Sprintf(", %d answered in writing", answered)
	}
	return words
}
