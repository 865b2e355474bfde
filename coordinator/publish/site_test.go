package publish_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/koinon-eu/koinon/coordinator/publish"
	"github.com/koinon-eu/koinon/models/registry"

	"github.com/stretchr/testify/require"
)

type source publish.Status

func (s source) Status() publish.Status { return publish.Status(s) }

func status() publish.Status {
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	return publish.Status{
		Federation: "test", ID: "00", Members: 5, Connected: 4, Time: now, Version: "1", Key: "PEM", KeyID: "0123456789abcdef",
		Plans: []publish.Plan{{Name: "risk", Digest: "0123456789abcdef", Purpose: "document-risk", Cohort: 5, Approved: 5, State: "running"}},
		Runs: []publish.Run{
			{ID: "aa11aa11aa11aa11", Plan: "risk", State: "running", Step: 3, Steps: 10, Started: now, Rounds: []publish.Round{
				{Number: 4, Step: 3, Kind: "train", Phase: "mask", Outcome: "open", Cohort: 5},
				{Number: 3, Step: 3, Kind: "train", Phase: "share", Outcome: "aborted", Cohort: 5, Seconds: 30, Bytes: 1500},
			}},
		},
		Releases: []publish.Release{
			{Name: "risk-2", State: "revoked", Mode: "withdraw", Reason: `<script>alert(1)</script>`, Gates: []publish.Gate{{Text: "auroc", Verdict: "pass"}}},
			{Name: "risk-1", State: "gated", Reason: "gates not passed", Gates: []publish.Gate{{Text: "auroc", Verdict: "fail"}}},
		},
	}
}

func get(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	require.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'")
	require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
	return w
}

func TestPages(t *testing.T) {
	dir := t.TempDir()
	store, err := registry.OpenStore(dir)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "secret.key"), []byte("x"), 0o600))
	site, err := publish.New(source(status()), store, slog.New(slog.DiscardHandler))
	require.NoError(t, err)

	page := get(t, site, "/")
	require.Equal(t, http.StatusOK, page.Code)
	for _, want := range []string{"risk-1", "4 connected now", `data-live="yes"`, `aria-current="step">mask`, "aborted</span> <span class=\"quiet\">in share", "5 of 5 members"} {
		require.Contains(t, page.Body.String(), want)
	}
	require.NotContains(t, page.Body.String(), `="http`, "nothing is loaded from elsewhere")

	page = get(t, site, "/releases/risk-2")
	require.Equal(t, http.StatusOK, page.Code)
	require.Contains(t, page.Body.String(), "Do not use this release")
	require.NotContains(t, page.Body.String(), "<script>alert")
	require.Contains(t, get(t, site, "/releases/risk-1").Body.String(), "kept back")
	require.Equal(t, http.StatusNotFound, get(t, site, "/releases/nothing").Code)
	require.Equal(t, "PEM", get(t, site, "/release-key.pem").Body.String())
	for _, path := range []string{"/style.css", "/live.js"} {
		require.Equal(t, http.StatusOK, get(t, site, path).Code)
	}
	for _, path := range []string{"/secret.key", "/pages/style.css", "/releases/risk-1/../../secret.key", "/v1/runs/none", "/v1/releases/none", "/releases/"} {
		require.NotEqual(t, http.StatusOK, get(t, site, path).Code, path)
	}
	w := httptest.NewRecorder()
	site.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
}

func TestAPI(t *testing.T) {
	site, err := publish.New(source(status()), nil, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	var got publish.Status
	require.NoError(t, json.Unmarshal(get(t, site, "/v1/status").Body.Bytes(), &got))
	require.Equal(t, status(), got)
	var runs []publish.Run
	require.NoError(t, json.Unmarshal(get(t, site, "/v1/runs").Body.Bytes(), &runs))
	require.Equal(t, 20, runs[0].Percent())
	var release publish.Release
	require.NoError(t, json.Unmarshal(get(t, site, "/v1/releases/risk-1").Body.Bytes(), &release))
	require.Equal(t, "gated", release.State)
	require.Equal(t, http.StatusOK, get(t, site, "/v1/plans").Code)
	require.Equal(t, http.StatusOK, get(t, site, "/v1/runs/aa11aa11aa11aa11").Code)
}
