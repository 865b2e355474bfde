package sim

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"testing"
	"time"

	"github.com/koinon-eu/koinon/models/artifact"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/release"
	"github.com/koinon-eu/koinon/node/train"

	"github.com/stretchr/testify/require"
)

// TestTreesAreReleased: what five nodes have grown and judged becomes a report that passes its gates and a release that
// two people approve, opens with the release key, and scores new rows as the nodes did in the evaluation.
func TestTreesAreReleased(t *testing.T) {
	s := setStage(t, treesPlan(t, "trees: 8, depth: 3, rate: [0.3], bins: 16, cell: 5, min_hessian: 1"), fiveTables(t), nil)
	s.submit()
	s.playAll()
	r := s.evaluated()
	files, report, err := s.simulation.coordinator.Candidate(r.ID)
	require.NoError(t, err)
	require.Equal(t, "trees", report.Plan.Architecture)
	require.NotEmpty(t, files[release.CardFile])

	digest := release.StatementDigest(files[release.StatementFile])
	var approvers []release.Approver
	var approvals []release.Approval
	for person, role := range map[string]string{"anna": "model-owner", "ben": "data-protection"} {
		key := newSigner(t)
		approvers = append(approvers, release.Approver{Person: person, Role: role, Key: key.Public()})
		a, err := release.Approve(key, person, role, digest, time.Now())
		require.NoError(t, err)
		approvals = append(approvals, a)
	}
	signer := newSigner(t)
	sealed, err := release.Seal(files, approvals, approvers, signer)
	require.NoError(t, err)
	opened, err := release.Open(sealed.Files, release.Policy{Keys: []*ecdsa.PublicKey{signer.Public().(*ecdsa.PublicKey)}})
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(r.Rounds), len(opened.Statement.Rounds))

	model, err := artifact.Parse(opened.Files[release.ArtifactFile])
	require.NoError(t, err)
	scorer, err := model.NewScorer()
	require.NoError(t, err)
	machine := s.machineOf(r, five...)
	for _, m := range s.cfg.Members {
		figures, err := train.NewMember(m.Table).Evaluate(machine)
		require.NoError(t, err)
		advisories, err := scorer.Score(m.Table, 2)
		require.NoError(t, err)
		var scores []float64
		explained := false
		for _, a := range advisories {
			scores = append(scores, a.Score)
			require.NotEmpty(t, a.Band)
			explained = explained || len(a.Factors) == 2
		}
		require.True(t, explained)
		for i, row := range m.Table.Select(feature.SelectTest) {
			require.InDelta(t, figures.Federated[i], scores[row], 1e-12)
		}
	}
}

func newSigner(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}
