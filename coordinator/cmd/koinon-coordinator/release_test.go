package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/models/release"
)

func TestPrintStatement(t *testing.T) {
	value := 0.87654
	s := &release.Statement{
		Name: "risk-1", Federation: "demo", Purpose: "document-risk", Plan: release.Plan{Name: "risk", Digest: release.Digest{2}},
		Artifact: release.Digest{3}, Members: []string{"DE", "FR"},
		Gates: []release.Gate{
			{Metric: "auroc", Wanted: "at least 0.8", Value: &value, Result: release.Pass},
			{Metric: "gap", Group: "nationality", Wanted: "none", Result: release.Answered, Answer: "audited\x1b[2J"},
		},
	}
	var b bytes.Buffer
	require.NoError(t, printStatement(&b, s, release.Digest{1}))
	for _, want := range []string{
		"release    risk-1 of demo, for the purpose document-risk\n", "statement  01000000", "model      03000000",
		"plan       risk, digest 02000000", "members    DE, FR\n", "at least 0.8  0.8765   pass", "gap nationality", "audited [2J",
	} {
		require.Contains(t, b.String(), want)
	}
	require.NotContains(t, b.String(), "\x1b")
}

// The coordinator's words are printed without what could steer a terminal, and a reason stays one line.
func TestRemoteWordsDoNotSteer(t *testing.T) {
	var b bytes.Buffer
	l := releaseLine{Name: "risk-1", State: "gated", Reason: "no\nstate      published\x1b[1A\u202e", URL: "https://x\u009b", Approvals: []approvalLine{{Person: "\x07anna"}}}
	require.NoError(t, l.print(cli.Streams{Out: &b}))
	require.NotRegexp(t, "[\x1b\x07\u009b\u202e]", b.String())
	require.NotContains(t, b.String(), "\nstate      published")
}
