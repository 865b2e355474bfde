package federation_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/schedule"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/models/aggregate"
)

var artifactDigest = strings.Repeat("0f", 32)

// TestWarmStart: a release by name and digest or by digest alone, in the plan's
// digest, and refused where it means nothing.
func TestWarmStart(t *testing.T) {
	cold, err := parse()
	require.NoError(t, err)
	require.Nil(t, cold.Learning().Start)
	require.Empty(t, cold.WarmStart.String())
	for text, name := range map[string]string{"document-risk-1@" + artifactDigest: "document-risk-1", artifactDigest: ""} {
		p, err := parse("cohort:", "warm_start: {release: "+text+"}\ncohort:")
		require.NoError(t, err)
		require.Equal(t, name, p.WarmStart.Name())
		require.Equal(t, artifactDigest, p.WarmStart.Artifact().String())
		require.Equal(t, [32]byte(p.WarmStart.Artifact()), p.Learning().Start.Artifact)
		require.NotEqual(t, cold.Digest(), p.Digest())
		body, err := p.Encode()
		require.NoError(t, err)
		again, err := federation.DecodePlan(body)
		require.NoError(t, err)
		require.Equal(t, p.Digest(), again.Digest())

		policy := federation.DefaultPolicy()
		require.NoError(t, policy.Allows(p))
		policy.RefuseReleases = []federation.Digest{p.WarmStart.Artifact()}
		require.ErrorContains(t, policy.Allows(p), "refuse_releases")
		require.NoError(t, policy.Allows(cold))
	}
	for text, want := range map[string]string{
		"document-risk-1": "64 hexadecimal digits", "a b@" + artifactDigest: "NAME@DIGEST", "x@" + strings.ToUpper(artifactDigest): "64 hexadecimal digits",
	} {
		_, err := parse("cohort:", "warm_start: {release: \""+text+"\"}\ncohort:")
		require.ErrorContains(t, err, want)
	}
	_, err = parse("{kind: logistic, l2: 1.0}", "{kind: trees}", "algorithm: {name: fedadam, rounds: 60}", "", "cohort:", "warm_start: {release: "+artifactDigest+"}\ncohort:")
	require.ErrorContains(t, err, "no warm_start for trees")
	_, err = parse("cohort:", "privacy: {secure_aggregation: required, dp: record, epsilon: 3}\nwarm_start: {release: "+artifactDigest+"}\ncohort:")
	require.ErrorContains(t, err, "warm_start with privacy.dp")
	policy, err := federation.ParsePolicy([]byte("refuse_releases: [" + artifactDigest + "]\n"))
	require.NoError(t, err)
	require.Len(t, policy.RefuseReleases, 1)
}

// TestStop: defaults are filled in before the digest is taken, trees have their
// own, and words without noise do not go with record-level privacy.
func TestStop(t *testing.T) {
	p, err := parse("rounds: 60", "rounds: 60, stop: {patience: 8, every: 2}")
	require.NoError(t, err)
	require.Equal(t, aggregate.Stop{Patience: 8, Every: 2, Tolerance: 1e-4, Validation: 0.1}, p.Algorithm.Stop)
	body, err := p.Encode()
	require.NoError(t, err)
	require.Contains(t, string(body), `"stop":{"patience":8,"every":2,"tolerance":0.0001,"validation":0.1}`)
	again, err := federation.DecodePlan(body)
	require.NoError(t, err)
	require.Equal(t, p.Digest(), again.Digest())
	_, err = parse("rounds: 60", "rounds: 60, stop: {every: 2}")
	require.ErrorContains(t, err, "stop.patience 0")
	_, err = parse("algorithm: {name: fedadam, rounds: 60}", "algorithm: {stop: {patience: 3}}", "{kind: logistic, l2: 1.0}", "{kind: trees}")
	require.ErrorContains(t, err, "architecture.trees.patience")
	private, err := parse("rounds: 60", "rounds: 60, stop: {patience: 8}", "cohort:", "privacy: {secure_aggregation: required, dp: record, epsilon: 3}\ncohort:")
	require.NoError(t, err)
	round, _ := private.Learning().Mechanism(schedule.Train)
	require.Equal(t, round.Noise, private.Privacy.JudgeNoise, "one gradient over all rows: a judgement costs what it costs")
	private.Privacy.JudgeNoise *= 0.99
	require.ErrorContains(t, private.Validate(), "judge_noise")
	private.Privacy.JudgeNoise = 0
	require.Error(t, private.Validate())
	cold, err := parse()
	require.NoError(t, err)
	body, err = cold.Encode()
	require.NoError(t, err)
	require.NotContains(t, string(body), `"stop"`)
	require.NotContains(t, string(body), `"warm_start"`)
}
