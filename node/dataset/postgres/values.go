package postgres

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/koinon-eu/koinon/models/feature"
)

// column is a column of the table.
type column struct {
	name   string
	oid    uint32
	listed bool   // an enum
	kind   string // the type's name, of those that are not built in or not read
}

// form is how the values of a type are sent and read.
type form uint8

const (
	refused form = iota
	boolean
	integer
	single
	double
	text    // as it stands
	padded  // text filled up with blanks
	decimal // numeric, written out
	day     // a date, or the day of a timestamp, in UTC
)

// forms are the types that are read, by their number in every server's catalog.
var forms = map[uint32]form{
	16: boolean, 20: integer, 21: integer, 23: integer, 700: single, 701: double,
	25: text, 1043: text, 19: text, 2950: text, 1042: padded, 1700: decimal, // text, varchar, name, uuid; char(n); numeric
	1082: day, 1114: day, 1184: day, // date; timestamp without and with a zone
}

func (c column) form() form {
	if c.listed {
		return text
	}
	return forms[c.oid]
}

// format is 1 for binary, 0 for text.
func (f form) format() int16 {
	if f == boolean || f == integer || f == single || f == double {
		return 1
	}
	return 0
}

func (c column) refuse() error {
	kind := c.kind
	if kind == "" {
		kind = fmt.Sprintf("number %d", c.oid)
	}
	return &Error{
		Text: fmt.Sprintf("column %s is of type %s, which is not read", c.name, kind),
		Hint: "name a query instead of the table, and cast the column there to numeric, bigint, double precision, boolean, text, date or timestamp",
	}
}

// reader gives one feed its values. Numbers are collected up to flush.
type reader struct {
	feed    *feature.Feed
	form    form
	at      int // among the columns asked for
	ints    []int64
	null    []bool
	singles []float32
	doubles []float64
}

var errWidth = errors.New("the server sent a value of an impossible length")

// value takes the value of one row; nil is missing.
func (r *reader) value(v []byte) error {
	switch r.form {
	case boolean, integer:
		return r.integer(v)
	case single:
		x := float32(math.NaN())
		if v != nil {
			if len(v) != 4 {
				return errWidth
			}
			x = math.Float32frombits(binary.BigEndian.Uint32(v))
		}
		r.singles = append(r.singles, x)
	case double:
		x := math.NaN()
		if v != nil {
			if len(v) != 8 {
				return errWidth
			}
			x = math.Float64frombits(binary.BigEndian.Uint64(v))
		}
		r.doubles = append(r.doubles, x)
	default:
		r.feed.Text(spell(r.form, v))
	}
	return nil
}

func (r *reader) integer(v []byte) error {
	var x int64
	switch len(v) {
	case 0:
		if v != nil {
			return errWidth
		}
	case 1:
		x = int64(v[0])
	case 2:
		x = int64(int16(binary.BigEndian.Uint16(v)))
	case 4:
		x = int64(int32(binary.BigEndian.Uint32(v)))
	case 8:
		x = int64(binary.BigEndian.Uint64(v))
	default:
		return errWidth
	}
	r.ints, r.null = append(r.ints, x), append(r.null, v == nil)
	return nil
}

// spell writes a value as a CSV file would have it.
func spell(f form, v []byte) []byte {
	switch f {
	case padded:
		return bytes.TrimRight(v, " ")
	case decimal:
		if string(v) == "NaN" {
			return nil
		}
	case day:
		// "2026-01-31 10:00:00+00"; what is no day of four-digit years, such as
		// infinity or a year BC, is left for the schema to refuse.
		if cut := bytes.IndexByte(v, ' '); cut >= 0 && !bytes.HasSuffix(v, []byte("BC")) {
			return v[:cut]
		}
	}
	return v
}

// flush gives the feed what was collected.
func (r *reader) flush() {
	switch r.form {
	case boolean, integer:
		r.feed.Ints(r.ints, r.null)
		r.ints, r.null = r.ints[:0], r.null[:0]
	case single:
		r.feed.Floats(r.singles)
		r.singles = r.singles[:0]
	case double:
		r.feed.Doubles(r.doubles)
		r.doubles = r.doubles[:0]
	}
}
