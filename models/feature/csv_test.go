package feature

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// plainCSV reads every record with encoding/csv and every number with strconv:
// what csvSource must give the same tables and errors as.
type plainCSV struct{ *csvSource }

func (p plainCSV) Rows(b *Builder) error {
	for _, f := range b.feeds {
		if n := f.numbers; n != nil { // no fast decimals
			f.numbers = nil
			f.store = func() { b.t.numbers[f.column] = n.values }
		}
	}
	for !b.Full() {
		p.bounded.left = p.bounded.max
		if end, err := p.next(b); end {
			return err
		}
	}
	b.stopped = true
	return nil
}

func readPlain(r io.Reader, s *Schema, lim Limits, keep ...string) (*Table, error) {
	return Read(plainCSV{NewCSV(r, lim).(*csvSource)}, s, lim, keep...)
}

// requireSame compares tables, NaN being equal to itself.
func requireSame(t testing.TB, want, got *Table) {
	if want == nil || got == nil {
		require.Equal(t, want == nil, got == nil)
		return
	}
	a, b := *want, *got
	require.Len(t, b.numbers, len(a.numbers))
	for name, v := range a.numbers {
		require.Len(t, b.numbers[name], len(v))
		for i, x := range v {
			require.Equal(t, math.Float32bits(x), math.Float32bits(b.numbers[name][i]), "%s, row %d", name, i)
		}
	}
	a.numbers, b.numbers = nil, nil
	require.True(t, fmt.Sprintf("%v", a.ids) == fmt.Sprintf("%v", b.ids))
	a.ids, b.ids = nil, nil
	require.Equal(t, a.texts, b.texts)
	require.Equal(t, a.label, b.label)
	require.Equal(t, a.split, b.split)
	require.Equal(t, a.others, b.others)
	require.Equal(t, a.unread, b.unread)
	require.Equal(t, a.rows, b.rows)
}

// FuzzCSV: same table, same errors, same lines as encoding/csv and strconv give.
func FuzzCSV(f *testing.F) {
	for _, s := range []string{
		"1,x,0,a,f,AA,1,u\n", "1.5,x,0,a,f,AA,1,u\r\n\r\n\n,,,,,,,\r", "\"1\",x,0,a,f,\"A\nA\",1,u\n12,x,2,a,f,AA,1,u\n",
		"1,x,0,a,f,AA,1\n2,\"\n\n\",0,a,f,\"\n\",1,u\n3,x,9,a,f,AA,1,u\n", "1,x,0,a,f,A\"A,1,u\n2,,,,,,,", "\r\n\r\r\n,\r,\n",
		"1e3,x,0,a,f,AA,1,u\n.5,,,,,,0,\n-.0e9,,,,,,0,\n10.5,\xff,,,,,7,\n", "1,x,0,a,f,AA,1,\"u\"\n1,x,0,a,f,AA,x,u\n",
	} {
		f.Add([]byte(s), false)
		f.Add([]byte(head+s), true)
	}
	s := visa(f)
	f.Fuzz(func(t *testing.T, b []byte, whole bool) {
		if !whole {
			b = append([]byte(head), b...)
		}
		for _, lim := range []Limits{{}, {Rows: 2}, {Errors: 1}} {
			want, errWant := readPlain(bytes.NewReader(b), s, lim, "other")
			got, err := ReadCSV(iotest.HalfReader(bytes.NewReader(b)), s, lim, "other")
			requireSame(t, want, got)
			require.Equal(t, errWant, err)
		}
	})
}

// FuzzDecimal: a number read fast is the nearest float32.
func FuzzDecimal(f *testing.F) {
	for _, s := range []string{"1", "-0", "+.5", "5.", "1e-3", "16777217", "0.1234567890123", "1.17549435e-38", "3.4028236e38", "e", "-", ".", "1e+", "9007199254740993"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { sameDecimal(t, s) })
}

func sameDecimal(t testing.TB, s string) bool {
	got, ok := decimal([]byte(s + "0123456789")[:len(s)]) // what stands behind it does not count
	if ok {
		want, reason := parseNumber([]byte(s))
		require.Empty(t, reason, "%q", s)
		require.Equal(t, math.Float32bits(want), math.Float32bits(got), "%q", s)
	}
	return ok
}

// TestDecimal tries numbers near the midpoint of two float32 values, where
// rounding twice goes wrong, and random ones of every length.
func TestDecimal(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	fast := 0
	const n = 200_000
	for range n {
		v := math.Float32frombits(0x30000000 + r.Uint32N(0x20000000))
		middle := (float64(v) + float64(math.Nextafter32(v, 2*v))) / 2
		x := []float64{middle, math.Nextafter(middle, 0), math.Nextafter(middle, 1e30), float64(v), r.NormFloat64()}[r.IntN(5)]
		text := strconv.FormatFloat(x, "fge"[r.IntN(3)], 1+r.IntN(17), 64)
		if sameDecimal(t, text) {
			fast++
		}
	}
	require.Greater(t, fast, n/4, "the fast path is taken")
	for _, s := range []string{"", "-", "+", ".", "-.", "e1", "1e", "1e-", "1x", "0x1", "1_0", "1..2", "1e1.5", " 1", "12345678901234567890", "Inf"} {
		_, ok := decimal([]byte(s))
		require.False(t, ok, s)
	}
}

// TestCSVLines: the line of an error is right after every kind of record.
func TestCSVLines(t *testing.T) {
	wide := strings.Repeat("x", 3*csvBuffer/2)                // a line longer than the buffer
	in := head + strings.Repeat("1,x,0,a,f,AA,1,u\n", 9000) + // line 9001
		"\n\r\n" + // 9003
		"2,x,0,a,f,AA,1,\"a\n\r\nb\"\r\n" + // 9006
		"3,x,0,a,f,AA,1,u\n" + // 9007
		"4,x,0,a,f,AA,1," + wide + "\n" + // 9008
		"5,\"\n\",0,a,f,AA,1,u\n" + // 9010
		"bad,x,0,a,f,AA,1,u\n" + // 9011
		"6,x,0,a,f,AA,1,\"u\"\nbad,x,0,a,f,AA,1,\"u\"\n" + // 9013
		"7,x,0,a,f,A\"A,1,u" // 9014
	_, err := ReadCSV(strings.NewReader(in), visa(t), Limits{}, "other")
	var de *DataError
	require.ErrorAs(t, err, &de)
	require.Equal(t, []FieldError{
		{Line: 9011, Column: "zeta", Reason: `"bad" is not a number`},
		{Line: 9013, Column: "zeta", Reason: `"bad" is not a number`},
		{Line: 9014, Reason: "bare \" in non-quoted-field at byte 12; reading stopped"},
	}, trim(de.Errors), "without the field that is too long only for a kept column")
}

// trim drops the error of the long field, which another test covers.
func trim(errs []FieldError) (out []FieldError) {
	for _, e := range errs {
		if !strings.Contains(e.Reason, "bytes, at most") {
			out = append(out, e)
		}
	}
	return out
}

// TestBlocks: a table read in blocks is that read in one go.
func TestBlocks(t *testing.T) {
	s := &Schema{
		Name: "x", ID: "id", Label: Label{Column: "y", Positive: "1"},
		Columns: []Column{{Name: "a", Type: TypeNumber}, {Name: "b", Type: TypeCategory}},
	}
	var in strings.Builder
	in.WriteString("id,y,a,b\n")
	for i := range 100 {
		fmt.Fprintf(&in, "p%d,%d,%d,v%d\n", i, i%2, i, i%17)
	}
	whole, err := ReadCSV(strings.NewReader(in.String()), s, Limits{})
	require.NoError(t, err)
	var sizes []int
	at := 0
	check := func(part *Table) {
		_, names := part.Category("b")
		for i := range part.Rows() {
			require.Equal(t, whole.Number("a")[at], part.Number("a")[i])
			require.Equal(t, whole.ID(at), part.ID(i))
			require.Equal(t, int32(at), part.Origin()[i])
			require.Equal(t, whole.Label()[at], part.Label()[i])
			codes, _ := part.Category("b")
			require.Equal(t, fmt.Sprintf("v%d", at%17), names[codes[i]])
			at++
		}
		sizes = append(sizes, part.Rows())
	}
	rest, err := ReadBlocks(NewCSV(strings.NewReader(in.String()), Limits{}), s, Limits{}, 30, func(part *Table) error { check(part); return nil })
	require.NoError(t, err)
	check(rest)
	require.Equal(t, []int{30, 30, 30, 10}, sizes)
	_, err = ReadBlocks(NewCSV(strings.NewReader(in.String()), Limits{}), s, Limits{}, 30, func(*Table) error { return io.ErrShortWrite })
	require.ErrorIs(t, err, io.ErrShortWrite)
}

// TestFeeds: typed values are held to the schema like texts.
func TestFeeds(t *testing.T) {
	s := &Schema{
		Name: "x", Label: Label{Column: "y", Positive: "1"},
		Columns: []Column{{Name: "a", Type: TypeNumber, Range: &[2]float64{0, 5}}, {Name: "b", Type: TypeNumber}, {Name: "c", Type: TypeCategory}},
	}
	tab, err := Read(typed(func(f []*Feed, b *Builder) {
		f[0].Floats([]float32{1, 9, float32(math.NaN())})
		f[1].Doubles([]float64{math.Copysign(0, -1), 1e39, math.Inf(1)})
		f[2].Ints([]int64{1 << 60, 3, 3}, []bool{false, false, true})
		f[3].Null(1)
		f[3].Floats([]float32{1, 0})
		b.Next(3)
		b.Stop("enough")
	}), s, Limits{})
	require.Equal(t, &DataError{Stopped: true, Errors: []FieldError{
		{Row: 1, Column: "y", Reason: "label is empty; say empty: skip if such rows are to be left out"},
		{Row: 2, Column: "a", Reason: "9 is outside the range 0 to 5"},
		{Row: 2, Column: "b", Reason: "1e+39 is too large for a 32-bit number"},
		{Row: 3, Column: "b", Reason: `"+Inf" is not a number`},
		{Row: 4, Reason: "enough"},
	}}, err)
	require.ErrorContains(t, err, "row 1, column y: label is empty")
	require.Equal(t, float32(1), tab.Number("a")[0])
	require.Equal(t, uint32(0), math.Float32bits(tab.Number("b")[0]), "-0 is 0")
	codes, names := tab.Category("c")
	require.Equal(t, []int32{0, 1, Missing}, codes)
	require.Equal(t, []string{"1152921504606846976", "3"}, names)

	_, err = Read(typed(func(f []*Feed, b *Builder) {
		for range 4 {
			f[0].Ints([]int64{1, 2}, nil)
			f[1].Null(2)
			f[2].Doubles([]float64{3, 1e-9})
			f[3].Ints([]int64{1, 0}, nil)
			b.Next(2)
		}
	}), s, Limits{Rows: 5})
	require.ErrorContains(t, err, "row 6: more than 5 rows")
}

type typed func([]*Feed, *Builder)

func (typed) Header() ([]string, error) { return []string{"a", "b", "c", "y"}, nil }

func (f typed) Rows(b *Builder) error {
	f(b.Feeds(), b)
	return nil
}

// numbersCSV is a table of standard normal numbers.
func numbersCSV(rows, columns int) ([]byte, *Schema) {
	r := rand.New(rand.NewPCG(1, 7))
	s := &Schema{Name: "bench", Label: Label{Column: "y", Positive: "1"}}
	var b bytes.Buffer
	w := bufio.NewWriter(&b)
	w.WriteString("y")
	for i := range columns {
		s.Columns = append(s.Columns, Column{Name: fmt.Sprintf("x%d", i), Type: TypeNumber})
		fmt.Fprintf(w, ",x%d", i)
	}
	for range rows {
		fmt.Fprintf(w, "\n%d", r.IntN(2))
		for range columns {
			w.WriteByte(',')
			w.Write(strconv.AppendFloat(w.AvailableBuffer(), float64(float32(r.NormFloat64())), 'g', -1, 32))
		}
	}
	w.WriteByte('\n')
	w.Flush()
	return b.Bytes(), s
}

// BenchmarkReadCSV: plain is encoding/csv and strconv, quoted a table whose
// fields are all quoted.
func BenchmarkReadCSV(b *testing.B) {
	const rows = 20_000
	clean, s := numbersCSV(rows, 30)
	quoted := bytes.ReplaceAll(bytes.ReplaceAll(clean, []byte(","), []byte(`","`)), []byte("\n"), []byte("\"\n\""))
	quoted = append([]byte{'"'}, quoted[:len(quoted)-1]...)
	for _, c := range []struct {
		name string
		text []byte
		read func(io.Reader, *Schema, Limits, ...string) (*Table, error)
	}{{"scanner", clean, ReadCSV}, {"plain", clean, readPlain}, {"quoted", quoted, ReadCSV}} {
		text := c.text
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				tab, err := c.read(bytes.NewReader(text), s, Limits{})
				require.NoError(b, err)
				require.Equal(b, rows, tab.Rows())
			}
			b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkDivide is csvSource against csv.Reader without any parsing.
func BenchmarkDivide(b *testing.B) {
	text, _ := numbersCSV(20_000, 30)
	b.Run("divide", func(b *testing.B) {
		ends := make([]int32, 31)
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			for rest := text; len(rest) > 0; {
				_, n := divide(rest, ends)
				rest = rest[n:]
			}
		}
	})
	b.Run("csv", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			r := csv.NewReader(bytes.NewReader(text))
			r.ReuseRecord = true
			for {
				if _, err := r.Read(); errors.Is(err, io.EOF) {
					break
				}
			}
		}
	})
}
