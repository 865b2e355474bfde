package registry_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/sign"
	"github.com/koinon-eu/koinon/models/registry"
	"github.com/koinon-eu/koinon/models/release"
)

// maker seals releases with one release key and two approvers.
type maker struct {
	release, ada, bo *ecdsa.PrivateKey
}

func newMaker(t testing.TB) maker {
	t.Helper()
	var m maker
	for _, k := range []**ecdsa.PrivateKey{&m.release, &m.ada, &m.bo} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		*k = key
	}
	return m
}

func (m maker) policy() release.Policy {
	return release.Policy{Keys: []*ecdsa.PublicKey{&m.release.PublicKey}}
}

func (m maker) seal(t testing.TB, name, model string, at time.Time) *release.Release {
	t.Helper()
	files := release.Files{}
	for _, f := range release.Content {
		files[f] = []byte("content of " + f)
	}
	files[release.ArtifactFile] = []byte(model)
	s := &release.Statement{
		Format: release.Format, Name: name, Federation: "demo", Created: release.FormatTime(at), Code: "v0.1.0", Purpose: "document-risk",
		Plan: release.Plan{Name: "document-risk", Digest: release.Digest{1}}, Roster: release.Digest{2}, Artifact: sha256.Sum256(files[release.ArtifactFile]),
		Members: []string{"DE"}, Rounds: []release.Round{{Round: 1, Kind: "train", Survivors: []string{"DE"}}}, Files: release.Describe(files),
	}
	var err error
	files[release.StatementFile], err = s.Marshal()
	require.NoError(t, err)
	digest := release.StatementDigest(files[release.StatementFile])
	a, err := release.Approve(m.ada, "Ada", "data-protection", digest, at)
	require.NoError(t, err)
	b, err := release.Approve(m.bo, "Bo", "model-owner", digest, at)
	require.NoError(t, err)
	r, err := release.Seal(files, []release.Approval{a, b}, nil, m.release)
	require.NoError(t, err)
	return r
}

var at = time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)

// serve publishes h over TLS and returns a client that trusts it.
func serve(t *testing.T, h http.Handler) (string, *registry.Client) {
	t.Helper()
	srv := httptest.NewTLSServer(h)
	srv.Config.ErrorLog = nil
	t.Cleanup(srv.Close)
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	return srv.URL, &registry.Client{Roots: pool, Stall: 2 * time.Second}
}

func TestPutListPull(t *testing.T) {
	m := newMaker(t)
	store, err := registry.OpenStore(filepath.Join(t.TempDir(), "store"))
	require.NoError(t, err)
	first := m.seal(t, "risk-1", "one", at)
	second := m.seal(t, "risk-2", "two", at.Add(time.Hour))
	require.NoError(t, store.Put(first))
	require.NoError(t, store.Put(second))
	require.NoError(t, store.Put(second), "a repeated Put is no error")
	require.ErrorIs(t, store.Put(m.seal(t, "risk-1", "other", at)), registry.ErrExists)

	url, client := serve(t, store)
	ctx := context.Background()
	for _, place := range []string{url, store.Root()} {
		index, err := client.List(ctx, place)
		require.NoError(t, err)
		require.Len(t, index.Releases, 2)
		require.Equal(t, "risk-2", index.Releases[0].Name, "newest first")
		require.Equal(t, second.Digest, index.Releases[0].Statement)
	}
	var done, total int64
	client.Progress = func(d, n int64) { done, total = d, n }
	for _, place := range []string{url + "/releases/risk-1", filepath.Join(store.Root(), "releases", "risk-1")} {
		r, err := client.Pull(ctx, place, m.policy())
		require.NoError(t, err)
		require.Equal(t, first.Digest, r.Digest)
		require.Equal(t, first.Files, r.Files)
	}
	require.Positive(t, total)
	require.Equal(t, total, done)

	// An index that was lost comes back with the next Put.
	require.NoError(t, os.Remove(filepath.Join(store.Root(), registry.IndexFile)))
	require.NoError(t, store.Put(first))
	index, err := store.Index()
	require.NoError(t, err)
	require.Len(t, index.Releases, 1)
	require.NoError(t, os.WriteFile(filepath.Join(store.Root(), registry.IndexFile), []byte("{"), 0o644))
	_, err = registry.OpenStore(store.Root())
	require.ErrorContains(t, err, "index")
}

func TestConcurrentPut(t *testing.T) {
	m := newMaker(t)
	store, err := registry.OpenStore(t.TempDir())
	require.NoError(t, err)
	var wg sync.WaitGroup
	for i := range 8 {
		r := m.seal(t, fmt.Sprintf("risk-%d", i/2), "same", at)
		wg.Go(func() { _ = store.Put(r) }) // signatures differ, so one of each pair is ErrExists
	}
	wg.Wait()
	index, err := store.Index()
	require.NoError(t, err)
	require.Len(t, index.Releases, 4)
}

func TestServesOnlyReleases(t *testing.T) {
	m := newMaker(t)
	root := t.TempDir()
	store, err := registry.OpenStore(root)
	require.NoError(t, err)
	require.NoError(t, store.Put(m.seal(t, "risk-1", "one", at)))
	require.NoError(t, os.WriteFile(filepath.Join(root, "secret"), []byte("x"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(root, registry.RevocationsFile), []byte("{}"), 0o644))
	for path, want := range map[string]int{
		"/index.json": 200, "/revocations.json": 200, "/releases/risk-1/model.sig": 200, "/releases/risk-1/report.html": 200,
		"/": 404, "/secret": 404, "/releases/": 404, "/releases/risk-1": 404, "/releases/risk-1/": 404, "/releases/risk-1/none": 404,
		"/releases/../secret": 404, "/releases/risk-1/..%2f..%2f..%2fsecret": 404, "/releases/.hidden/x": 404, "/etc/passwd": 404,
	} {
		w := httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodGet, path, nil)
		store.ServeHTTP(w, req)
		require.Equal(t, want, w.Code, path)
		if strings.HasSuffix(path, ".html") {
			require.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'")
		}
	}
	for name, want := range map[string]string{
		"model.koinon": "application/octet-stream", "page.svg": "application/octet-stream", "page.htm": "application/octet-stream",
		"none": "application/octet-stream", "report.json": "application/json", "report.html": "text/html; charset=utf-8",
		"card.md": "text/markdown; charset=utf-8", "model.sig": "application/vnd.dev.sigstore.bundle.v0.3+json",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(root, registry.ReleasesFolder, "risk-1", name), []byte("<html>"), 0o644))
		w := httptest.NewRecorder()
		store.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/releases/risk-1/"+name, nil))
		require.Equal(t, want, w.Header().Get("Content-Type"), name)
	}
	w := httptest.NewRecorder()
	store.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/index.json", nil))
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
}

// tampering changes what a good store answers.
type tampering struct {
	store  http.Handler
	file   string // the file that is touched
	change func(w http.ResponseWriter, good []byte)
}

func (p *tampering) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if !strings.HasSuffix(req.URL.Path, "/"+p.file) {
		p.store.ServeHTTP(w, req)
		return
	}
	rec := httptest.NewRecorder()
	p.store.ServeHTTP(rec, req)
	p.change(w, rec.Body.Bytes())
}

func TestPullRefuses(t *testing.T) {
	m := newMaker(t)
	store, err := registry.OpenStore(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, store.Put(m.seal(t, "risk-1", "one", at)))
	proxy := &tampering{store: store}
	url, client := serve(t, proxy)
	elsewhere := httptest.NewTLSServer(store)
	defer elsewhere.Close()

	write := func(b []byte) func(http.ResponseWriter, []byte) {
		return func(w http.ResponseWriter, _ []byte) { _, _ = w.Write(b) }
	}
	flip := func(w http.ResponseWriter, good []byte) { good[len(good)/2] ^= 1; _, _ = w.Write(good) }
	every := []string{release.SignatureFile, release.StatementFile, release.ApprovalsFile, release.ArtifactFile, release.CardFile}
	pull := func(t *testing.T) error {
		r, err := client.Pull(context.Background(), url+"/releases/risk-1", m.policy())
		require.Equal(t, err == nil, r != nil)
		return err
	}
	for _, file := range every {
		proxy.file = file
		t.Run(file, func(t *testing.T) {
			for name, c := range map[string]struct {
				change func(http.ResponseWriter, []byte)
				want   string
			}{
				"one byte": {flip, ""},
				"empty":    {write(nil), ""},
				"longer":   {func(w http.ResponseWriter, good []byte) { _, _ = w.Write(append(good, '\n', '\n')) }, ""},
				"error":    {func(w http.ResponseWriter, _ []byte) { http.Error(w, "boom", 500) }, "500 Internal Server Error"},
				"absent":   {func(w http.ResponseWriter, _ []byte) { http.NotFound(w, nil) }, "404 Not Found"},
				"cut off": {func(w http.ResponseWriter, good []byte) {
					w.Header().Set("Content-Length", fmt.Sprint(len(good)))
					_, _ = w.Write(good[:len(good)-1])
					w.(http.Flusher).Flush()
					panic(http.ErrAbortHandler)
				}, "cut off after"},
				"endless": {func(w http.ResponseWriter, _ []byte) {
					block := bytes.Repeat([]byte("x"), 1<<20)
					for range 64 {
						if _, err := w.Write(block); err != nil {
							return
						}
					}
				}, "more than"},
				"announced": {func(w http.ResponseWriter, _ []byte) {
					w.Header().Set("Content-Length", fmt.Sprint(int64(1)<<40))
				}, "limit"},
				"elsewhere": {func(w http.ResponseWriter, _ []byte) {
					w.Header().Set("Location", elsewhere.URL+"/releases/risk-1/"+file)
					w.WriteHeader(http.StatusFound)
				}, "redirect to another host refused"},
			} {
				t.Run(name, func(t *testing.T) {
					if name == "longer" && file == release.SignatureFile {
						t.Skip("white space after JSON means nothing")
					}
					proxy.change = c.change
					require.ErrorContains(t, pull(t), c.want)
				})
			}
		})
	}
	proxy.file = "none"
	require.NoError(t, pull(t))
}

func TestStalledTransfer(t *testing.T) {
	m := newMaker(t)
	store, err := registry.OpenStore(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, store.Put(m.seal(t, "risk-1", "one", at)))
	release := make(chan struct{})
	url, client := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.HasSuffix(req.URL.Path, "/model.koinon") {
			_, _ = io.WriteString(w, "o")
			w.(http.Flusher).Flush()
			<-release
			return
		}
		store.ServeHTTP(w, req)
	}))
	defer close(release)
	client.Stall = 100 * time.Millisecond
	_, err = client.Pull(context.Background(), url+"/releases/risk-1", m.policy())
	require.ErrorContains(t, err, "stands still")
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	client.Stall = time.Minute
	_, err = client.Pull(ctx, url+"/releases/risk-1", m.policy())
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestPullTrust(t *testing.T) {
	m := newMaker(t)
	store, err := registry.OpenStore(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, store.Put(m.seal(t, "risk-1", "one", at)))
	url, client := serve(t, store)
	ctx := context.Background()
	_, err = client.Pull(ctx, url+"/releases/risk-1", newMaker(t).policy())
	require.ErrorIs(t, err, sign.ErrKey)
	_, err = (&registry.Client{}).Pull(ctx, url+"/releases/risk-1", m.policy())
	require.ErrorContains(t, err, "certificate")
	_, err = client.Pull(ctx, strings.Replace(url, "https", "http", 1)+"/releases/risk-1", m.policy())
	require.Error(t, err, "plain http to a TLS port")
	for _, bad := range []string{"http://koinon.example/x", "ftp://koinon.example/x", "https://user@koinon.example/", "https://koinon.example/?a=b", "https:///x", "https://%zz"} {
		_, err = client.Pull(ctx, bad, m.policy())
		require.ErrorContains(t, err, "location", bad)
		_, err = client.List(ctx, bad)
		require.ErrorContains(t, err, "location", bad)
	}
	_, err = client.Pull(ctx, filepath.Join(t.TempDir(), "none"), m.policy())
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = client.List(ctx, t.TempDir())
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestMixedReleases: neither a mixture of two good releases nor an old one
// under the name of a new one gets through.
func TestMixedReleases(t *testing.T) {
	m := newMaker(t)
	store, err := registry.OpenStore(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, store.Put(m.seal(t, "risk-1", "one", at)))
	require.NoError(t, store.Put(m.seal(t, "risk-2", "two", at)))
	swap := "/"
	url, client := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.Contains(req.URL.Path, swap) {
			req.URL.Path = strings.Replace(req.URL.Path, "risk-2", "risk-1", 1)
		}
		store.ServeHTTP(w, req)
	}))
	for _, swap = range []string{release.SignatureFile, release.StatementFile, release.ApprovalsFile, release.ArtifactFile} {
		_, err := client.Pull(context.Background(), url+"/releases/risk-2", m.policy())
		require.ErrorIs(t, err, sign.ErrFiles, swap)
	}
	swap = "/" // everything
	_, err = client.Pull(context.Background(), url+"/releases/risk-2", m.policy())
	require.ErrorIs(t, err, release.ErrStatement)
	require.ErrorContains(t, err, "asked for risk-2, the server sent risk-1")
}

func FuzzIndex(f *testing.F) {
	b, err := json.Marshal(registry.Index{Format: "koinon/store/v1", Releases: []registry.Entry{{Name: "a", Created: "b"}}})
	require.NoError(f, err)
	f.Add(b)
	f.Fuzz(func(t *testing.T, data []byte) {
		x, err := registry.ParseIndex(data)
		require.Equal(t, err == nil, x != nil)
	})
}

func TestRevoke(t *testing.T) {
	m := newMaker(t)
	root := t.TempDir()
	store, err := registry.OpenStore(root)
	require.NoError(t, err)
	first, second := m.seal(t, "risk-1", "one", at), m.seal(t, "risk-2", "two", at)
	require.NoError(t, store.Put(first))
	require.NoError(t, store.Put(second))
	why := registry.Revocation{Mode: "withdraw", Reason: "calibration drifted", Time: "2026-11-25T08:00:00Z"}
	require.NoError(t, store.Revoke("risk-1", why))
	require.NoError(t, store.Revoke("risk-1", why), "a repeated Revoke is no error")
	require.NoError(t, store.Put(first), "a repeated Put gives nothing back")
	require.NoError(t, store.Revoke("none", why), "what is not there is not given out")
	require.Error(t, store.Revoke("../x", why))

	check := func(store *registry.Store) {
		url, client := serve(t, store)
		for _, place := range []string{url, root} {
			index, err := client.List(t.Context(), place)
			require.NoError(t, err)
			require.Len(t, index.Releases, 2)
			for _, e := range index.Releases {
				require.Equal(t, e.Name == "risk-1", e.Revoked != nil)
			}
			_, err = client.Pull(t.Context(), place+"/releases/risk-1", m.policy())
			var revoked *registry.RevokedError
			require.ErrorAs(t, err, &revoked)
			require.Equal(t, registry.RevokedError{Name: "risk-1", Revocation: why}, *revoked)
			_, err = client.Pull(t.Context(), place+"/releases/risk-2", m.policy())
			require.NoError(t, err)
		}
	}
	check(store)
	store, err = registry.OpenStore(root)
	require.NoError(t, err)
	check(store)
	require.NoError(t, os.Remove(filepath.Join(root, registry.IndexFile)))
	store, err = registry.OpenStore(root)
	require.NoError(t, err)
	require.NoError(t, store.Put(second))
	require.NoError(t, store.Revoke("risk-1", why), "a lost index")
	check(store)

	w := httptest.NewRecorder()
	store.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/releases/risk-1/model.koinon", nil))
	require.Equal(t, http.StatusGone, w.Code)
	url, client := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "gone", http.StatusGone) }))
	_, err = client.Pull(t.Context(), url+"/releases/risk-1", m.policy())
	require.ErrorContains(t, err, "410 Gone")
}
