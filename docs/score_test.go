package docs

import (
	"context"
	"crypto/ecdsa"
	"go/format"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/koinon-eu/koinon/crypto/sign"
	"github.com/koinon-eu/koinon/models/artifact"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/registry"
	"github.com/koinon-eu/koinon/models/release"

	"github.com/stretchr/testify/require"
)

func score(ctx context.Context, location string, pem []byte, cases io.Reader) ([]artifact.Advisory, error) {
	key, err := sign.ParsePublicKey(pem)
	if err != nil {
		return nil, err
	}
	// Pull verifies: it returns no release that the policy does not trust.
	r, err := new(registry.Client).Pull(ctx, location, release.Policy{Keys: []*ecdsa.PublicKey{key}})
	if err != nil {
		return nil, err
	}
	model, err := artifact.Parse(r.Files[release.ArtifactFile])
	if err != nil {
		return nil, err
	}
	table, err := feature.ReadCSV(cases, model.Encoder.Schema, feature.Limits{Scoring: true})
	if err != nil {
		return nil, err
	}
	scorer, err := model.NewScorer()
	if err != nil {
		return nil, err
	}
	return scorer.Score(table, 3)
}

// TestScoreExample holds the Go code in use-models.md to the function above, which the compiler checks.
func TestScoreExample(t *testing.T) {
	guide, err := os.ReadFile("use-models.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(guide), "```go\n")
	require.True(t, found)
	shown, _, found := strings.Cut(rest, "\n```")
	require.True(t, found)
	formatted, err := format.Source([]byte(shown))
	require.NoError(t, err)
	self, err := os.ReadFile("score_test.go")
	require.NoError(t, err)
	require.Contains(t, string(self), "\n"+string(formatted)+"\n")

	_, err = score(t.Context(), t.TempDir(), []byte("no key"), strings.NewReader(""))
	require.ErrorContains(t, err, "public key")
}
