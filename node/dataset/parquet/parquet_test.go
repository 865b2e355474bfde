package parquet

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	lib "github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/feature"
)

// record has a column of every type that is read. A pointer may be null.
type record struct {
	ID     string    `parquet:"id"`
	Y      int32     `parquet:"y"`
	Float  float32   `parquet:"float"`
	Double *float64  `parquet:"double,optional"`
	Maybe  *float32  `parquet:"maybe,optional,dict"`
	Int    *int64    `parquet:"int,optional"`
	Small  uint8     `parquet:"small"`
	Big    uint64    `parquet:"big"`
	Price  int64     `parquet:"price,decimal(2:18)"`
	Bool   *bool     `parquet:"bool,optional"`
	Town   *string   `parquet:"town,optional,dict"`
	Plain  string    `parquet:"plain"`
	Code   int32     `parquet:"code,dict"`
	Day    int32     `parquet:"day,date"`
	At     time.Time `parquet:"at,timestamp(microsecond)"`

	// The same again in other encodings.
	Float2 float32 `parquet:"float2,split"`
	Int2   int64   `parquet:"int2,delta"`
	Code2  int32   `parquet:"code2,delta"`
	Plain2 string  `parquet:"plain2,plain"`
	Plain3 string  `parquet:"plain3,delta"`
	ID2    string  `parquet:"id2,delta"`
}

const allTypes = `name: all
id: id
label: {column: y, positive: "1"}
split: {column: day, train_until: "2025-01-01"}
columns:
  float: {type: number}
  double: {type: number}
  maybe: {type: number}
  int: {type: number}
  small: {type: number}
  big: {type: number}
  price: {type: number}
  bool: {type: boolean}
  town: {type: category}
  plain: {type: category}
  code: {type: category}
  float2: {type: number}
  int2: {type: number}
  code2: {type: number}
  plain2: {type: category}
  plain3: {type: category}
  id2: {type: category}
`

func schemaOf(t testing.TB, text string) *feature.Schema {
	s, err := feature.ParseSchema([]byte(text))
	require.NoError(t, err)
	return s
}

// records makes rows and the CSV file that says the same.
func records(n int, seed uint64) ([]record, string) {
	r := rand.New(rand.NewPCG(seed, 3))
	var b strings.Builder
	b.WriteString("id,y,float,double,maybe,int,small,big,price,bool,town,plain,code,day,at,float2,int2,code2,plain2,plain3,id2\n")
	out := make([]record, n)
	for i := range out {
		x := record{ID: fmt.Sprintf("case-%d", i), Y: r.Int32N(2), Float: float32(r.NormFloat64()), Small: uint8(r.Uint32()), Big: r.Uint64()}
		x.Price, x.Plain, x.Code, x.Day = r.Int64N(1<<30)-1<<29, strings.Repeat("é", r.IntN(4)), r.Int32N(7), 20000+r.Int32N(300)
		x.At = time.Unix(r.Int64N(2e9), 0).UTC()
		fields := []string{x.ID, fmt.Sprint(x.Y), strconv.FormatFloat(float64(x.Float), 'g', -1, 32), "", "", "", fmt.Sprint(x.Small), fmt.Sprint(x.Big), "", "", "", x.Plain, fmt.Sprint(x.Code), "", ""}
		if r.IntN(3) > 0 {
			v := r.NormFloat64()
			x.Double, fields[3] = &v, strconv.FormatFloat(float64(float32(v)), 'g', -1, 32)
		}
		if r.IntN(50) > 0 {
			v := float32(r.IntN(9))
			x.Maybe, fields[4] = &v, fmt.Sprint(v)
		}
		if i > n/2 && r.IntN(2) > 0 { // the first pages are all null
			v := r.Int64() >> 20
			x.Int, fields[5] = &v, fmt.Sprint(v)
		}
		sign := ""
		if x.Price < 0 {
			sign = "-"
		}
		cents := max(x.Price, -x.Price)
		fields[8] = fmt.Sprintf("%s%d.%02d", sign, cents/100, cents%100)
		if r.IntN(4) > 0 {
			v := r.IntN(2) > 0
			x.Bool, fields[9] = &v, fmt.Sprint(v)
		}
		if r.IntN(9) > 0 {
			v := "town " + fmt.Sprint(r.IntN(40))
			x.Town, fields[10] = &v, v
		}
		fields[13] = time.Unix(0, 0).UTC().AddDate(0, 0, int(x.Day)).Format(time.DateOnly)
		fields[14] = x.At.Format(time.DateOnly)
		x.Float2, x.Int2, x.Code2, x.Plain2, x.Plain3, x.ID2 = x.Float, int64(x.Big), x.Code, x.Plain, x.Plain, x.ID
		fields = append(fields, fields[2], fmt.Sprint(int64(x.Big)), fields[12], fields[11], fields[11], fields[0])
		b.WriteString(strings.Join(fields, ",") + "\n")
		out[i] = x
	}
	return out, b.String()
}

func write[T any](t testing.TB, rows []T, options ...lib.WriterOption) []byte {
	var b bytes.Buffer
	w := lib.NewGenericWriter[T](&b, options...)
	_, err := w.Write(rows)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func read(b []byte, s *feature.Schema, lim feature.Limits, keep ...string) (*feature.Table, error) {
	src, err := Open(bytes.NewReader(b), int64(len(b)), 1<<30)
	if err != nil {
		return nil, err
	}
	return feature.Read(src, s, lim, keep...)
}

// requireSame compares two tables by what they hold.
func requireSame(t testing.TB, want, got *feature.Table) {
	a, b := want.Columns(), got.Columns()
	require.Equal(t, a.Rows, b.Rows)
	for name, v := range a.Numbers {
		for i, x := range v {
			require.Equal(t, math.Float32bits(x), math.Float32bits(b.Numbers[name][i]), "%s, row %d", name, i)
		}
	}
	a.Numbers, b.Numbers = nil, nil
	require.Equal(t, a, b)
}

// TestRead: however a file was written, it says what the CSV file says.
func TestRead(t *testing.T) {
	s := schemaOf(t, allTypes)
	rows, text := records(20_000, 1)
	want, err := feature.ReadCSV(strings.NewReader(text), s, feature.Limits{}, "at")
	require.NoError(t, err)
	for name, options := range map[string][]lib.WriterOption{
		"default":    nil,
		"snappy v1":  {lib.Compression(&lib.Snappy), lib.DataPageVersion(1)},
		"snappy v2":  {lib.Compression(&lib.Snappy), lib.DataPageVersion(2)},
		"zstd":       {lib.Compression(&lib.Zstd), lib.PageBufferSize(3000)},
		"gzip":       {lib.Compression(&lib.Gzip), lib.DataPageVersion(1), lib.PageBufferSize(700)},
		"row groups": {lib.MaxRowsPerRowGroup(777), lib.PageBufferSize(1000)},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := read(write(t, rows, options...), s, feature.Limits{}, "at")
			require.NoError(t, err)
			requireSame(t, want, got)
		})
	}
}

// TestErrors: errors name the row, those of the file the column.
func TestErrors(t *testing.T) {
	s := schemaOf(t, strings.Replace(allTypes, "code: {type: category}", "code: {type: category, values: [\"1\"]}", 1))
	rows, _ := records(3, 1)
	rows[0].Code, rows[1].Code, rows[2].Code, rows[1].Day = 1, 2, 1, 1<<30
	_, err := read(write(t, rows), s, feature.Limits{})
	var wrong *feature.DataError
	require.ErrorAs(t, err, &wrong)
	require.Len(t, wrong.Errors, 2)
	require.Equal(t, feature.FieldError{Row: 2, Column: "code", Reason: `"2" is not one of the listed values`}, wrong.Errors[0])
	require.ErrorContains(t, wrong.Errors[1], "row 2, column day")
	require.ErrorContains(t, wrong.Errors[1], "is not a date")

	type nested struct {
		Y    int32             `parquet:"y"`
		X    struct{ A int32 } `parquet:"x"`
		L    []int32           `parquet:"l"`
		Raw  [4]byte           `parquet:"raw"`
		Time int64             `parquet:"time,time(microsecond)"`
		Lz4  float32           `parquet:"lz4,lz4"`
		Last float32           `parquet:"last"`
	}
	file := write(t, []nested{{Y: 1, L: []int32{1, 2}, Last: 7}})
	for column, want := range map[string]string{
		"x": "column x holds columns or a list of its own, which is not read", "l": "column l is a list in each row, which is not read",
		"raw": "column raw is of raw bytes", "time": "column time is of the logical type TIME", "lz4": "column lz4: compression LZ4_RAW is not read",
		"gone": "no column gone",
	} {
		_, err := read(file, schemaOf(t, "name: x\nlabel: {column: y, positive: \"1\"}\ncolumns:\n  "+column+": {type: number}\n"), feature.Limits{})
		require.ErrorContains(t, err, want)
	}
	tab, err := read(file, schemaOf(t, "name: x\nlabel: {column: y, positive: \"1\"}\ncolumns:\n  last: {type: number}\n"), feature.Limits{})
	require.NoError(t, err, "what the schema does not ask for does no harm")
	require.Equal(t, []float32{7}, tab.Number("last"))

	_, err = read(file[:len(file)-1], s, feature.Limits{})
	require.ErrorContains(t, err, "not a parquet file, or cut off")
	src, err := Open(bytes.NewReader(write(t, rows)), int64(len(write(t, rows))), 100)
	require.NoError(t, err)
	_, err = feature.Read(src, s, feature.Limits{})
	require.ErrorIs(t, err, ErrTooLarge)
}

// TestDamaged: a byte of a file changed, or the file cut off anywhere, gives an
// error or another table, and never a panic.
func TestDamaged(t *testing.T) {
	s := schemaOf(t, allTypes)
	rows, _ := records(25, 2)
	for _, options := range [][]lib.WriterOption{nil, {lib.Compression(&lib.Snappy), lib.DataPageVersion(1)}} {
		whole := write(t, rows, options...)
		refused := 0
		for i := range whole {
			b := bytes.Clone(whole)
			b[i] ^= byte(1 + i%255)
			if _, err := read(b, s, feature.Limits{}); err != nil {
				require.NotContains(t, err.Error(), "parquet file is damaged", "byte %d: a panic", i)
				refused++
			}
			if i%16 == 0 {
				_, err := read(whole[:i], s, feature.Limits{})
				require.Error(t, err)
			}
		}
		require.Greater(t, refused, len(whole)/2)
	}
}

// TestHostile: sizes that a file only claims make no memory.
func TestHostile(t *testing.T) {
	for name, b := range map[string][]byte{
		"list of 2³¹":    {0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0x00},
		"text of 2³¹":    {0x18, 0xff, 0xff, 0xff, 0xff, 0x07, 'x', 0x00},
		"map of 2³¹":     {0x1b, 0xff, 0xff, 0xff, 0xff, 0x07, 0x55, 0x00},
		"deep":           bytes.Repeat([]byte{0x1c}, 100),
		"deep lists":     bytes.Repeat([]byte{0x19, 0x19}, 100),
		"no end":         {0x15, 0x02},
		"unknown type":   {0x1d, 0x00},
		"wide integer":   append(bytes.Repeat([]byte{0xff}, 12), 0),
		"many elements":  append([]byte{0x19, 0xfc, 0x80, 0x80, 0x80, 0x01}, make([]byte, 3<<20)...),
		"empty":          {},
		"negative field": {0x05},
	} {
		_, err := walk(b, nil)
		require.Error(t, err, name)
	}
	header := func(size, values int64) []byte {
		b := []byte{0x15, 0x00, 0x15}
		b = appendZigzag(b, size)
		b = appendZigzag(append(b, 0x15), size)
		b = appendZigzag(append(b, 0x2c, 0x15), values)
		return append(b, 0x15, 0x00, 0x15, 0x06, 0x15, 0x06, 0x00, 0x00)
	}
	h, n, err := parseHeader(header(100, 25))
	require.NoError(t, err)
	require.Equal(t, []int{100, 100, 25, len(header(100, 25))}, []int{h.size, h.unfolded, h.values, n})
	for _, c := range [][2]int64{{-1, 1}, {1, -1}, {maxPage + 1, 1}, {1, maxValues + 1}, {1 << 40, 1}} {
		_, _, err := parseHeader(header(c[0], c[1]))
		require.Error(t, err)
	}
	for _, c := range []struct {
		b     []byte
		width int
	}{{nil, 1}, {[]byte{0}, 1}, {[]byte{1}, 1}, {[]byte{3}, 1}, {[]byte{2}, 8}, {[]byte{2, 1}, 33}, {[]byte{0xff, 0xff}, 3}} {
		_, _, err := runs([]uint32(nil), c.b, c.width, 5)
		require.Error(t, err, "%v", c)
	}
	out, _, err := runs([]uint32(nil), []byte{0xfe, 0xff, 0xff, 0xff, 0xff, 0x7f, 9}, 8, 5)
	require.NoError(t, err)
	require.Equal(t, []uint32{9, 9, 9, 9, 9}, out, "a run goes no further than the page")
}

func appendZigzag(b []byte, v int64) []byte {
	u := uint64(v)<<1 ^ uint64(v>>63)
	for u >= 0x80 {
		b, u = append(b, byte(u)|0x80), u>>7
	}
	return append(b, byte(u))
}

func TestDecimals(t *testing.T) {
	for _, c := range []struct {
		b     []byte
		scale int
		want  string
	}{
		{[]byte{0xff}, 0, "-1"},
		{[]byte{0x00, 0x80}, 2, "1.28"},
		{[]byte{0xff, 0x38}, 3, "-0.200"},
		{[]byte{1, 0, 0, 0, 0, 0, 0, 0, 0}, 1, "1844674407370955161.6"},
		{[]byte{0xff, 0, 0, 0, 0, 0, 0, 0, 0}, 0, "-18446744073709551616"},
	} {
		require.Equal(t, c.want, string(appendDecimal(nil, bigEndian(c.b), c.scale)))
	}
	require.Contains(t, string(bigEndian(make([]byte, 33))), "33 bytes")
}

func FuzzRead(f *testing.F) {
	s := schemaOf(f, allTypes)
	rows, _ := records(12, 3)
	f.Add(write(f, rows))
	f.Add(write(f, rows, lib.Compression(&lib.Snappy), lib.DataPageVersion(1)))
	f.Add(write(f, rows[:1], lib.Compression(&lib.Zstd)))
	f.Add([]byte("PAR1\x00\x00\x00\x00PAR1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		tab, err := read(b, s, feature.Limits{Rows: 100_000})
		if err != nil {
			require.NotContains(t, err.Error(), "parquet file is damaged", "a panic")
			return
		}
		require.Len(t, tab.Number("float"), tab.Rows())
	})
}

// BenchmarkRead reads 30 float columns, as a program that writes tables of
// numbers writes them.
func BenchmarkRead(b *testing.B) {
	const rows, columns = 50_000, 30
	text := "name: bench\nlabel: {column: y, positive: \"1\"}\ncolumns:\n"
	var names []string
	for i := range columns {
		names = append(names, fmt.Sprintf("x%02d", i))
		text += fmt.Sprintf("  x%02d: {type: number}\n", i)
	}
	r := rand.New(rand.NewPCG(1, 7))
	var buffer bytes.Buffer
	require.NoError(b, WriteNumbers(&buffer, names, rows, func(x []float32) int32 {
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		return r.Int32N(2)
	}))
	s := schemaOf(b, text)
	for b.Loop() {
		tab, err := read(buffer.Bytes(), s, feature.Limits{})
		require.NoError(b, err)
		require.Equal(b, rows, tab.Rows())
	}
	b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
