package sim

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/koinon-eu/koinon/benchmarks/direct"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"

	"github.com/stretchr/testify/require"
)

// What one member's table holds and nobody else's: each must not leave.
const (
	rareFamily   = "FAMILY-KESTREL-7" // in 12 rows, under the floor of 20: never learnt
	rareOffice   = "OFFICE-OSPREY-3"  // a group value, in 12 rows
	labelText    = "0e-73191504"      // every negative label of the member
	idText       = "FILE-MERLIN-"     // every file number of the member
	sharedFamily = "FAMILY-SPARROW-1" // in every table, far above the floor: learnt, and only from the sum
	markerAge    = float32(7.3894563) // in 60 rows
)

// truthTables gives every member a common family with a long name, and PT the markers.
func truthTables(t testing.TB) []Member {
	members := fiveTables(t)
	for i, name := range five {
		members[i].Table = csvTable(t, uint64(i+1), 300, func(row int, cells []string) {
			if cells[2] == "T01" {
				cells[2] = sharedFamily
			}
			cells[1] = fmt.Sprintf("%.7f", 1+float64(row*1009%7919)/1000+float64(i)/1e4)
			if name != "PT" {
				return
			}
			cells[0] = fmt.Sprintf("%s%06d", idText, row)
			if row%25 == 3 {
				cells[2], cells[7] = rareFamily, "train"
			}
			if row%25 == 4 {
				cells[5], cells[7] = rareOffice, "train"
			}
			if row%5 == 1 {
				cells[1] = "7.3894563"
			}
			if cells[6] == "0" {
				cells[6] = labelText
			}
		})
	}
	return members
}

// secretsOf collects what a member must not send: its table in every form, and its vectors before masking.
func secretsOf(t testing.TB, s *stage, name string) (*patterns, map[uint32]direct.Vector) {
	t.Helper()
	p, vectors := &patterns{}, map[uint32]direct.Vector{}
	var table *feature.Table
	for _, m := range s.cfg.Members {
		if m.Name == name {
			table = m.Table
		}
	}
	for _, text := range []string{rareFamily, rareOffice, labelText, idText, sharedFamily} {
		p.text(text, text)
		p.text(text+" in lower case", strings.ToLower(text))
	}
	ages := table.Number("age")
	for i, age := range ages {
		p.number(fmt.Sprintf("age of row %d", i), age)
		p.text(fmt.Sprintf("file number of row %d", i), table.ID(i))
	}
	p.numbers("ages", ages)
	plainRun(t, s.plan, s.cfg.Members, s.cfg.Seed, func(v direct.Vector) bool {
		if v.Member == name {
			vectors[v.Step.Ordinal] = v
			what := fmt.Sprintf("%s, step %d", v.Step.Kind, v.Step.Ordinal)
			p.words(what, v.Words)
			p.numbers(what, v.Plain.X)
			ints := make([]uint64, len(v.Plain.Ints))
			for i, n := range v.Plain.Ints {
				ints[i] = uint64(n)
			}
			p.words(what, ints)
		}
		return true
	})
	require.Greater(t, p.count, 1000)
	return p, vectors
}

// mayLeave are the messages a node sends in a run without losses, by type.
var mayLeave = []string{
	"hello", "heartbeat", "sync", "approve", "advert", "share", "mask", "chunk", "have", "agree", "unmask", "rounds", "sum", "spot",
}

// TestPacketTruth: "a test captures everything a node sends and shows no feature, label, group value or single update
// in clear; masked vectors pass a uniformity test". A relay that ends TLS on both sides keeps every byte the nodes
// write for a whole plan (statistics, training, evaluation).
func TestPacketTruth(t *testing.T) {
	s := setStage(t, testPlan(t), truthTables(t), nil)
	relays := map[string]*relay{}
	for name, a := range s.actors {
		relays[name] = s.intercept(a)
	}
	s.submit()
	s.playAll()
	r := s.evaluated()
	s.checkSums(r)

	secrets, vectors := secretsOf(t, s, "PT")
	var masked []byte
	for name, a := range s.actors {
		wire := whole(t, a, relays[name])
		for i, text := range relays[name].tapes() {
			require.Empty(t, secrets.in(text), "%s, connection %d", name, i)
			require.LessOrEqual(t, count32(text, markerAge), 3, "%s: float32 of %v", name, markerAge)
		}
		for _, m := range a.wire.Sent() {
			require.Contains(t, mayLeave, m.Type, name)
		}
		for _, block := range wire.headers {
			require.Less(t, len(block), 300, "a header block is no place for data")
		}
		require.Less(t, len(wire.rest), 64<<10)
		masked = append(masked, chunks(t, a)...)
	}

	t.Run("names are learnt from the sum alone", func(t *testing.T) {
		_, machine, err := s.actors["DE"].store.Run(r.ID, s.plan.Learning())
		require.NoError(t, err)
		encoder := fmt.Sprintf("%+v", machine.Encoder())
		require.Contains(t, encoder, sharedFamily)
		for _, rare := range []string{rareFamily, rareOffice} {
			require.NotContains(t, encoder, rare)
		}
	})
	t.Run("masked vectors are uniform", func(t *testing.T) {
		require.Greater(t, len(masked), 1<<19)
		require.NoError(t, uniform(masked))
	})
	t.Run("an unmasked vector would have been found", func(t *testing.T) {
		hay := chunks(t, s.actors["PT"])
		require.Len(t, vectors, 7)
		for ordinal, v := range vectors {
			leak := bytes.Clone(hay)
			for _, w := range v.Words {
				leak = binary.LittleEndian.AppendUint64(leak, w)
			}
			require.NotEmpty(t, secrets.in(leak), "step %d", ordinal)
			if v.Step.Kind != schedule.Train { // there it is a dozen words: too few to judge by their distribution
				require.Error(t, uniform(leak), "step %d", ordinal)
			}
		}
	})
}

// whole checks that the capture above gRPC, the relay below it and the link's own counters agree: nothing left but
// what was recorded, and all of it.
func whole(t testing.TB, a *actor, r *relay) transfer {
	t.Helper()
	var all transfer
	eventually(t, "all that was recorded has left", func() bool {
		all = transfer{}
		for _, text := range r.tapes() {
			one, err := takeApart(text)
			require.NoError(t, err)
			all.messages, all.headers, all.rest = append(all.messages, one.messages...), append(all.headers, one.headers...), append(all.rest, one.rest...)
		}
		return len(all.messages) == len(a.wire.Sent())
	})
	var seen, recorded [][]byte
	var bytesSeen, counted uint64
	for _, m := range all.messages {
		seen, bytesSeen = append(seen, m), bytesSeen+uint64(len(m))
	}
	for _, m := range a.wire.Sent() {
		recorded = append(recorded, m.Bytes)
	}
	slices.SortFunc(seen, bytes.Compare)
	slices.SortFunc(recorded, bytes.Compare)
	require.Equal(t, len(recorded), len(seen))
	for i := range seen {
		require.True(t, bytes.Equal(recorded[i], seen[i]), "message %d differs", i)
	}
	for _, traffic := range a.node.Traffic() {
		counted += traffic.Up
	}
	require.Equal(t, counted, bytesSeen, "bytes that the link counted")
	r.mu.Lock()
	defer r.mu.Unlock()
	require.Len(t, r.sent, r.dials, "every connection went through the relay")
	return all
}

// count32 counts a float32 in either byte order. By chance it stands once in 2^31 bytes; a table in clear would show
// it 60 times.
func count32(b []byte, v float32) int {
	bits := math.Float32bits(v)
	return bytes.Count(b, binary.LittleEndian.AppendUint32(nil, bits)) + bytes.Count(b, binary.BigEndian.AppendUint32(nil, bits))
}
