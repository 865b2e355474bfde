package federation_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/secagg"
)

const schemaYAML = `
name: document-risk
unit: application
id: application_id
label: {column: fraud_found, positive: "1", empty: skip}
columns:
  doc_age_years: {type: number, unit: years, range: [0, 10]}
  chip_auth:     {type: category, values: [ok, no_chip]}
  sex:           {type: category, role: group, values: [female, male]}
`

const declarationYAML = `
purpose_code: document-risk
unit: application
target: documents found false after examination
use: order of expert examination; never a reason for refusal
profiling: true
annex_iii: [7c]
art6_3: none
art5: {5(1)(c): not used elsewhere, 5(1)(d): facts of the filed documents, 5(1)(g): no biometric input}
regime: GDPR
legal_basis: national act
roles: {provider: authority, deployers: [DE, FR, IT, PL, PT]}
affected_groups: [sex]
features: {deny: [sex]}
decision_role: advisory
oversight: {verifiers: 1, reason_required: true, random_examination_share: 0.02}
valid_until: 2027-12-01
lawpack: eu-2026-07-27
`

const planYAML = `
name: document-risk-2026-1
declaration: declaration.yaml
schema: schema.yaml
architecture: {kind: logistic, l2: 1.0}
algorithm: {name: fedadam, rounds: 60}
cohort: {members: [DE, FR, IT, PL, PT], minimum: 4}
gates:
  - {metric: auroc, bound: lower, at_least: 0.75, evidence: {positives: 100}}
  - {metric: fpr_difference, group: sex, bound: upper, at_most: 0.03}
`

// parse reads the plan with replacements made in any of its three files.
func parse(replace ...string) (*federation.Plan, error) {
	r := strings.NewReplacer(replace...)
	return federation.ParsePlan([]byte(r.Replace(planYAML)), func(name string) ([]byte, error) {
		switch name {
		case "schema.yaml":
			return []byte(r.Replace(schemaYAML)), nil
		case "declaration.yaml":
			return []byte(r.Replace(declarationYAML)), nil
		}
		return nil, errors.New("no such file")
	})
}

func TestPlanRoundTrip(t *testing.T) {
	p, err := parse()
	require.NoError(t, err)
	require.Equal(t, 60, p.Algorithm.Rounds)
	require.Equal(t, uint32(600), p.Deadlines.Mask)
	require.Equal(t, 16, p.Batch)
	b, err := p.Encode()
	require.NoError(t, err)
	again, err := federation.DecodePlan(b)
	require.NoError(t, err)
	require.Equal(t, p.Digest(), again.Digest())
	require.NoError(t, p.Check("2026-11-24"))
	require.ErrorIs(t, p.Check("2027-12-02"), federation.ErrLaw)

	set, err := p.Set(roster())
	require.NoError(t, err)
	require.Equal(t, []uint8{1, 2, 3, 4, 5}, set.Members())
	short := roster()
	short.Members = short.Members[:4]
	_, err = p.Set(short)
	require.ErrorContains(t, err, "PT")
}

// S42: a batch is as large as S9 and the packets of its set-up allow, and a larger one is refused with the plan.
func TestMaxBatch(t *testing.T) {
	for n, want := range map[int]int{3: 1024, 5: 1024, 10: 1024, 17: 749, 30: 245, 60: 61, 64: 54} {
		require.Equal(t, want, federation.MaxBatch(n), "%d members", n)
	}
	for n := secagg.MinCohort; n <= secagg.MaxCohort; n++ {
		m := federation.MaxBatch(n)
		require.GreaterOrEqual(t, m, 10, "%d members", n)
		even, odd, all := secagg.Set{}, secagg.Set{}, secagg.Set{} // there are 127 even indexes; after them come the others
		for i := range n {
			all = all.With(uint8(i + 1))
			if i < 127 {
				even, odd = even.With(uint8(2*i+2)), odd.With(uint8(2*i+1))
			} else {
				even, odd = even.With(uint8(2*(n-i)-1)), odd.With(uint8(2*(n-i)))
			}
		}
		fits := func(cohort secagg.Set, m int) bool {
			up, down := secagg.SetupBytes(cohort, m)
			return max(up, down) <= federation.MaxPacketBytes
		}
		for _, cohort := range []secagg.Set{even, odd, all} {
			require.True(t, fits(cohort, m), "%d members, %d sums", n, m)
		}
		require.True(t, m == secagg.MaxSums || m == secagg.MaxSecrets/n || !fits(even, m+1), "%d members could have more", n)
	}
	_, err := parse("gates:", "batch: 1024\ngates:")
	require.NoError(t, err)
	_, err = parse("gates:", "batch: 1025\ngates:")
	require.ErrorContains(t, err, "batch 1025, with 5 members it must be 1 to 1024")
}

// A plan's digest changes with everything in it, so an approval covers all of it.
func TestDigestCoversEverything(t *testing.T) {
	base, err := parse()
	require.NoError(t, err)
	for _, change := range [][]string{
		{"rounds: 60", "rounds: 61"},
		{"0.75", "0.76"},
		{"2027-12-01", "2027-12-02"},
		{"[0, 10]", "[0, 11]"},
		{"l2: 1.0", "l2: 2.0"},
		{"minimum: 4", "minimum: 5"},
		{"national act", "another act"},
		{"gates:", "batch: 1\ngates:"},
	} {
		p, err := parse(change...)
		require.NoError(t, err, change)
		require.NotEqual(t, base.Digest(), p.Digest(), change)
	}
}

// V1, V3: from 65 to 255 members a plan has 24 bits a parameter.
func TestPlanOfManyMembers(t *testing.T) {
	many := func(n int, more ...string) error {
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprintf("M%d", i+1)
		}
		_, err := parse(append(more, "[DE, FR, IT, PL, PT], minimum: 4", fmt.Sprintf("[%s], minimum: %d", strings.Join(names, ", "), secagg.Threshold(n)))...)
		return err
	}
	require.NoError(t, many(65))
	require.NoError(t, many(255))
	require.ErrorContains(t, many(256), "3 to 255")
	require.NoError(t, many(64, "rounds: 60", "rounds: 60, bits: 15"))
	require.ErrorContains(t, many(65, "rounds: 60", "rounds: 60, bits: 15"), "15 with 65 members")
}

func TestPlanRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		replace []string
		law     bool
		text    string
	}{
		"batch too long":       {[]string{"gates:", "batch: 1025\ngates:"}, false, "batch 1025, with 5 members it must be 1 to 1024"},
		"negative batch":       {[]string{"gates:", "batch: -1\ngates:"}, false, "batch -1"},
		"unknown key":          {[]string{"name: document-risk-2026-1", "name: x\nextra: 1"}, false, "extra"},
		"unknown purpose":      {[]string{"purpose_code: document-risk", "purpose_code: guess"}, true, "not known"},
		"search and rescue":    {[]string{"purpose_code: document-risk", "purpose_code: search-and-rescue"}, true, "drift"},
		"person":               {[]string{"unit: application\ntarget", "unit: person\ntarget"}, true, "person"},
		"person risk":          {[]string{"purpose_code: document-risk", "purpose_code: person-risk"}, true, "5(1)(d)"},
		"deciding":             {[]string{"decision_role: advisory", "decision_role: automatic"}, true, "advisory"},
		"profiling exempt":     {[]string{"art6_3: none", "art6_3: a"}, true, "profiling"},
		"no verifier":          {[]string{"verifiers: 1", "verifiers: 0"}, true, "verifiers"},
		"no answer":            {[]string{"5(1)(d): facts of the filed documents, ", ""}, true, "5(1)(d)"},
		"denied feature":       {[]string{"deny: [sex]", "deny: [sex, chip_auth]"}, true, "chip_auth"},
		"two members":          {[]string{"[DE, FR, IT, PL, PT], minimum: 4", "[DE, FR], minimum: 2"}, false, "3 to 255"},
		"member twice":         {[]string{"[DE, FR, IT, PL, PT], minimum", "[DE, FR, IT, PL, PL], minimum"}, false, "twice"},
		"minimum below t":      {[]string{"minimum: 4", "minimum: 3"}, false, "minimum"},
		"gate on no group":     {[]string{"group: sex,", "group: age,"}, false, "age"},
		"no secure sum":        {[]string{"gates:", "privacy: {secure_aggregation: optional, dp: none}\ngates:"}, false, "secure_aggregation"},
		"noise":                {[]string{"gates:", "privacy: {secure_aggregation: required, dp: \"3\"}\ngates:"}, false, "not known"},
		"twice evaluated":      {[]string{"gates:", "evaluations: 2\ngates:"}, false, "once"},
		"name leaves the path": {[]string{"name: document-risk-2026-1", "name: ../x"}, false, "name"},
		"missing schema":       {[]string{"schema: schema.yaml", "schema: other.yaml"}, false, "no such file"},
	} {
		_, err := parse(c.replace...)
		require.ErrorContains(t, err, c.text, name)
		require.Equal(t, c.law, errors.Is(err, federation.ErrLaw), name)
	}
}

func TestPolicy(t *testing.T) {
	plan, err := parse()
	require.NoError(t, err)
	p := federation.DefaultPolicy()
	require.NoError(t, p.Allows(plan))
	require.False(t, p.RunsUnattended(plan), "default-deny")
	p.Unattended = []federation.Rule{{Purposes: []string{"document-risk"}, MaxRounds: 60}}
	require.True(t, p.RunsUnattended(plan))
	p.Unattended[0].MaxRounds = 59
	require.False(t, p.RunsUnattended(plan))
	p.Unattended = []federation.Rule{{Plan: plan.Digest()}}
	require.True(t, p.RunsUnattended(plan))
	p.MinCohort = 6
	require.ErrorContains(t, p.Allows(plan), "at least 6")
	require.False(t, p.RunsUnattended(plan))

	newton, err := parse("name: fedadam, rounds: 60", "name: newton")
	require.NoError(t, err)
	p = federation.DefaultPolicy()
	require.ErrorContains(t, p.Allows(newton), "accept_pair_counts")
	p.AcceptPairCounts = true
	require.NoError(t, p.Allows(newton))
}

func FuzzDecodePlan(f *testing.F) {
	p, err := parse()
	require.NoError(f, err)
	b, err := p.Encode()
	require.NoError(f, err)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := federation.DecodePlan(b)
		if err != nil {
			return
		}
		again, err := p.Encode()
		require.NoError(t, err)
		require.Equal(t, b, again)
	})
}

func FuzzParsePlan(f *testing.F) {
	f.Add([]byte(planYAML), []byte(schemaYAML), []byte(declarationYAML))
	f.Fuzz(func(t *testing.T, plan, schema, declaration []byte) {
		p, err := federation.ParsePlan(plan, func(name string) ([]byte, error) {
			if strings.HasPrefix(name, "s") {
				return schema, nil
			}
			return declaration, nil
		})
		if err == nil {
			_, err = p.Encode()
			require.NoError(t, err)
		}
	})
}
