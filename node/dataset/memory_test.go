package dataset

import (
	"bufio"
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node/train"
)

// heapPeak samples the bytes of the heap until the returned function is called,
// which gives the most that was seen.
func heapPeak() func() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	stop, peak := make(chan struct{}), make(chan uint64)
	go func() {
		most := uint64(0)
		for {
			metrics.Read(sample)
			most = max(most, sample[0].Value.Uint64())
			select {
			case <-stop:
				peak <- most
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	return func() uint64 { close(stop); return <-peak }
}

// wideCSV writes a table of rows × columns random numbers to a file.
func wideCSV(t testing.TB, rows, columns int) (string, *feature.Schema) {
	path, s := filepath.Join(t.TempDir(), "wide.csv"), &feature.Schema{Name: "wide", Label: feature.Label{Column: "y", Positive: "1"}}
	f, err := os.Create(path)
	require.NoError(t, err)
	w := bufio.NewWriterSize(f, 1<<16)
	w.WriteString("y")
	for i := range columns {
		s.Columns = append(s.Columns, feature.Column{Name: "x" + strconv.Itoa(i), Type: feature.TypeNumber, Range: &[2]float64{-10, 10}})
		w.WriteString(",x" + strconv.Itoa(i))
	}
	r := rand.New(rand.NewPCG(1, 7))
	for range rows {
		w.WriteString("\n" + strconv.Itoa(r.IntN(2)))
		for range columns {
			w.WriteByte(',')
			w.Write(strconv.AppendInt(w.AvailableBuffer(), r.Int64N(19)-9, 10))
			w.WriteByte('.')
			w.Write(strconv.AppendInt(w.AvailableBuffer(), r.Int64N(1000), 10))
		}
	}
	w.WriteByte('\n')
	require.NoError(t, w.Flush())
	require.NoError(t, f.Close())
	return path, s
}

// TestMemoryIsBounded: with a cache, reading, statistics, encoding and training
// leave the columns and the encoded rows on the disk. KOINON_LONG takes a table
// ten times as long and the same heap but for what docs/operate-node.md says of
// a row.
func TestMemoryIsBounded(t *testing.T) {
	rows, columns := 120_000, 30
	if os.Getenv("KOINON_LONG") != "" {
		rows *= 10
	}
	path, s := wideCSV(t, rows, columns)
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	run := func(o Options, scratch train.Scratch) (used uint64, params []float32) {
		runtime.GC()
		start := heapPeak()()
		peak := heapPeak()
		table, _, err := OpenNamed(path, s, o)
		require.NoError(t, err)
		machine, err := schedule.New(schedule.Config{
			Schema: s, Architecture: arch.Spec{Kind: arch.MLP, Hidden: []int{8}}, Members: 3, Seed: 1,
			Algorithm: aggregate.Spec{Name: aggregate.FedAvg, Rounds: 1, LocalEpochs: 1, Batch: 512, LocalRate: .01},
		})
		require.NoError(t, err)
		member := train.NewMember(table)
		member.SetScratch(scratch)
		for {
			step, more := machine.Next()
			if !more || step.Kind == schedule.Evaluate {
				break
			}
			v, err := member.Local(machine, step, rand.NewChaCha8([32]byte{1}))
			require.NoError(t, err)
			words, err := step.Encoding.Encode(v.X, v.Ints, v.Rows, rand.NewChaCha8([32]byte{2}))
			require.NoError(t, err)
			for i := range words { // three members with the same table
				words[i] *= 3
			}
			require.NoError(t, machine.Apply(words, 3))
		}
		require.NoError(t, member.Close())
		return max(peak(), start) - start, machine.Params()
	}
	dir := filepath.Join(t.TempDir(), "cache")
	cache := &Cache{Dir: dir, block: 1 << 20}
	bounded, params := run(Options{Cache: cache}, newScratch(dir, 0))
	again, same := run(Options{Cache: cache}, newScratch(dir, 0))
	inMemory, want := run(Options{}, nil)
	require.Equal(t, want, params, "the same model to the last bit")
	require.Equal(t, want, same)
	table := uint64(4 * rows * columns)
	t.Logf("table of %d MB: heap %d MB at most from the source, %d MB from the cache; in memory %d MB", table>>20, bounded>>20, again>>20, inMemory>>20)
	fixed, perRow := uint64(16<<20), uint64(8)
	require.Less(t, bounded, fixed+perRow*uint64(rows))
	require.Less(t, again, fixed+perRow*uint64(rows))
	require.Greater(t, inMemory, max(bounded, again)+table, "the measurement can tell")
}

// sink keeps the compiler from leaving out what nobody looks at.
var sink atomic.Int64

// BenchmarkOpen reads 30 columns of numbers; KOINON_LONG takes 300,000 rows.
// koinon-bench data prints the same by CPU time.
func BenchmarkOpen(b *testing.B) {
	rows, columns := 30_000, 30
	if os.Getenv("KOINON_LONG") != "" {
		rows *= 10
	}
	text, s := wideCSV(b, rows, columns)
	binary, bs := numbersFile(b, rows, columns)
	for _, c := range []struct {
		name, path string
		s          *feature.Schema
		cache      *Cache
	}{
		{"csv", text, s, nil},
		{"parquet", binary, bs, nil},
		{"cache", text, s, &Cache{Dir: filepath.Join(b.TempDir(), "cache")}},
	} {
		b.Run(c.name, func(b *testing.B) {
			_, _, err := OpenNamed(c.path, c.s, Options{Cache: c.cache})
			require.NoError(b, err)
			for b.Loop() {
				t, _, err := OpenNamed(c.path, c.s, Options{Cache: c.cache})
				require.NoError(b, err)
				sink.Add(int64(t.Rows()))
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// TestManyCategories: 100,000 names are read, cached and counted.
func TestManyCategories(t *testing.T) {
	s, err := feature.ParseSchema([]byte(idSchema))
	require.NoError(t, err)
	var b bytes.Buffer
	b.WriteString("id,y,a,b,c,d\n")
	for i := range 100_000 {
		b.WriteString("p" + strconv.Itoa(i) + ",1,1,name " + strconv.Itoa(i) + ",u,\n")
	}
	path := file(t, "x.csv", b.Bytes())
	cache := &Cache{Dir: filepath.Join(t.TempDir(), "cache")}
	for range 2 {
		table, _, err := OpenNamed(path, s, Options{Cache: cache})
		require.NoError(t, err)
		_, names := table.Category("b")
		require.Len(t, names, 100_000)
		_, err = feature.NewStatistics(s).Count(table)
		require.NoError(t, err)
	}
	r, err := Check(path, s, Options{})
	require.NoError(t, err)
	require.True(t, r.OK())
	require.Equal(t, 100_000, r.Columns[1].Distinct)
	require.Contains(t, r.Notes, "column b holds 100000 values: at most 4096 are learnt, each in 20 rows of the whole cohort at least; the rest count as unknown")
}
