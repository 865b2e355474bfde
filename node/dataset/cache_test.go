package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/benchmarks/synth"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/node/dataset/parquet"
)

// requireSame compares two tables by what they hold.
func requireSame(t testing.TB, want, got *feature.Table) {
	a, b := want.Columns(), got.Columns()
	require.Len(t, b.Numbers, len(a.Numbers))
	for name, v := range a.Numbers {
		require.Len(t, b.Numbers[name], len(v))
		for i, x := range v {
			require.Equal(t, math.Float32bits(x), math.Float32bits(b.Numbers[name][i]), "%s, row %d", name, i)
		}
	}
	a.Numbers, b.Numbers = nil, nil
	require.Equal(t, a, b)
}

func cached(t *testing.T) (c *Cache, log *bytes.Buffer, files func() []string) {
	log = new(bytes.Buffer)
	c = &Cache{Dir: filepath.Join(t.TempDir(), "cache"), Log: slog.New(slog.NewTextHandler(log, nil)), block: 1}
	return c, log, func() []string {
		all, err := os.ReadDir(c.Dir)
		require.NoError(t, err)
		var names []string
		for _, e := range all {
			names = append(names, e.Name())
		}
		return names
	}
}

// TestCache: the same table comes out of the cache, in blocks or not, as long as
// the source and the schema are the same.
func TestCache(t *testing.T) {
	s := synth.Schema()
	text := append(bytes.Clone(polish(t)), bytes.SplitAfterN(polish(t), []byte("\n"), 2)[1]...) // more than one block
	want, err := Open(file(t, "pl.csv", text), s)
	require.NoError(t, err)
	for name, content := range map[string][]byte{"pl.csv": text, "pl.csv.gz": zip(t, text)} {
		t.Run(name, func(t *testing.T) {
			c, log, files := cached(t)
			path := file(t, name, content)
			first, named, err := OpenNamed(path, s, Options{Cache: c})
			require.NoError(t, err)
			requireSame(t, want, first)
			require.Len(t, files(), 1)
			info, err := os.Stat(filepath.Join(c.Dir, files()[0]))
			require.NoError(t, err)
			require.Equal(t, fs.FileMode(0o600), info.Mode())
			require.NotContains(t, log.String(), "taken from the cache")

			again, name2, err := OpenNamed(path, s, Options{Cache: c})
			require.NoError(t, err)
			requireSame(t, want, again)
			require.Equal(t, named, name2)
			require.Contains(t, log.String(), "taken from the cache")
			_, name3, err := OpenNamed(path, s, Options{})
			require.NoError(t, err)
			require.Equal(t, named, name3, "the name does not depend on the cache")

			other := synth.Schema()
			other.Name = "other"
			_, _, err = OpenNamed(path, other, Options{Cache: c})
			require.NoError(t, err)
			require.Len(t, files(), 2, "one file a schema")
			require.NoError(t, os.WriteFile(path, zipAs(t, name, polish(t)), 0o600))
			small, _, err := OpenNamed(path, s, Options{Cache: c})
			require.NoError(t, err)
			require.Equal(t, 2000, small.Rows())
			require.Len(t, files(), 1, "those of the old content are gone")
			requireSame(t, want, again)
		})
	}
}

func zipAs(t *testing.T, name string, text []byte) []byte {
	if strings.HasSuffix(name, ".gz") {
		return zip(t, text)
	}
	return text
}

const idSchema = "name: x\nid: id\nlabel: {column: y, positive: \"1\"}\ncolumns:\n  a: {type: number}\n  b: {type: category}\n  c: {type: category, values: [u, v]}\n  d: {type: boolean}\n"

func idTable(rows int) []byte {
	var b bytes.Buffer
	b.WriteString("id,y,a,b,c,d,rest\n")
	for i := range rows {
		fmt.Fprintf(&b, "p%d,%d,%d,v%d,%s,%d,\n", i, i%2, i, i%999, string("uv"[i%2]), i/2%2)
	}
	return b.Bytes()
}

// TestCacheDamaged: a file that is not what was written is refused, and the
// source is read again.
func TestCacheDamaged(t *testing.T) {
	s, err := feature.ParseSchema([]byte(idSchema))
	require.NoError(t, err)
	c, log, files := cached(t)
	path := file(t, "x.csv", idTable(3000)) // blocks of 1024 rows
	want, err := Open(path, s)
	require.NoError(t, err)
	open := func() {
		got, _, err := OpenNamed(path, s, Options{Cache: c})
		require.NoError(t, err)
		requireSame(t, want, got)
		require.Equal(t, "p2999", got.ID(2999))
	}
	open()
	name := filepath.Join(c.Dir, files()[0])
	whole, err := os.ReadFile(name)
	require.NoError(t, err)
	for _, at := range []int{0, 17, 21, 25, 40, 70, 100, 130, 700, len(whole) / 2, len(whole) - 1} {
		b := bytes.Clone(whole)
		b[at] ^= 4
		replace(t, name, b)
		log.Reset()
		open()
		require.Contains(t, log.String(), "refused", "byte %d", at)
	}
	for _, b := range [][]byte{nil, whole[:100], whole[:len(whole)-64]} {
		replace(t, name, b)
		log.Reset()
		open()
		require.Contains(t, log.String(), "refused")
	}
	replace(t, name, whole)
	log.Reset()
	open()
	require.NotContains(t, log.String(), "refused")
	require.Len(t, files(), 1, "nothing else is left behind")
}

// replace puts a file in the place of another, which may be mapped.
func replace(t *testing.T, name string, b []byte) {
	require.NoError(t, os.WriteFile(name+"~", b, 0o600))
	require.NoError(t, os.Rename(name+"~", name))
}

// TestCacheBounds: a table that does not fit is refused, a wrong one is not
// kept, and neither leaves anything.
func TestCacheBounds(t *testing.T) {
	s, err := feature.ParseSchema([]byte(idSchema))
	require.NoError(t, err)
	c, _, files := cached(t)
	c.Max = 20_000
	path := file(t, "x.csv", idTable(3000))
	_, _, err = OpenNamed(path, s, Options{Cache: c})
	require.ErrorIs(t, err, ErrCacheFull)
	require.Empty(t, files())
	c.Max = 0
	wrong := file(t, "x.csv", append(idTable(3000), "q,1,x,,u,0,\n"...))
	_, _, err = OpenNamed(wrong, s, Options{Cache: c})
	var de *feature.DataError
	require.ErrorAs(t, err, &de)
	require.Equal(t, []feature.FieldError{{Line: 3002, Column: "a", Reason: `"x" is not a number`}}, de.Errors)
	require.Empty(t, files())
	c.Max = 150_000 // one table, not two
	_, _, err = OpenNamed(path, s, Options{Cache: c})
	require.NoError(t, err)
	other := *s
	other.Name = "other"
	_, _, err = OpenNamed(path, &other, Options{Cache: c})
	require.NoError(t, err)
	require.Len(t, files(), 1, "the older one made room")
	c.Dir = filepath.Join(path, "cache")
	_, _, err = OpenNamed(path, s, Options{Cache: c})
	require.ErrorContains(t, err, "cache: ")
}

// TestChanged: a table that is written to while it is read is refused, whatever
// its times say.
func TestChanged(t *testing.T) {
	s, err := feature.ParseSchema([]byte(idSchema))
	require.NoError(t, err)
	for name, change := range map[string]func(path string) error{
		"longer": func(path string) error {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString("q,1,1,,u,0,\n")
			return errors.Join(err, f.Close())
		},
		"same length": func(path string) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt([]byte("q"), 18)
			return errors.Join(err, f.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := file(t, "x.csv", idTable(30_000))
			f, err := open(path, Options{})
			require.NoError(t, err)
			defer f.Close()
			f.named = true
			_, digest, err := f.parse(Options{}, func(src feature.Source) (*feature.Table, error) {
				return feature.Read(src, s, feature.Limits{})
			})
			require.NoError(t, err)
			require.NoError(t, f.unchanged(digest))
			_, _, err = f.parse(Options{}, func(src feature.Source) (*feature.Table, error) {
				tab, err := feature.Read(src, s, feature.Limits{})
				return tab, errors.Join(err, change(path))
			})
			require.ErrorIs(t, err, ErrChanged)
		})
	}
}

func numbersFile(t testing.TB, rows, columns int) (path string, s *feature.Schema) {
	s = &feature.Schema{Name: "n", Label: feature.Label{Column: "y", Positive: "1"}}
	var names []string
	for i := range columns {
		names = append(names, fmt.Sprintf("x%03d", i))
		s.Columns = append(s.Columns, feature.Column{Name: names[i], Type: feature.TypeNumber})
	}
	path = filepath.Join(t.TempDir(), "n.parquet")
	f, err := os.Create(path)
	require.NoError(t, err)
	r := rand.New(rand.NewPCG(1, 7))
	require.NoError(t, parquet.WriteNumbers(f, names, rows, func(x []float32) int32 {
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		return r.Int32N(2)
	}))
	require.NoError(t, f.Close())
	return path, s
}

func TestParquetCached(t *testing.T) {
	path, s := numbersFile(t, 3000, 3)
	want, err := Open(path, s)
	require.NoError(t, err)
	c, log, _ := cached(t)
	for range 2 {
		got, _, err := OpenNamed(path, s, Options{Cache: c})
		require.NoError(t, err)
		requireSame(t, want, got)
	}
	require.Contains(t, log.String(), "taken from the cache")
	r, err := Check(path, s, Options{})
	require.NoError(t, err)
	require.True(t, r.OK())
	s.Columns[0].Range = &[2]float64{-1, 1}
	r, err = Check(path, s, Options{Limits: feature.Limits{Errors: 1}})
	require.NoError(t, err)
	require.Regexp(t, `^row \d+, column x000: .* is outside the range -1 to 1$`, r.Errors[0].Error())
}

func TestScratch(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "scratch")
	for _, least := range []int{0, 1 << 20} {
		x, c, release, err := newScratch(dir, least)(1000, 10)
		require.NoError(t, err)
		require.Len(t, x, 1000)
		require.Len(t, c, 10)
		require.Zero(t, x[999])
		require.Zero(t, c[0])
		x[999], c[0] = 1, 2
		require.Equal(t, float32(1), x[999])
		require.NoError(t, release())
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
	_, _, _, err = newScratch("/dev/null/x", 0)(10, 10)
	require.ErrorContains(t, err, "encoded rows")
}

// FuzzCacheFile: whatever lies behind a right sum, it gives an error or a table
// whose columns are whole.
func FuzzCacheFile(f *testing.F) {
	s, err := feature.ParseSchema([]byte(idSchema))
	require.NoError(f, err)
	path := filepath.Join(f.TempDir(), "x.csv")
	require.NoError(f, os.WriteFile(path, idTable(9), 0o600))
	c := &Cache{Dir: filepath.Join(f.TempDir(), "cache")}
	_, digest, err := OpenNamed(path, s, Options{Cache: c})
	require.NoError(f, err)
	b, err := os.ReadFile(c.path(digest, s))
	require.NoError(f, err)
	n := bytes.LastIndexByte(b[headBytes:], '}') + 1
	f.Add(b, n)
	f.Add(b[:len(b)-64], n)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		if n < 0 || n > len(b)-headBytes {
			return
		}
		words := make([]uint64, len(b)/8+1) // where a mapping would begin
		copy(raw(words), b)
		tab, err := parseCache(raw(words)[:len(b)], n, s)
		if err != nil {
			return
		}
		for row := range tab.Rows() {
			_ = tab.ID(row)
			for _, name := range []string{"b", "c", "d"} {
				codes, names := tab.Category(name)
				require.Less(t, int(codes[row]), len(names))
			}
		}
		_, err = feature.NewStatistics(s).Count(tab)
		require.NoError(t, err)
	})
}
