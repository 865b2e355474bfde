package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/coordinator/journal"
	"github.com/koinon-eu/koinon/coordinator/journal/sqlite"
	"github.com/koinon-eu/koinon/coordinator/round"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"

	"github.com/stretchr/testify/require"
)

// enrolRecords are the records with which members come into the journal, one after the other.
func enrolRecords(t *testing.T, b *secaggtest.Batch) (entries []journal.Entry) {
	t.Helper()
	r := &federation.Roster{Federation: "demo", ID: secaggtest.Digest("federation"), Coordinator: federation.Key(b.Roster.Coordinator)}
	entry := func(kind string, v any) {
		body, err := json.Marshal(v)
		require.NoError(t, err)
		entries = append(entries, journal.Entry{Kind: kind, Body: body, Time: 1})
	}
	for _, m := range b.Roster.Members {
		type invited struct {
			Member  string `json:"member"`
			Index   uint8  `json:"index"`
			Hash    string `json:"hash"`
			Expires int64  `json:"expires"`
			By      string `json:"by"`
		}
		entry("member-invited", invited{m.Name, m.Index, strings.Repeat("00", 32), 9, "anna"})
		r.Version++
		r.Members = append(r.Members, federation.Member{Name: m.Name, Index: m.Index, Key: federation.Key(m.Key)})
		signed, err := federation.SignRoster(r, b.Sign(0))
		require.NoError(t, err)
		type rosterRecord struct {
			Body      []byte `json:"body"`
			Signature []byte `json:"signature"`
		}
		type enrolled struct {
			Member string         `json:"member"`
			Key    federation.Key `json:"key"`
			Roster rosterRecord   `json:"roster"`
		}
		entry("member-enrolled", enrolled{m.Name, federation.Key(m.Key), rosterRecord(signed)})
	}
	return entries
}

// TestEvidence: what the journal holds against a member is listed and handed on as a file that proves it to whoever has
// the roster (S68, S70).
func TestEvidence(t *testing.T) {
	b := secaggtest.New(t, secaggtest.Options{})
	b.Advertise(b.Cohort())
	require.NoError(t, b.Share(b.Cohort()))
	require.NoError(t, b.Mask(b.Cohort()))
	mask := b.Sent[2][len(b.Sent[2])-1]
	other := secagg.Frame{Type: secagg.TypeMask, Sender: 2, Body: bytes.Clone(mask[0].Body)}
	other.Body[40] ^= 1
	other = b.Resign(other, b.Server.Spec().Digest(), "koinon/secagg/v1/mask")
	require.ErrorIs(t, b.Server.Receive(2, []secagg.Frame{other, mask[1]}), secagg.ErrEquivocation)

	dir := t.TempDir()
	j, err := sqlite.Open(filepath.Join(dir, journalFile))
	require.NoError(t, err)
	entries := enrolRecords(t, b)
	run := strings.Repeat("0a", 16)
	for _, fact := range []round.Record{
		{Kind: round.KindDispute, Round: 1, Member: 4, Dealer: 3},
		{Kind: round.KindEvidence, Round: 1, Member: 2, Text: "evidence of kind 4", Proof: b.Server.Blames()[0].Evidence},
		{Kind: round.KindEvidence, Round: 1, Member: 5, Text: "evidence of kind 4", Proof: b.Server.Blames()[0].Evidence[:99]},
	} {
		body, err := fact.Encode()
		require.NoError(t, err)
		entries = append(entries, journal.Entry{Run: run, Kind: fact.Kind, Body: body, Time: 1})
	}
	_, err = j.Append(t.Context(), entries...)
	require.NoError(t, err)
	require.NoError(t, j.Close())

	code, out, errs := command(t, "evidence", "list", "--dir", dir)
	require.Zero(t, code, errs)
	require.Regexp(t, `11 .*dispute +M3 +no: the word of M4`, out)
	require.Regexp(t, `12 .*two-messages +M2 +yes`, out)
	require.Regexp(t, `13 .*two-messages +M5 +no: `, out)
	code, out, _ = command(t, "evidence", "list", "--dir", dir, "--json")
	require.Zero(t, code)
	var lines []evidenceLine
	require.NoError(t, json.Unmarshal([]byte(out), &lines))
	require.Len(t, lines, 3)

	file := filepath.Join(dir, "m2.evidence")
	code, out, errs = command(t, "evidence", "export", "12", file, "--dir", dir)
	require.Zero(t, code, errs)
	require.Contains(t, out, "two-messages against M2, round 1")
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	e, err := federation.DecodeEvidence(data)
	require.NoError(t, err)
	require.Equal(t, federation.CoordinatorName, e.Keeper)
	require.Equal(t, run, e.Run)
	require.Equal(t, b.Server.Blames()[0].Evidence, e.Proof)
	blame, _, err := secagg.CheckEvidence(b.Roster, e.Proof)
	require.NoError(t, err)
	require.Equal(t, uint8(2), blame.Member)

	for _, c := range []struct{ id, says string }{
		{"12", "exists"}, {"11", "record 11 is a dispute"}, {"10", "record 10 is no evidence"}, {"99", "hint: list what there is"},
	} {
		code, _, errs = command(t, "evidence", "export", c.id, file, "--dir", dir)
		require.Equal(t, 1, code)
		require.Contains(t, errs, c.says)
	}
	code, _, errs = command(t, "evidence", "list", "--dir", t.TempDir())
	require.Equal(t, 1, code)
	require.Contains(t, errs, "error: ")
}
