package service

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLogger(t *testing.T) {
	var b bytes.Buffer
	log, err := NewLogger(&b, LogConfig{})
	require.NoError(t, err)
	log.Debug("unseen")
	log.Info("seen", "member", "DE")
	require.Regexp(t, `^\{"time":"[^"]+","level":"INFO","msg":"seen","member":"DE"\}\n$`, b.String())

	b.Reset()
	log, err = NewLogger(&b, LogConfig{Level: "debug", Format: "text"})
	require.NoError(t, err)
	log.Debug("seen")
	require.Contains(t, b.String(), "level=DEBUG msg=seen")

	_, err = NewLogger(&b, LogConfig{Level: "loud"})
	require.ErrorContains(t, err, `log level "loud"`)
	_, err = NewLogger(&b, LogConfig{Format: "xml"})
	require.ErrorContains(t, err, `log format "xml"`)
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

func TestMonitor(t *testing.T) {
	m := NewMetrics("koinon-test", "1.2.3")
	rounds := m.Counter("rounds_total", "Rounds by outcome.", "outcome")
	rounds.Inc("closed")
	rounds.Add(2, "aborted")
	connected := m.Gauge("connected_members", "Members with an open connection.")
	connected.Set(3)
	connected.Add(-1)
	m.Gauge("upload", "Gone again.", "member").Set(1, "DE")
	m.Histogram("append_seconds", "Latency.", Seconds).Observe(.003)
	var health Health

	s, err := ListenHTTP("127.0.0.1:0", nil, Monitor(m, &health), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	base := "http://" + s.Addr()

	_, body := get(t, base+"/metrics")
	for _, want := range []string{
		`koinon_rounds_total{outcome="aborted"} 2`, `koinon_rounds_total{outcome="closed"} 1`,
		"koinon_connected_members 2", `koinon_append_seconds_bucket{le="0.005"} 1`,
		`koinon_build_info{go="`, `program="koinon-test",version="1.2.3"} 1`, "go_goroutines",
	} {
		require.Contains(t, body, want)
	}

	code, _ := get(t, base+"/readyz")
	require.Equal(t, http.StatusOK, code)
	health.NotReady("journal", "replaying")
	health.NotReady("disk", "full")
	code, body = get(t, base+"/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.JSONEq(t, `{"status":"not ready","missing":[{"part":"disk","reason":"full"},{"part":"journal","reason":"replaying"}]}`, body)
	code, _ = get(t, base+"/healthz")
	require.Equal(t, http.StatusOK, code, "alive all the same")
	health.Ready("journal")
	health.Ready("disk")
	require.Empty(t, health.Reasons())
	code, _ = get(t, base+"/nothing")
	require.Equal(t, http.StatusNotFound, code)

	cancel()
	require.NoError(t, <-served)
	_, err = http.Get(base + "/healthz")
	require.Error(t, err)
}

func TestNoMetricsIsNoTrouble(t *testing.T) {
	var m *Metrics
	m.Counter("a", "").Inc()
	g := m.Gauge("b", "", "l")
	g.Set(1, "x")
	g.Add(1, "x")
	g.Forget("x")
	m.Histogram("c", "", Sizes).Observe(1)
	require.NotNil(t, m.Handler())
}

// TestShutdownLetsRequestsFinish: what is in flight when the signal comes is
// answered.
func TestShutdownLetsRequestsFinish(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	s, err := ListenHTTP("127.0.0.1:0", nil, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_, _ = io.WriteString(w, "whole")
	}), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	group, ctx := NewGroup(t.Context())
	group.Go("http", s.Serve)
	answer := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + s.Addr())
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		answer <- string(body)
	}()
	<-entered
	group.Stop()
	<-ctx.Done()
	close(release)
	require.Equal(t, "whole", <-answer)
	require.NoError(t, group.Wait())
}

func TestListenHTTPSaysWhatFailed(t *testing.T) {
	_, err := ListenHTTP("127.0.0.1:notaport", nil, nil, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "listen for http")
}

func TestGroupEndsWithTheFirstError(t *testing.T) {
	group, ctx := NewGroup(t.Context())
	boom := errors.New("boom")
	group.Go("waiter", func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	})
	group.Go("late", func(ctx context.Context) error {
		<-ctx.Done()
		return errors.New("second")
	})
	group.Go("breaker", func(context.Context) error { return boom })
	err := group.Wait()
	require.ErrorIs(t, err, boom)
	require.EqualError(t, err, "breaker: boom")
	require.Error(t, ctx.Err())
}

func TestGroupEndsQuietlyWithItsParent(t *testing.T) {
	parent, cancel := context.WithCancel(t.Context())
	group, _ := NewGroup(parent)
	group.Go("waiter", func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	})
	cancel()
	require.NoError(t, group.Wait())
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state.json")
	require.NoError(t, WriteFile(path, []byte("old"), 0o600))
	require.NoError(t, WriteFile(path, []byte("new"), 0o640))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "new", string(data))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), info.Mode().Perm())

	require.Error(t, WriteFile(filepath.Join(dir, "missing", "x"), nil, 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "taken"), 0o700))
	require.Error(t, WriteFile(filepath.Join(dir, "taken"), []byte("x"), 0o600), "a directory is in the way")
	names, err := filepath.Glob(filepath.Join(dir, ".*"))
	require.NoError(t, err)
	require.Empty(t, names, "no temporary file is left")
}

// lockEnv holds the directory that the second process tries to lock.
const lockEnv = "KOINON_TEST_LOCK"

func TestMain(m *testing.M) {
	if dir := os.Getenv(lockEnv); dir != "" {
		lock, err := LockDir(dir)
		if err != nil {
			_, _ = os.Stdout.WriteString(err.Error())
			os.Exit(3)
		}
		_ = lock.Unlock()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestLockDir(t *testing.T) {
	dir := t.TempDir()
	other := func() (string, error) {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), lockEnv+"="+dir)
		out, err := c.Output()
		return string(out), err
	}
	lock, err := LockDir(dir)
	require.NoError(t, err)
	out, err := other()
	require.Error(t, err)
	require.True(t, strings.Contains(out, "in use by another process") && strings.Contains(out, dir), out)
	_, err = LockDir(dir)
	require.ErrorIs(t, err, ErrLocked, "nor twice in one process")
	require.NoError(t, lock.Unlock())
	require.NoError(t, lock.Unlock())
	_, err = other()
	require.NoError(t, err)
	_, err = LockDir(filepath.Join(dir, "missing"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
