package sim

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// patterns are byte strings that must not be found, each with what it stands for. None is shorter than eight bytes:
// among a few million uniform bytes an eight-byte string is found by chance with a probability below 1e-12, so a test
// over some ten thousand of them does not fail by accident.
type patterns struct {
	byHead map[uint64][]pattern
	count  int
}

type pattern struct {
	bytes []byte
	what  string
}

const shortest = 8

func (p *patterns) add(what string, b []byte) {
	if len(b) < shortest {
		return
	}
	if p.byHead == nil {
		p.byHead = map[uint64][]pattern{}
	}
	head := binary.LittleEndian.Uint64(b)
	for _, known := range p.byHead[head] {
		if bytes.Equal(known.bytes, b) {
			return
		}
	}
	p.byHead[head] = append(p.byHead[head], pattern{bytes.Clone(b), what})
	p.count++
}

// bytesOf adds a byte string as it is and as hexadecimal and base64 text, in any of the three alignments base64 has.
func (p *patterns) bytesOf(what string, b []byte) {
	p.add(what+", raw", b)
	text := hex.EncodeToString(b)
	p.add(what+", hex", []byte(text))
	p.add(what+", HEX", []byte(strings.ToUpper(text)))
	for shift := range 3 {
		padded := append(make([]byte, shift), b...)
		padded = padded[:len(padded)/3*3]
		for name, coding := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
			core := coding.EncodeToString(padded)
			if shift > 0 {
				core = core[4:] // the first four characters hold the shift
			}
			p.add(what+", "+name, []byte(core))
		}
	}
}

// text adds a string as it is, as UTF-16, and as the bytes above.
func (p *patterns) text(what, s string) {
	p.bytesOf(what, []byte(s))
	var wide []byte
	for _, r := range s {
		wide = binary.LittleEndian.AppendUint16(wide, uint16(r))
	}
	p.add(what+", UTF-16", wide)
}

// number adds a number as decimal text and as a float64; a float32 is too short to be looked for alone.
func (p *patterns) number(what string, v float32) {
	p.text(what, strconv.FormatFloat(float64(v), 'g', -1, 32))
	p.text(what, strconv.FormatFloat(float64(v), 'g', -1, 64))
	p.bytesOf(what+", float64 le", binary.LittleEndian.AppendUint64(nil, math.Float64bits(float64(v))))
	p.bytesOf(what+", float64 be", binary.BigEndian.AppendUint64(nil, math.Float64bits(float64(v))))
}

// numbers adds neighbouring float32 values, two at a time, in either byte order.
func (p *patterns) numbers(what string, v []float32) {
	for i := 0; i+1 < len(v); i++ {
		if v[i] == 0 || v[i+1] == 0 {
			continue
		}
		a, b := math.Float32bits(v[i]), math.Float32bits(v[i+1])
		p.bytesOf(what+", float32 le", binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, a), b))
		p.bytesOf(what+", float32 be", binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, a), b))
	}
}

// words adds stretches of an encoded vector in either byte order. Each begins at a word that is not zero and is as
// long as it takes to hold eight bytes that are neither 0x00 nor 0xff: runs of zeros stand in honest messages as well,
// and a vector of counts is mostly zeros.
func (p *patterns) words(what string, w []uint64) {
	const longest, most = 2048, 60
	full := func(v uint64) (n int) {
		for ; v != 0; v >>= 8 {
			if b := byte(v); b != 0 && b != 0xff {
				n++
			}
		}
		return n
	}
	var starts []int
	for i, v := range w {
		if full(v) > 0 {
			starts = append(starts, i)
		}
	}
	for k := 0; k < len(starts); k += 1 + len(starts)/most {
		var le, be []byte
		n := 0
		for i := starts[k]; i < len(w) && n < 8 && len(le) < 8*longest; i++ {
			le, be = binary.LittleEndian.AppendUint64(le, w[i]), binary.BigEndian.AppendUint64(be, w[i])
			n += full(w[i])
		}
		if n >= 8 {
			p.bytesOf(what+", words le", le)
			p.bytesOf(what+", words be", be)
		}
	}
}

// in returns what of the patterns stands in some bytes.
func (p *patterns) in(b []byte) (found []string) {
	for i := 0; i+shortest <= len(b); i++ {
		for _, c := range p.byHead[binary.LittleEndian.Uint64(b[i:])] {
			if bytes.HasPrefix(b[i:], c.bytes) && !slices.Contains(found, c.what) {
				found = append(found, c.what)
			}
		}
	}
	return found
}

// TestSearchFinds: each way of leaking that the packet truth test looks for is found when it is there, between other
// bytes and at any alignment.
func TestSearchFinds(t *testing.T) {
	var p patterns
	marker, vector := "FAMILY-KESTREL-7", make([]uint64, 16)
	for i := range vector {
		vector[i] = uint64(i+1) * 0x0123456789
	}
	p.text("name", marker)
	p.number("age", 7.3894563)
	p.numbers("update", []float32{0.25173, -1.0625e-3})
	p.words("vector", vector)
	var le []byte
	for _, v := range vector {
		le = binary.LittleEndian.AppendUint64(le, v)
	}
	raw := binary.BigEndian.AppendUint64(nil, math.Float64bits(float64(float32(7.3894563))))
	pair := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, math.Float32bits(0.25173)), math.Float32bits(-1.0625e-3))
	for name, leak := range map[string]string{
		"text": marker, "in json": `{"family":"` + marker + `"}`, "hex": hex.EncodeToString([]byte(marker)),
		"base64":   base64.StdEncoding.EncodeToString([]byte("x" + marker + "yz")),
		"base64 2": base64.URLEncoding.EncodeToString([]byte("xy" + marker)),
		"decimal":  "age=7.3894563;", "float64": string(raw), "float32": string(pair),
		"vector": string(le), "part of it": string(le[32:]), "vector in base64": base64.StdEncoding.EncodeToString(le),
		"vector in hex": hex.EncodeToString(le[8:]),
	} {
		hay := append(append(bytes.Repeat([]byte{0xa5, 0}, 51), leak...), make([]byte, 31)...)
		require.NotEmpty(t, p.in(hay), name)
	}
	require.Empty(t, p.in(bytes.Repeat([]byte("nothing of that kind 0000000 "), 100)))
}
