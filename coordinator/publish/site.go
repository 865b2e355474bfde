package publish

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/koinon-eu/koinon/models/card"
	"github.com/koinon-eu/koinon/models/registry"
	"github.com/koinon-eu/koinon/models/release"
)

//go:embed pages
var files embed.FS

// policyHeader lets pages load their own style and script and nothing else.
const policyHeader = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Site serves the pages, the JSON API and the store of releases.
type Site struct {
	source Source
	store  *registry.Store
	log    *slog.Logger
	pages  *template.Template
	mux    *http.ServeMux
}

// New returns the site. store may be nil when nothing is ever released here.
func New(source Source, store *registry.Store, log *slog.Logger) (*Site, error) {
	pages, err := template.New("").Funcs(words).ParseFS(files, "pages/*.html")
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	s := &Site{source: source, store: store, log: log, pages: pages, mux: http.NewServeMux()}
	s.mux.HandleFunc("GET /{$}", s.dashboard)
	s.mux.HandleFunc("GET /releases/{name}", s.release)
	s.mux.HandleFunc("GET /style.css", s.asset("style.css", "text/css; charset=utf-8"))
	s.mux.HandleFunc("GET /live.js", s.asset("live.js", "text/javascript; charset=utf-8"))
	s.mux.HandleFunc("GET /release-key.pem", s.key)
	s.mux.HandleFunc("GET /v1/status", s.json(func(st Status, _ *http.Request) (any, bool) { return st, true }))
	s.mux.HandleFunc("GET /v1/plans", s.json(func(st Status, _ *http.Request) (any, bool) { return st.Plans, true }))
	s.mux.HandleFunc("GET /v1/runs", s.json(func(st Status, _ *http.Request) (any, bool) { return st.Runs, true }))
	s.mux.HandleFunc("GET /v1/runs/{id}", s.json(findRun))
	s.mux.HandleFunc("GET /v1/releases", s.json(func(st Status, _ *http.Request) (any, bool) { return st.Releases, true }))
	s.mux.HandleFunc("GET /v1/releases/{name}", s.json(findRelease))
	if store != nil {
		s.mux.Handle("GET /"+registry.IndexFile, store)
		s.mux.Handle("GET /"+registry.RevocationsFile, store)
		s.mux.Handle("GET /releases/{name}/{file}", store)
	}
	return s, nil
}

// ServeHTTP implements http.Handler.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policyHeader)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if r.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	s.mux.ServeHTTP(w, r)
}

func findRun(st Status, r *http.Request) (any, bool) {
	for _, run := range st.Runs {
		if run.ID == r.PathValue("id") {
			return run, true
		}
	}
	return nil, false
}

func findRelease(st Status, r *http.Request) (any, bool) {
	for _, rel := range st.Releases {
		if rel.Name == r.PathValue("name") {
			return rel, true
		}
	}
	return nil, false
}

func (s *Site) json(pick func(Status, *http.Request) (any, bool)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		v, ok := pick(s.source.Status(), r)
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			v = map[string]string{"error": "not found"}
		}
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		_ = enc.Encode(v) // the reader may have gone
	}
}

func (s *Site) asset(name, kind string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		b, err := files.ReadFile("pages/" + name)
		if err != nil {
			http.Error(w, "internal", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write(b)
	}
}

// key serves the public release key. Whoever pins it has to compare it over another channel first: a key from the web
// site that it is meant to check proves nothing.
func (s *Site) key(w http.ResponseWriter, r *http.Request) {
	pem := s.source.Status().Key
	if pem == "" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/x-pem-file")
	_, _ = w.Write([]byte(pem))
}

func (s *Site) page(w http.ResponseWriter, name string, v any) {
	var b bytes.Buffer
	if err := s.pages.ExecuteTemplate(&b, name, v); err != nil {
		s.log.Error("page not made", "page", name, "error", err)
		http.Error(w, "internal", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(b.Bytes())
}

func (s *Site) dashboard(w http.ResponseWriter, _ *http.Request) {
	s.page(w, "dashboard.html", s.source.Status())
}

// releasePage is what the page of one release shows.
type releasePage struct {
	Status    Status
	Release   Release
	Statement *release.Statement // nil until published
	Card      *card.Record
	Rounds    []roundCount
	Main      []card.Figure // without those of single groups
}

type roundCount struct {
	Kind   string
	Rounds int
	Fewest int
}

func (s *Site) release(w http.ResponseWriter, r *http.Request) {
	st := s.source.Status()
	found, ok := findRelease(st, r)
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		s.page(w, "missing.html", st)
		return
	}
	p := releasePage{Status: st, Release: found.(Release)}
	if s.store != nil && !p.Release.Published.IsZero() {
		if err := p.load(s.store.Root()); err != nil {
			s.log.Error("release not shown", "release", p.Release.Name, "error", err)
			http.Error(w, "internal", http.StatusInternalServerError)
			return
		}
	}
	s.page(w, "release.html", p)
}

// load reads what the signed files of the release say: statement and card alone, since anybody may ask for the page
// and a model is large.
func (p *releasePage) load(root string) error {
	dir := filepath.Join(root, registry.ReleasesFolder, p.Release.Name)
	statement, err := read(filepath.Join(dir, release.StatementFile))
	if err != nil {
		return err
	}
	if p.Statement, err = release.ParseStatement(statement); err != nil {
		return err
	}
	text, err := read(filepath.Join(dir, release.CardFile))
	if err != nil {
		return err
	}
	if p.Card, err = card.Parse(text); err != nil {
		return err
	}
	for _, f := range p.Card.Figures {
		if f.Group == "" {
			p.Main = append(p.Main, f)
		}
	}
	for _, r := range p.Statement.Rounds {
		if n := len(p.Rounds); n == 0 || p.Rounds[n-1].Kind != r.Kind {
			p.Rounds = append(p.Rounds, roundCount{Kind: r.Kind, Fewest: len(r.Survivors)})
		}
		last := &p.Rounds[len(p.Rounds)-1]
		last.Rounds++
		last.Fewest = min(last.Fewest, len(r.Survivors))
	}
	return nil
}

// read reads a file of at most release.MaxStatement bytes.
func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, release.MaxStatement+1))
	if err == nil && len(b) > release.MaxStatement {
		err = fmt.Errorf("%s has more than %d bytes", path, release.MaxStatement)
	}
	return b, err
}

// words are the functions of the templates.
var words = template.FuncMap{
	"date": func(t time.Time) string {
		if t.IsZero() {
			return "–"
		}
		return t.UTC().Format("2 January 2006, 15:04 UTC")
	},
	"stamp": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"short": func(s string) string { return s[:min(len(s), 12)] },
	"bytes": func(n any) string { return byteText(toUint(n)) },
	"secs": func(v float64) string {
		if v < 10 {
			return strconv.FormatFloat(v, 'f', 2, 64) + " s"
		}
		return strconv.FormatFloat(v, 'f', 0, 64) + " s"
	},
	"number": func(v *float64) string {
		if v == nil {
			return "not measured"
		}
		return strconv.FormatFloat(*v, 'f', 4, 64)
	},
	"first": func(n int, rounds []Round) []Round { return rounds[:min(n, len(rounds))] },
	"class": func(state string) string {
		switch state {
		case "pass", "published", "evaluated", "closed", "answered":
			return "pass"
		case "fail", "revoked", "failed", "aborted", "gated":
			return "fail"
		case "running", "open":
			return "live"
		}
		return "lack"
	},
	"phases": func(current string) []phaseMark {
		all := []string{"advertise", "share", "mask", "agree", "unmask"}
		marks := make([]phaseMark, len(all))
		state := "done"
		for i, name := range all {
			marks[i] = phaseMark{Name: name, State: state}
			if name == current {
				marks[i].State, state = "now", "next"
			}
		}
		return marks
	},
	"spaced": func(s string) string { return strings.ReplaceAll(s, "_", " ") },
}

type phaseMark struct{ Name, State string }

func toUint(n any) uint64 {
	switch v := n.(type) {
	case uint64:
		return v
	case int64:
		return uint64(max(v, 0))
	case int:
		return uint64(max(v, 0))
	}
	return 0
}

func byteText(n uint64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n), -1
	for value >= 999.95 && unit < 4 {
		value /= 1000
		unit++
	}
	return fmt.Sprintf("%.1f %cB", value, "kMGTP"[unit])
}
