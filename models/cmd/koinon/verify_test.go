package main

import (
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/artifact"
	"github.com/koinon-eu/koinon/models/release"
)

// TestFineTunedIsNoRelease: a model that a node has fitted to its own rows is
// refused even if somebody with the release key signed it.
func TestFineTunedIsNoRelease(t *testing.T) {
	w := newWorld(t)
	_, err := load(w.release)
	require.NoError(t, err)
	m, err := artifact.Parse(w.release.Files[release.ArtifactFile])
	require.NoError(t, err)
	m.Header.FineTuned = strings.Repeat("a", 64)
	body, err := m.Marshal()
	require.NoError(t, err)
	signed := *w.release
	signed.Files = maps.Clone(signed.Files)
	signed.Files[release.ArtifactFile] = body
	_, err = load(&signed)
	require.ErrorIs(t, err, artifact.ErrFineTuned)
	m.Header.FineTuned = "x"
	_, err = m.Marshal()
	require.ErrorContains(t, err, "fine-tuned model")
}
