package main

import (
	"compress/gzip"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/models/registry"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"koinon": main})
}

func TestEveryCommandShowsAnExample(t *testing.T) {
	missing, err := cli.WithoutExample("koinon", &grammar{})
	require.NoError(t, err)
	require.Empty(t, missing)
}

// TestScripts runs the program on a real release, from a real store over TLS.
func TestScripts(t *testing.T) {
	w := newWorld(t)
	store, err := registry.OpenStore(filepath.Join(t.TempDir(), "store"))
	require.NoError(t, err)
	require.NoError(t, store.Put(w.release))
	forests, err := registry.OpenStore(filepath.Join(t.TempDir(), "store"))
	require.NoError(t, err)
	require.NoError(t, forests.Put(w.forest))
	revoked, err := registry.OpenStore(filepath.Join(t.TempDir(), "store"))
	require.NoError(t, err)
	require.NoError(t, revoked.Put(w.release))
	require.NoError(t, revoked.Revoke("document-risk-1", registry.Revocation{Mode: "recall", Reason: "labels were \x1b[31mwrong", Time: "2026-11-25T08:00:00Z"}))
	mux := http.NewServeMux()
	mux.Handle("/", moody(store))
	mux.Handle("/revoked/", http.StripPrefix("/revoked", revoked))
	srv := httptest.NewUnstartedServer(mux)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	w.write(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})))
	w.write(t, "cases.csv", "case,age_days,template\nx1,2400,B\nx2,0,A\nx3,,\nx4,99999,never-seen\n")

	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("TRUST", w.dir)
			env.Setenv("STORE", store.Root())
			env.Setenv("FORESTS", forests.Root())
			env.Setenv("REVOKED", revoked.Root())
			env.Setenv("URL", srv.URL)
			return nil
		},
		Cmds:                map[string]func(ts *testscript.TestScript, neg bool, args []string){"flip": flip, "glob": glob, "gz": gz, "lines": lines, "status": status},
		RequireExplicitExec: true,
	})
}

// moody serves a store under /, and the same with a fault under /FAULT/.
func moody(store http.Handler) http.Handler {
	fault := func(name string, change func(w http.ResponseWriter, good []byte)) (string, http.HandlerFunc) {
		return "/" + name + "/", func(w http.ResponseWriter, req *http.Request) {
			req.URL.Path = strings.TrimPrefix(req.URL.Path, "/"+name)
			if !strings.HasSuffix(req.URL.Path, "model.koinon") {
				store.ServeHTTP(w, req)
				return
			}
			rec := httptest.NewRecorder()
			store.ServeHTTP(rec, req)
			change(w, rec.Body.Bytes())
		}
	}
	mux := http.NewServeMux()
	mux.Handle("/", store)
	mux.HandleFunc(fault("broken", func(w http.ResponseWriter, _ []byte) { http.Error(w, "boom", http.StatusInternalServerError) }))
	mux.HandleFunc(fault("truncated", func(w http.ResponseWriter, good []byte) {
		w.Header().Set("Content-Length", fmt.Sprint(len(good)))
		_, _ = w.Write(good[:len(good)/2])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}))
	mux.HandleFunc(fault("tampered", func(w http.ResponseWriter, good []byte) {
		good[len(good)-1] ^= 1
		_, _ = w.Write(good)
	}))
	mux.HandleFunc(fault("elsewhere", func(w http.ResponseWriter, _ []byte) {
		w.Header().Set("Location", "https://elsewhere.example/model.koinon")
		w.WriteHeader(http.StatusFound)
	}))
	return mux
}

// flip FILE OFFSET changes one bit of a byte; a negative offset counts from
// the end.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	if at < 0 {
		at += len(data)
	}
	data[at] ^= 1
	ts.Check(os.WriteFile(path, data, 0o644))
}

// glob N PATTERN counts files.
func glob(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	found, err := filepath.Glob(ts.MkAbs(args[1]))
	ts.Check(err)
	if len(found) != want {
		ts.Fatalf("%d files are %s, want %d: %v", len(found), args[1], want, found)
	}
}

// gz FROM TO compresses a file.
func gz(ts *testscript.TestScript, _ bool, args []string) {
	data, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	f, err := os.Create(ts.MkAbs(args[1]))
	ts.Check(err)
	w := gzip.NewWriter(f)
	_, err = w.Write(data)
	ts.Check(err)
	ts.Check(w.Close())
	ts.Check(f.Close())
}

// lines N FILE counts lines.
func lines(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := strings.Count(ts.ReadFile(args[1]), "\n"); got != want {
		ts.Fatalf("%s has %d lines, want %d", args[1], got, want)
	}
}

// status N COMMAND… runs a command and compares its exit code.
func status(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}
