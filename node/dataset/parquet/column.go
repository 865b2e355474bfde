package parquet

import (
	"encoding/binary"
	"math/big"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"

	"github.com/koinon-eu/koinon/models/feature"
)

// meaning says what stored values stand for.
type meaning uint8

const (
	plainValue   meaning = iota
	unsigned             // integers
	decimalValue         // unscaled integers
	dateValue            // days since 1970
	milliseconds         // since 1970
	microseconds
	nanoseconds
)

// column is a column of the file that is a leaf of its own.
type column struct {
	name     string
	leaf     int // among all leaves of the file
	kind     format.Type
	length   int // bytes, of a fixed length
	optional bool
	meaning  meaning
	scale    int
	refused  string // why it cannot be read; empty: it can
}

// width returns the bytes of a plain value, 0 where each has its own.
func (c *column) width() int {
	switch c.kind {
	case format.Float, format.Int32:
		return 4
	case format.Double, format.Int64:
		return 8
	}
	return 0
}

// widen makes an integer of 32 bits one of 64.
func (c *column) widen(v uint32) int64 {
	if c.meaning == unsigned {
		return int64(v)
	}
	return int64(int32(v))
}

// newColumn says how an element of the file's schema is read.
func newColumn(e *format.SchemaElement, leaf int) column {
	c := column{name: e.Name, leaf: leaf, kind: e.Type.V, length: int(e.TypeLength.V), scale: int(e.Scale.V)}
	c.optional = e.RepetitionType.V == format.Optional
	if e.RepetitionType.V == format.Repeated {
		c.refused = "is a list in each row"
		return c
	}
	c.logical(e)
	switch {
	case c.refused != "":
	case c.kind < format.Boolean || c.kind > format.FixedLenByteArray:
		c.refused = "is of an unknown type"
	case c.kind == format.Int96:
		c.refused = "is INT96 (old timestamps; write them as INT64)"
	case c.meaning == decimalValue && (c.scale < 0 || c.scale > maxScale):
		c.refused = "has an impossible decimal scale"
	case c.kind == format.FixedLenByteArray && (c.length < 1 || c.length > maxPage):
		c.refused = "has an impossible length"
	case c.kind == format.FixedLenByteArray && c.meaning != decimalValue:
		c.refused = "is of raw bytes"
	}
	return c
}

const maxScale = 76 // digits after the point, of the widest decimals in use

// logical reads the logical type, or the older converted one.
func (c *column) logical(e *format.SchemaElement) {
	switch t := e.LogicalType.Value.(type) {
	case nil:
		c.converted(e.ConvertedType.V, e.ConvertedType.Valid)
	case *format.IntType:
		if !t.IsSigned {
			c.meaning = unsigned
		}
	case *format.DecimalType:
		c.meaning, c.scale = decimalValue, int(t.Scale)
	case *format.DateType:
		c.meaning = dateValue
	case *format.TimestampType:
		switch t.Unit.Value.(type) {
		case *format.MilliSeconds:
			c.meaning = milliseconds
		case *format.MicroSeconds:
			c.meaning = microseconds
		default:
			c.meaning = nanoseconds
		}
	case *format.StringType, *format.EnumType, *format.JsonType, *format.NullType:
	default:
		c.refused = "is of the logical type " + e.LogicalType.String()
	}
}

func (c *column) converted(t deprecated.ConvertedType, given bool) {
	if !given {
		return
	}
	switch t {
	case deprecated.UTF8, deprecated.Enum, deprecated.Json, deprecated.Int8, deprecated.Int16, deprecated.Int32, deprecated.Int64:
	case deprecated.Uint8, deprecated.Uint16, deprecated.Uint32, deprecated.Uint64:
		c.meaning = unsigned
	case deprecated.Decimal:
		c.meaning = decimalValue
	case deprecated.Date:
		c.meaning = dateValue
	case deprecated.TimestampMillis:
		c.meaning = milliseconds
	case deprecated.TimestampMicros:
		c.meaning = microseconds
	default:
		c.refused = "is of the converted type " + strconv.Itoa(int(t))
	}
}

// give gives the next n rows of the page to a feed.
func (c *chunk) give(f *feature.Feed, n int) {
	p := &c.page
	var null []uint8
	present := n
	if p.null != nil {
		null = p.null[c.row : c.row+n]
		for _, x := range null {
			present -= int(x)
		}
	}
	from := c.value
	c.row, c.value = c.row+n, from+present
	switch {
	case c.column.kind == format.Float:
		f.Floats(spread(&c.floats, p.floats[from:from+present], null, nan32))
	case c.column.kind == format.Double:
		f.Doubles(spread(&c.doubles, p.doubles[from:from+present], null, nan64))
	case c.texty():
		for i := range n {
			if null != nil && null[i] == 1 {
				f.Text(nil)
				continue
			}
			f.Text(c.spell(from))
			from++
		}
	default:
		f.Ints(spread(&c.ints, p.ints[from:from+present], null, 0), c.bools(null))
	}
}

// texty reports whether values are given as they would be spelled in a CSV file.
func (c *chunk) texty() bool {
	return c.column.meaning >= decimalValue || c.column.kind == format.ByteArray || c.column.kind == format.FixedLenByteArray ||
		c.column.meaning == unsigned && c.column.kind == format.Int64
}

// spread puts values where null is 0, and fill elsewhere.
func spread[T any](scratch *[]T, values []T, null []uint8, fill T) []T {
	if null == nil {
		return values
	}
	*scratch = sized(*scratch, len(null))
	out, at := *scratch, 0
	for i, x := range null {
		if x == 1 {
			out[i] = fill
			continue
		}
		out[i] = values[at]
		at++
	}
	return out
}

func (c *chunk) bools(null []uint8) []bool {
	if null == nil {
		return nil
	}
	c.null = sized(c.null, len(null))
	for i, x := range null {
		c.null[i] = x == 1
	}
	return c.null
}

// spell writes the value at a place of the page as text.
func (c *chunk) spell(i int) []byte {
	if k := c.column.kind; k == format.ByteArray || k == format.FixedLenByteArray {
		b := c.page.text(i)
		if c.column.meaning == decimalValue {
			c.text = appendDecimal(c.text[:0], bigEndian(b), c.column.scale)
			return c.text
		}
		return b
	}
	v := c.page.ints[i]
	switch c.column.meaning {
	case unsigned:
		c.text = strconv.AppendUint(c.text[:0], uint64(v), 10)
	case decimalValue:
		c.text = appendDecimal(c.text[:0], strconv.AppendInt(nil, v, 10), c.column.scale)
	case dateValue:
		c.text = appendDate(c.text[:0], time.Unix(0, 0).UTC().AddDate(0, 0, int(v)))
	case milliseconds:
		c.text = appendDate(c.text[:0], time.UnixMilli(v))
	case microseconds:
		c.text = appendDate(c.text[:0], time.UnixMicro(v))
	default:
		c.text = appendDate(c.text[:0], time.Unix(0, v))
	}
	return c.text
}

// appendDate writes the day in UTC, as the schema's dates are written. A year
// of other than four digits fits no schema and is reported as it stands.
func appendDate(b []byte, t time.Time) []byte { return t.UTC().AppendFormat(b, time.DateOnly) }

// maxDecimal bounds the bytes of a decimal; longer ones are no numbers.
const maxDecimal = 32

// bigEndian writes a two's complement integer in decimal.
func bigEndian(b []byte) []byte {
	if len(b) == 0 || len(b) > maxDecimal {
		return []byte("decimal of " + strconv.Itoa(len(b)) + " bytes")
	}
	if len(b) <= 8 {
		var w [8]byte
		for i := range w[:8-len(b)] {
			w[i] = byte(int8(b[0]) >> 7)
		}
		copy(w[8-len(b):], b)
		return strconv.AppendInt(nil, int64(binary.BigEndian.Uint64(w[:])), 10)
	}
	v := new(big.Int).SetBytes(b)
	if b[0] >= 0x80 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return v.Append(nil, 10)
}

// appendDecimal writes an integer with a point before its last scale digits.
func appendDecimal(b, digits []byte, scale int) []byte {
	if len(digits) > 0 && digits[0] == '-' {
		b, digits = append(b, '-'), digits[1:]
	}
	if scale == 0 {
		return append(b, digits...)
	}
	for len(digits) <= scale {
		digits = append([]byte{'0'}, digits...)
	}
	point := len(digits) - scale
	b = append(b, digits[:point]...)
	return append(append(b, '.'), digits[point:]...)
}
