package sim

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/koinon-eu/koinon/benchmarks/direct"
	"github.com/koinon-eu/koinon/coordinator"
	"github.com/koinon-eu/koinon/coordinator/journal"
	"github.com/koinon-eu/koinon/coordinator/journal/sqlite"
	"github.com/koinon-eu/koinon/coordinator/round"
	"github.com/koinon-eu/koinon/crypto/leaktest"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/deploy/service"
	"github.com/koinon-eu/koinon/node"
	"github.com/koinon-eu/koinon/node/budget"
	"github.com/koinon-eu/koinon/node/link"

	"github.com/stretchr/testify/require"
)

// leaky is a federation whose every trace is kept: nodes on state directories, a journal in a file, metrics, logs.
type leaky struct {
	*stage
	tap     *randomTap
	logs    logs
	folder  string
	path    string // of the journal
	metrics map[string]*service.Metrics
}

func newLeaky(t *testing.T) *leaky {
	l := &leaky{tap: tapRandom(t), folder: t.TempDir(), metrics: map[string]*service.Metrics{}}
	l.path = filepath.Join(l.folder, "journal.db")
	file, err := sqlite.Open(l.path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = file.Close() })
	l.metrics["coordinator"] = service.NewMetrics("koinon-coordinator", "test")
	l.stage = setStage(t, testPlan(t, "rounds: 3", "rounds: 4"), truthTables(t), func(c *coordinator.Config) {
		c.Journal, c.Log, c.Metrics = file, l.logs.logger(false), l.metrics["coordinator"]
	})
	l.journal = file
	_, newest := l.simulation.coordinator.Book().Roster()
	for name, a := range l.actors {
		d := node.Dir(filepath.Join(l.folder, "nodes", name))
		require.NoError(t, d.Make())
		require.NoError(t, d.AcceptRoster(newest))
		l.metrics[name] = service.NewMetrics("koinon-node", "test")
		a.config.Log, a.config.Metrics = l.logs.logger(true).With("member", name), l.metrics[name]
		ledger, err := budget.Open(d.BudgetPath(), a.config.Log)
		require.NoError(t, err)
		t.Cleanup(func() { _ = ledger.Close() })
		a.config.Store, a.config.Ledger = d, ledger
	}
	return l
}

// traces returns everything that outlives the run or is shown, by where it is.
func (l *leaky) traces(r coordinator.Run) map[string][]byte {
	l.t.Helper()
	all := l.files()
	all["logs"] = l.logs.bytes()
	for name, m := range l.metrics {
		page := httptest.NewRecorder()
		m.Handler().ServeHTTP(page, httptest.NewRequestWithContext(l.t.Context(), "GET", "/metrics", nil))
		require.Equal(l.t, 200, page.Code)
		all["metrics of "+name] = page.Body.Bytes()
	}
	for name, a := range l.actors {
		var b bytes.Buffer
		for _, err := range a.left() {
			b.Write(leaktest.Render(err))
		}
		b.Write(leaktest.Render(a.node))
		b.Write(leaktest.Render(a.config))
		all["errors and state of "+name] = b.Bytes()
		for i, m := range a.wire.Sent() {
			all[fmt.Sprintf("%s sends %d, %s", name, i, m.Type)] = m.Bytes
		}
	}
	all["state of the coordinator"] = append(leaktest.Render(l.simulation.coordinator), leaktest.Render(r)...)
	require.NoError(l.t, l.journal.Read(l.t.Context(), 1, func(rec journal.Record) error {
		all[fmt.Sprintf("journal record %d, %s", rec.Seq, rec.Kind)] = rec.Body
		return nil
	}))
	return all
}

// files returns every file of the journal and of the state directories.
func (l *leaky) files() map[string][]byte {
	all := map[string][]byte{}
	require.NoError(l.t, filepath.WalkDir(l.folder, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			all[path], err = os.ReadFile(path)
		}
		return err
	}))
	return all
}

// batch is what the seeds of one round follow from, besides ρ.
type batch struct {
	number   uint32
	spec, h1 []byte
	whole    bool // every member survived: no pair's seed was opened
}

// batches reads the rounds back from the journal and computes h1 as docs/protocol.md has it.
func (l *leaky) batches(r coordinator.Run) (list []batch) {
	l.t.Helper()
	adverts, known := map[uint8][]byte{}, map[uint32]int{}
	require.NoError(l.t, l.journal.Read(l.t.Context(), 1, func(rec journal.Record) error {
		if !strings.HasPrefix(rec.Kind, "round-") {
			return nil
		}
		v, err := round.DecodeRecord(rec.Kind, rec.Body)
		if err != nil {
			return err
		}
		switch {
		case v.Kind == round.KindOpened:
			spec, err := secagg.ParseSpec(v.Frames[0].Body)
			if err != nil {
				return err
			}
			digest := spec.Digest()
			clear(adverts)
			known[v.Round] = len(list)
			list = append(list, batch{number: v.Round, spec: digest[:]})
		case v.Kind == round.KindPacket && v.Frames[0].Type == secagg.TypeAdvert:
			adverts[v.Member] = append(bytes.Clone(v.Frames[0].Body), v.Frames[0].Signature...)
		case v.Kind == round.KindPhase && v.Phase == round.Advertise:
			b := &list[known[v.Round]]
			u1 := secagg.Set(*v.Set)
			parts := [][]byte{b.spec, u1[:]}
			for _, i := range u1.Members() {
				parts = append(parts, adverts[i])
			}
			b.h1 = digestH("h1", parts...)
		}
		return nil
	}))
	for _, round := range r.Rounds {
		if at, opened := known[round.Number]; opened {
			list[at].whole = round.Survivors.Len() == 5
		}
	}
	return list
}

// digestH is H of S1, and derived HKDF of S13: the test derives what must not show by itself.
func digestH(tag string, parts ...[]byte) []byte {
	tag = "koinon/secagg/v1/" + tag
	b := append([]byte{byte(len(tag))}, tag...)
	for _, p := range parts {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(p))), p...)
	}
	d := sha256.Sum256(b)
	return d[:]
}

func derived(t testing.TB, secret, salt []byte, label string, numbers ...byte) []byte {
	out, err := hkdf.Key(sha256.New, secret, salt, "koinon/secagg/v1/"+label+string(numbers), 32)
	require.NoError(t, err)
	return out
}

// secrets are all keys that were drawn and what follows from them. opened are the seeds that a closed round publishes.
func (l *leaky) secrets(r coordinator.Run) (kept, opened *leaktest.Scanner) {
	l.t.Helper()
	kept, opened = &leaktest.Scanner{}, &leaktest.Scanner{}
	l.tap.mu.Lock()
	defer l.tap.mu.Unlock()
	for what, drawn := range l.tap.drawn {
		for i, secret := range drawn {
			kept.Add(fmt.Sprintf("%s %d", what, i), secret)
		}
	}
	for name, a := range l.actors {
		c, err := a.config.TLS.GetClientCertificate(nil)
		require.NoError(l.t, err)
		private, err := c.PrivateKey.(*ecdsa.PrivateKey).Bytes()
		require.NoError(l.t, err)
		kept.Add("TLS key of "+name, private)
	}
	batches := l.batches(r)
	for i, rho := range l.tap.drawn["rho"] {
		for _, b := range batches {
			name := func(what string, a ...any) string {
				return fmt.Sprintf("%s of ρ %d and round %d", fmt.Sprintf(what, a...), i, b.number)
			}
			kept.Add(name("KEM seed"), derived(l.t, rho, b.spec, "kem"))
			kept.Add(name("rounding key"), derived(l.t, rho, b.h1, "round", 0, 1))
			opened.Add(name("self seed"), derived(l.t, rho, b.h1, "seed/self", 0, 1))
			for j := byte(1); j <= 5; j++ {
				kept.Add(name("coefficients' key %d", j), derived(l.t, rho, b.h1, "shamir", 0, 1, j))
				if b.whole {
					kept.Add(name("pair seed %d", j), derived(l.t, rho, b.h1, "seed/pair", 0, 1, j))
				}
			}
		}
	}
	return kept, opened
}

// rows collects what only PT's table and plain vectors hold.
func (l *leaky) rows(r coordinator.Run) *patterns {
	l.t.Helper()
	p := &patterns{}
	for _, text := range []string{rareFamily, rareOffice, labelText, idText} {
		p.text(text, text)
	}
	for _, m := range l.cfg.Members {
		if m.Name == "PT" {
			p.numbers("ages", m.Table.Number("age"))
			p.text("age", "7.3894563")
		}
	}
	in := map[uint32]secagg.Set{} // by step
	for _, round := range r.Rounds {
		if round.Outcome == "closed" {
			in[round.Step] = round.Survivors
		}
	}
	plainRun(l.t, l.plan, l.cfg.Members, l.cfg.Seed, func(v direct.Vector) bool {
		if v.Member == "PT" {
			what := fmt.Sprintf("%s, step %d", v.Step.Kind, v.Step.Ordinal)
			p.words(what, v.Words)
			p.numbers(what, v.Plain.X)
			if n := v.Plain.Ints; len(n) >= 8 {
				p.text(what+", numbers", strings.Trim(fmt.Sprint(n), "[]"))
			}
		}
		return in[v.Step.Ordinal].Has(memberIndex(v.Member))
	})
	require.Greater(l.t, p.count, 100)
	return p
}

func memberIndex(name string) uint8 {
	for i, n := range five {
		if n == name {
			return uint8(i + 1)
		}
	}
	return 0
}

// TestNoSecretLeaks: after a run with a dropout, no secret of any round, no key, no row and no plain vector stands in a
// log, an error, the journal, a state directory, a metrics page, a printed state or on the wire, in any form. The self
// seeds of survivors do stand in the journal, where the protocol publishes them: the search is not blind. The same
// search finds each kind of secret where one is planted.
func TestNoSecretLeaks(t *testing.T) {
	l := newLeaky(t)
	fr := l.actors["FR"]
	dead := l.dieBeforeMask(fr, 5)
	l.submit()
	l.playAll()
	l.until("a round closes without FR", without)
	<-dead
	fr.stop()
	l.metrics["FR again"] = service.NewMetrics("koinon-node", "test")
	fr.config.Metrics = l.metrics["FR again"]
	fr.play()
	r := l.evaluated()
	require.True(t, without(r))
	for name, a := range l.actors {
		d := a.config.Store.(node.Dir)
		eventually(t, name+" has the last sum", func() bool {
			runs, err := d.Runs(l.plan.Digest())
			return err == nil && len(runs) == 1 && runs[0].Done
		})
		a.stop()
	}

	traces := l.traces(r)
	kept, opened := l.secrets(r)
	rows := l.rows(r)
	batches := len(l.batches(r))
	require.GreaterOrEqual(t, len(l.tap.drawn["rho"]), 5*batches-1)
	require.Len(t, l.tap.drawn["invite"], 5)
	require.GreaterOrEqual(t, len(l.tap.drawn["identity key"]), 5)
	require.Contains(t, string(traces["logs"]), "level=INFO")
	require.Greater(t, len(traces), 200)
	published := 0
	for where, text := range traces {
		require.Empty(t, kept.Find(text), where)
		require.Empty(t, rows.in(text), where)
		if seeds := opened.Find(text); strings.HasPrefix(where, "journal record") {
			published += len(seeds)
		} else if !strings.Contains(where, "journal.db") {
			require.Empty(t, seeds, where)
		}
	}
	require.GreaterOrEqual(t, published, 5*batches-1)
	l.plant(kept, rows)
}

// dieBeforeMask makes a node vanish in the first round from that number on, when it has shared its seeds and is to mask.
func (l *leaky) dieBeforeMask(a *actor, from uint32) (dead <-chan struct{}) {
	gone, once, received := make(chan struct{}), sync.Once{}, a.config.Received
	a.config.Received = func(m link.Message) {
		received(m)
		if m.Round >= from && (m.Type == "share" || m.Type == "sum") {
			once.Do(func() {
				a.die()
				close(gone)
			})
		}
	}
	return gone
}

// without reports whether a round was closed by four members.
func without(r coordinator.Run) bool {
	for _, round := range r.Rounds {
		if round.Outcome == "closed" && round.Survivors.Len() == 4 {
			return true
		}
	}
	return false
}

// plant leaks one secret of each kind in the way a careless line would, and wants each found.
func (l *leaky) plant(kept *leaktest.Scanner, rows *patterns) {
	l.t.Helper()
	rho, key := l.tap.drawn["rho"][3], l.tap.drawn["identity key"][1]
	log := l.logs.logger(true)
	for name, careless := range map[string]func(){
		"slog, bytes":        func() { log.Debug("round", "rho", rho) },
		"slog, array":        func() { log.Debug("round", "rho", [32]byte(rho)) },
		"slog, hex":          func() { log.Debug("round", "rho", hex.EncodeToString(rho[:8])) },
		"text log, verb":     func() { l.logs.logger(false).Info(fmt.Sprintf("key %v", key)) },
		"error":              func() { log.Error("cannot sign", "err", fmt.Errorf("bad key %x", key)) },
		"struct of the node": func() { log.Debug("config", "value", struct{ Seed []byte }{key}) },
	} {
		before := len(l.logs.bytes())
		careless()
		require.NotEmpty(l.t, kept.Find(l.logs.bytes()[before:]), name)
	}
	require.NoError(l.t, os.WriteFile(filepath.Join(l.folder, "nodes", "PT", "runs", "rho"), rho, 0o600))
	found := 0
	for _, text := range l.files() {
		found += len(kept.Find(text))
	}
	require.NotZero(l.t, found)
	require.NotEmpty(l.t, rows.in([]byte("row "+idText+"000007")))
}
