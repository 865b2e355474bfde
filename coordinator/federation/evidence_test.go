package federation_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
)

// rosterOf is the roster of a test batch as a federation writes it.
func rosterOf(r secagg.Roster) *federation.Roster {
	out := &federation.Roster{Federation: "demo", ID: secaggtest.Digest("federation"), Version: 1, Coordinator: federation.Key(r.Coordinator)}
	for _, m := range r.Members {
		out.Members = append(out.Members, federation.Member{Name: m.Name, Index: m.Index, Key: federation.Key(m.Key)})
	}
	return out
}

// twoMasks is a batch in which member 2 signs two masks, and the coordinator's evidence of it.
func twoMasks(t testing.TB) (*federation.Roster, []byte) {
	t.Helper()
	b := secaggtest.New(t, secaggtest.Options{})
	b.Advertise(b.Cohort())
	require.NoError(t, b.Share(b.Cohort()))
	require.NoError(t, b.Mask(b.Cohort()))
	mask := b.Sent[2][len(b.Sent[2])-1]
	other := secagg.Frame{Type: secagg.TypeMask, Sender: 2, Body: bytes.Clone(mask[0].Body)}
	other.Body[40] ^= 1
	other = b.Resign(other, b.Server.Spec().Digest(), "koinon/secagg/v1/mask")
	require.ErrorIs(t, b.Server.Receive(2, []secagg.Frame{other, mask[1]}), secagg.ErrEquivocation)
	require.Len(t, b.Server.Blames(), 1)
	return rosterOf(b.Roster), b.Server.Blames()[0].Evidence
}

func evidenceOf(proof []byte) federation.Evidence {
	return federation.Evidence{
		Federation: "demo", Keeper: "DE", Time: time.Date(2026, 11, 24, 13, 0, 0, 0, time.UTC), Plan: federation.Digest{1},
		Run: strings.Repeat("0a", 16), Round: 3, Reason: "two different messages", Proof: proof,
	}
}

func TestEvidenceFile(t *testing.T) {
	e := evidenceOf([]byte("\n{proof}\n"))
	b, err := e.Encode()
	require.NoError(t, err)
	got, err := federation.DecodeEvidence(b)
	require.NoError(t, err)
	require.Equal(t, e, got)

	e.Reason = "red\x1b[31m \u202e" + strings.Repeat("ä", 400) + "\xff"
	b, err = e.Encode()
	require.NoError(t, err)
	got, err = federation.DecodeEvidence(b)
	require.NoError(t, err)
	require.Equal(t, "red [31m  "+strings.Repeat("ä", 245), got.Reason)

	for name, bad := range map[string][]byte{
		"empty": nil, "no head": []byte("koinon evidence 1\n"), "another format": bytes.Replace(b, []byte("1\n"), []byte("2\n"), 1),
		"field": bytes.Replace(b, []byte(`"keeper"`), []byte(`"keeqer"`), 1), "run": bytes.Replace(b, []byte("0a"), []byte("0A"), 1),
		"name": bytes.Replace(b, []byte(`"DE"`), []byte(`"D/"`), 1), "space": bytes.Replace(b, []byte(`,"`), []byte(`, "`), 1),
		"escape": bytes.Replace(b, []byte("red "), []byte(`red \u001b`), 1),
	} {
		_, err := federation.DecodeEvidence(bad)
		require.ErrorIs(t, err, federation.ErrMalformed, name)
	}
	_, err = federation.Evidence{Federation: "demo", Keeper: "../DE", Run: e.Run}.Encode()
	require.ErrorIs(t, err, federation.ErrMalformed)
	_, err = evidenceOf(make([]byte, federation.MaxProofBytes+1)).Encode()
	require.Error(t, err)
	b, err = evidenceOf(make([]byte, federation.MaxProofBytes)).Encode()
	require.NoError(t, err)
	require.LessOrEqual(t, int64(len(b)), federation.MaxEvidenceBytes)
}

// The largest proof, that of a false sum with a full cohort and openings that fill their frame, fits a file (S68 kind 5).
func TestLargestProofFits(t *testing.T) {
	const n = secagg.MaxCohort
	perMember := 1352 + 167 + 141 + 65 + (65_549 + 7) + (7 + 4 + 32*16) // advert, share, mask, certificate, chunk, path
	require.Less(t, 307+301+16<<10+237+secagg.MaxFrame+n*perMember, federation.MaxProofBytes)
}

// S68: evidence is judged by the roster alone, says what it is about, and convinces nobody with another roster.
func TestJudge(t *testing.T) {
	roster, proof := twoMasks(t)
	v := federation.Judge(roster, proof)
	require.Equal(t, federation.Verdict{
		Kind: "two-messages", Names: "M2", Proven: true, Why: "it signed two different messages where one is allowed",
		Federation: roster.ID, Plan: secaggtest.Digest("plan"), Run: strings.Repeat("00", 16), Round: 1, Signatures: 3,
	}, v)

	stranger, _ := secaggtest.NewRoster(77, secaggtest.Indexes(5))
	v = federation.Judge(rosterOf(stranger), proof)
	require.False(t, v.Proven)
	require.Equal(t, 3, v.Wrong)
	require.Contains(t, v.Why, "signature is not valid")

	elsewhere := *roster
	elsewhere.ID[0] ^= 1
	v = federation.Judge(&elsewhere, proof)
	require.False(t, v.Proven)
	require.Contains(t, v.Why, "another federation")

	for _, broken := range [][]byte{nil, {4}, proof[:len(proof)-1], append([]byte{9}, proof[1:]...), append([]byte{5}, proof[1:]...)} {
		v = federation.Judge(roster, broken)
		require.False(t, v.Proven)
		require.NotEmpty(t, v.Why)
	}
}

func FuzzDecodeEvidence(f *testing.F) {
	roster, proof := twoMasks(f)
	for _, p := range [][]byte{nil, proof} {
		b, err := evidenceOf(p).Encode()
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := federation.DecodeEvidence(b)
		if err != nil {
			return
		}
		again, err := e.Encode()
		require.NoError(t, err)
		require.Equal(t, b, again)
		if v := federation.Judge(roster, e.Proof); v.Proven {
			require.Equal(t, "M2", v.Names)
		}
	})
}
