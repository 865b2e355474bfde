package coordinator

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/koinon-eu/koinon/benchmarks/fairness"
	"github.com/koinon-eu/koinon/benchmarks/metrics"
	"github.com/koinon-eu/koinon/benchmarks/report"
	"github.com/koinon-eu/koinon/coordinator/admin"
	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/models/artifact"
	"github.com/koinon-eu/koinon/models/card"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/release"
	"github.com/koinon-eu/koinon/models/schedule"
)

// candidate is what is drawn up from an evaluated run: pure, so that a restart in the middle draws up the same.
type candidate struct {
	name    string
	created time.Time
	version string
	plan    *federation.Plan
	roster  *federation.Roster
	machine *schedule.Machine
	rounds  []closedRound
	answers map[int]string // to gates with a finding, by place
}

// drawn is a candidate's files with what the gates say.
type drawn struct {
	files     release.Files
	gates     []admin.Gate
	statement []byte // empty when a gate keeps the candidate back
	reason    string
	report    *report.Report
	stopped   *card.Stop // nil without early stopping
	final     []byte     // artifact of the final parameters, where the candidate has earlier ones
}

// build makes artifact, report, card and, when every gate has passed, the statement that two people may approve.
func (c candidate) build() (drawn, error) {
	model, body, err := c.artifact()
	if err != nil {
		return drawn{}, err
	}
	digest, err := model.Digest()
	if err != nil {
		return drawn{}, err
	}
	rep, err := c.report(digest)
	if err != nil {
		return drawn{}, err
	}
	record := c.card(model, digest, rep)
	final, err := c.final(model)
	if err != nil {
		return drawn{}, err
	}
	out := drawn{report: rep, stopped: c.stopped(), final: final, files: release.Files{
		release.ArtifactFile: body, release.EncoderFile: model.Encoder.Canonical(), release.ReportTextFile: rep.Markdown(),
		release.CardTextFile: record.Markdown(),
	}}
	if out.files[release.ReportFile], err = rep.JSON(); err != nil {
		return drawn{}, err
	}
	if out.files[release.ReportPageFile], err = rep.HTML(); err != nil {
		return drawn{}, err
	}
	if out.files[release.CardFile], err = record.Marshal(); err != nil {
		return drawn{}, err
	}
	if err := record.CheckReport(out.files[release.ReportFile]); err != nil {
		return drawn{}, err
	}
	out.gates, out.reason = judged(rep, record)
	if out.reason != "" {
		return out, nil
	}
	if out.statement, err = c.statement(digest, record, model, out.files); err != nil {
		return drawn{}, err
	}
	out.files[release.StatementFile] = out.statement
	return out, nil
}

// judged puts the gates into words; reason says why the candidate is kept back.
func judged(rep *report.Report, record *card.Record) (gates []admin.Gate, reason string) {
	var kept []string
	for i, g := range rep.Gates {
		text := g.Gate.Metric
		if g.Gate.Group != "" {
			text += " by " + g.Gate.Group
		}
		gate := admin.Gate{Text: text, Verdict: string(g.Outcome), Figures: g.Reason}
		if i < len(record.Gates) {
			gate.Text += ": " + record.Gates[i].Wanted
			if record.Gates[i].Result == card.Answered {
				gate.Verdict, gate.Figures = card.Answered, g.Reason+"; answered: "+record.Gates[i].Answer
			}
		}
		if gate.Verdict != string(fairness.Pass) && gate.Verdict != card.Answered {
			kept = append(kept, fmt.Sprintf("%s (%s)", gate.Text, gate.Verdict))
		}
		gates = append(gates, gate)
	}
	switch {
	case len(gates) == 0:
		return gates, "the plan has no gates"
	case len(kept) > 0:
		return gates, "gates not passed: " + strings.Join(kept, "; ")
	}
	return gates, ""
}

// highShare is how much stricter than the operating point the high band is.
const highShare = 0.2

// threshold returns a probability that an artifact and a statement can hold: above 1 nothing is flagged.
func threshold(t *metrics.Tally, fpr float64) float64 {
	v, ok := t.Threshold(fpr)
	if !ok || !(v <= 1) {
		return 2
	}
	return max(v, 0)
}

func (c candidate) artifact() (*artifact.Model, []byte, error) {
	operating, bands := c.thresholds()
	plan := c.plan.Digest()
	params, _ := c.machine.Chosen()
	model := &artifact.Model{
		Header: artifact.Header{
			Name: c.name, Purpose: c.plan.Declaration.PurposeCode, Plan: plan.String(),
			Architecture: c.machine.Config().Architecture, Threshold: operating, Bands: bands,
		},
		Encoder: c.machine.Encoder(), Params: params,
	}
	if forest := c.machine.Forest(); forest != nil {
		model.Ensemble = forest.Ensemble()
	}
	body, err := model.Marshal()
	return model, body, err
}

func (c candidate) report(digest [32]byte) (*report.Report, error) {
	d := c.plan.Declaration
	plan := c.plan.Digest()
	in := report.Input{
		Tally: c.machine.Tally(), Counts: c.machine.Counts(), Spread: c.spread(), Gates: c.plan.Gates, Withheld: c.plan.Withheld,
		Plan: report.Plan{
			Federation: c.roster.Federation, Name: c.plan.Name, Digest: plan.String(), Artifact: hex.EncodeToString(digest[:]),
			Purpose: d.PurposeCode, Unit: d.Unit, Target: d.Target, Use: d.Use,
			Architecture: c.plan.Architecture.Kind, Algorithm: c.plan.Algorithm.Name,
			Members: c.plan.Cohort.Members, FPR: c.plan.Operating.FPR, Privacy: privacyOf(c.plan),
		},
	}
	for _, r := range c.rounds {
		in.Rounds = append(in.Rounds, report.Round{
			Number: r.number, Kind: schedule.Kind(r.Kind).String(), Survivors: c.roster.Names(secagg.Set(r.Survivors)),
		})
	}
	if forest := c.machine.Forest(); forest != nil {
		shown := forest.Disclosure() // trees 46
		in.Histograms = &report.Histograms{Cells: shown.Cells, Small: shown.Small}
	}
	return report.Build(in)
}

func (c candidate) statement(digest [32]byte, record *card.Record, model *artifact.Model, files release.Files) ([]byte, error) {
	s := &release.Statement{
		Format: release.Format, Name: c.name, Federation: c.roster.Federation, Created: release.FormatTime(c.created),
		Code: c.version, Purpose: c.plan.Declaration.PurposeCode,
		Plan:   release.Plan{Name: c.plan.Name, Digest: release.Digest(c.plan.Digest())},
		Roster: release.Digest(c.roster.Digest()), Artifact: digest, Members: c.plan.Cohort.Members,
		Gates: []release.Gate{}, Thresholds: []release.Threshold{}, Files: release.Describe(files),
	}
	for _, r := range c.rounds {
		s.Rounds = append(s.Rounds, release.Round{
			Round: r.number, Kind: schedule.Kind(r.Kind).String(), Step: release.Digest(r.Sigma),
			Survivors: c.roster.Names(secagg.Set(r.Survivors)), H3: release.Digest(r.H3),
		})
	}
	for _, g := range record.Gates {
		s.Gates = append(s.Gates, release.Gate{
			Metric: g.Metric, Group: g.Group, Wanted: g.Wanted, Value: g.Value, Result: g.Result, Answer: g.Answer,
		})
	}
	for _, b := range model.Header.Bands {
		s.Thresholds = append(s.Thresholds, release.Threshold{Name: b.Name, Value: b.From})
	}
	return s.Marshal()
}

func (c candidate) card(model *artifact.Model, digest [32]byte, rep *report.Report) *card.Record {
	d, e := c.plan.Declaration, model.Encoder
	parameters, rounds := model.Parameters(), c.plan.TrainRounds()
	minimum := c.plan.Cohort.Minimum
	plan := c.plan.Digest()
	r := &card.Record{
		Format: card.Format, Name: c.name, Federation: c.roster.Federation, Created: release.FormatTime(c.created),
		Code: c.version, Provider: d.Roles.Provider,
		Purpose: card.Purpose{
			Code: d.PurposeCode, Unit: d.Unit, Target: d.Target, Use: d.Use, Profiling: &d.Profiling, AnnexIII: d.AnnexIII,
			Article63: d.Art63, Article5: d.Art5, Regime: d.Regime, LegalBasis: d.LegalBasis, Deployers: d.Roles.Deployers,
			Affected: d.AffectedGroups, References: d.References, ValidUntil: d.ValidUntil, Lawpack: d.Lawpack,
		},
		Oversight: card.Oversight{
			Verifiers: &d.Oversight.Verifiers, ReasonRequired: &d.Oversight.ReasonRequired,
			ExaminationShare: &d.Oversight.RandomExaminationShare,
		},
		Plan: card.Plan{
			Name: c.plan.Name, Digest: plan.String(), Members: c.plan.Cohort.Members, Rounds: &rounds,
			Algorithm: c.plan.Algorithm.Name, MinCohort: &minimum,
			Privacy: privacyWords(c.plan),
		},
		Data: card.Data{
			Schema: c.plan.Schema.Name, Rows: &e.Rows, Counted: counted(c.plan),
			Denied: d.Features.Deny, Sets: d.Datasets,
		},
		Model: card.Model{
			Architecture: c.plan.Architecture.Kind, Parameters: &parameters, Digest: hex.EncodeToString(digest[:]),
			Stop: c.stopped(), Tried: c.tried(), From: c.plan.WarmStart.String(),
		},
	}
	if c.plan.Forecasts() {
		r.Data.Cases = &e.Positives
	} else {
		r.Data.Positives = &e.Positives
	}
	c.columns(r, e)
	for _, b := range model.Header.Bands {
		r.Bands = append(r.Bands, card.Band{Name: b.Name, From: b.From, Means: bandMeans(b.Name, c.plan.Operating.FPR)})
	}
	r.AddReport(rep, c.answers)
	return r
}

func (c candidate) columns(r *card.Record, e *feature.Encoder) {
	for _, col := range c.plan.Schema.Features() {
		r.Data.Features = append(r.Data.Features, card.Feature{
			Name: col.Name, Type: string(col.Type), Unit: col.Unit, Missing: col.Missing, Why: col.Why,
			ProxyOf: col.ProxyOf, Contested: col.Contested,
		})
	}
	for _, g := range e.Group {
		r.Data.Groups = append(r.Data.Groups, card.Group{Name: g.Column, Values: g.Values})
	}
}

func bandMeans(name string, fpr float64) string {
	share := func(v float64) string { return strconv.FormatFloat(100*v, 'g', 3, 64) + " %" }
	switch name {
	case "low":
		return "below the operating point: no advice to look closer"
	case "raised":
		return "above the operating point, at which at most " + share(fpr) + " of rows without a finding are flagged"
	case artifact.Forecast:
		return "an expected number with its 80 % interval; it has no threshold"
	case "high":
		return "flagged with at most " + share(highShare*fpr) + " of rows without a finding"
	}
	return ""
}
