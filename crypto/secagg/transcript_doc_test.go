package secagg_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const documentFile = "../../docs/transcript.md"

// table matches a generated table of the document: what it shows stands in its first line.
var table = regexp.MustCompile(`(?s)<!-- table: ([^\n]*) -->\n.*?<!-- end -->`)

// TestTranscriptDocument: every table of docs/transcript.md is what the frozen
// file holds, byte by byte, and every frame of the file is of a kind the document lays out.
func TestTranscriptDocument(t *testing.T) {
	g, _ := readFrozen(t)
	r := newReference(g.Inputs, g.encapsulations())
	text, err := os.ReadFile(documentFile)
	require.NoError(t, err)
	shown := map[string]bool{}
	made := table.ReplaceAllStringFunc(string(text), func(block string) string {
		what := table.FindStringSubmatch(block)[1]
		shown[strings.Join(strings.Fields(what)[:min(2, len(strings.Fields(what)))], " ")] = true
		return fmt.Sprintf("<!-- table: %s -->\n%s<!-- end -->", what, tableOf(t, g, r, what))
	})
	if *update {
		require.NoError(t, os.WriteFile(documentFile, []byte(made), 0o644))
	} else {
		require.Equal(t, made, string(text), "run go test ./crypto/secagg -run TestTranscriptDocument -update")
	}
	for name, frame := range g.Frames {
		lay(t, name, frame)
		require.True(t, shown["frame "+strings.Fields(name)[0]], "no table for %s", name)
	}
}

// tableOf makes the table that a marker asks for: "frame NAME", "values NAME · NAME …",
// "hash NAME" (what a digest is taken over), "signed NAME" (what a signature is over) or "packets".
func tableOf(t *testing.T, g frozen, r *reference, what string) string {
	kind, name, _ := strings.Cut(what, " ")
	var b strings.Builder
	switch kind {
	case "frame":
		require.Contains(t, g.Frames, name)
		writeFields(&b, lay(t, name, g.Frames[name]))
	case "plaintext":
		writeFields(&b, plaintext(t, g.Values["bundle plaintext "+name]))
	case "hash":
		fields := preimage(t, g, r, name)
		d := sha256.Sum256(joined(fields))
		require.Equal(t, g.Values[name], hexBytes(d[:]), name)
		writeFields(&b, fields)
	case "signed":
		writeFields(&b, signedMessage(r, name, g.Frames[name]))
	case "values":
		b.WriteString("| name | bytes | value |\n|---|---|---|\n")
		for n := range strings.SplitSeq(name, " · ") {
			require.Contains(t, g.Values, n)
			fmt.Fprintf(&b, "| %s | %d | `%s` |\n", n, len(g.Values[n]), short(g.Values[n]))
		}
	case "packets":
		b.WriteString("| n | way | frames |\n|---|---|---|\n")
		for i, p := range g.Packets {
			way := "to"
			member := p.To
			if p.From != nil {
				way, member = "from", p.From
			}
			fmt.Fprintf(&b, "| %d | %s %d | %s |\n", i+1, way, *member, strings.Join(p.Frames, ", "))
		}
	default:
		t.Fatalf("unknown table %q", what)
	}
	return b.String()
}

// part is one field of a byte string.
type part struct {
	name string
	data []byte
	form byte // 'u' unsigned integer, 'f' float, 't' text, 0 bytes
}

func joined(parts []part) (b []byte) {
	for _, p := range parts {
		b = append(b, p.data...)
	}
	return b
}

func writeFields(b *strings.Builder, parts []part) {
	b.WriteString("| offset | bytes | field | value |\n|---|---|---|---|\n")
	at := 0
	for _, p := range parts {
		fmt.Fprintf(b, "| %d | %d | %s | %s |\n", at, len(p.data), p.name, p.value())
		at += len(p.data)
	}
	fmt.Fprintf(b, "| %d | | end | |\n", at)
}

func (p part) value() string {
	text := "`" + short(p.data) + "`"
	switch p.form {
	case 'u':
		v := uint64(0)
		for _, c := range p.data {
			v = v<<8 | uint64(c)
		}
		return fmt.Sprintf("%s = %d", text, v)
	case 'f':
		return fmt.Sprintf("%s = %v", text, math.Float64frombits(binary.BigEndian.Uint64(p.data)))
	case 't':
		return "`" + string(p.data) + "`"
	}
	if strings.Trim(short(p.data), "0") == "" && len(p.data) > 2 {
		return "zeros"
	}
	return text
}

// short shows up to 32 bytes whole and of longer strings the beginning.
func short(b []byte) string {
	if len(b) > 32 {
		return hex.EncodeToString(b[:16]) + "…"
	}
	return hex.EncodeToString(b)
}

// cutter takes named fields off a byte string.
type cutter struct {
	t     *testing.T
	b     []byte
	parts []part
}

func (c *cutter) take(form byte, size int, name string, a ...any) []byte {
	require.GreaterOrEqual(c.t, len(c.b), size, name)
	data := c.b[:size]
	c.b = c.b[size:]
	c.parts = append(c.parts, part{fmt.Sprintf(name, a...), data, form})
	return data
}

func (c *cutter) bytes(size int, names ...string) {
	for _, name := range names {
		c.take(0, size, "%s", name)
	}
}

func (c *cutter) number(size int, name string, a ...any) int {
	v := 0
	for _, b := range c.take('u', size, name, a...) {
		v = v<<8 | int(b)
	}
	return v
}

func (c *cutter) path(to string) {
	for n := range c.number(1, "depth of the path to %s", to) {
		c.bytes(32, fmt.Sprintf("path to %s, hash %d", to, n+1))
	}
}

func (c *cutter) row() {
	c.number(1, "j")
	c.bytes(32, "pair_root", "share_root", "SHA-256 of the bundle")
	c.path("row_root")
}

func (c *cutter) secret() uint8 {
	kind := c.number(1, "kind")
	c.number(1, "a")
	c.number(1, "b")
	return uint8(kind)
}

// lay cuts a frame into its fields (§5).
func lay(t *testing.T, name string, frame []byte) []part {
	c := &cutter{t: t, b: frame}
	c.number(1, "version")
	c.take(0, 1, "type")
	c.number(1, "sender")
	require.Positive(t, c.number(4, "length of the body"))
	signed := true
	switch typ := frame[1]; typ {
	case 0x01:
		c.bytes(32, "federation", "roster", "plan")
		c.bytes(16, "run")
		c.number(4, "round")
		c.bytes(32, "nonce", "cohort")
		c.number(1, "n")
		c.number(1, "t")
		c.number(2, "sums")
		for _, phase := range []string{"advertise", "share", "mask", "agree", "unmask"} {
			c.number(4, "deadline of %s, ticks", phase)
		}
		c.bytes(32, "first = d_sum")
	case 0x02:
		c.bytes(16, "run")
		c.number(4, "round")
		c.number(2, "k")
		c.number(1, "kind")
		c.number(4, "step")
		c.bytes(32, "query", "state", "model")
		c.number(4, "params")
		c.number(1, "lanes")
		c.number(1, "bits")
		c.take('f', 8, "clip_l2")
		c.take('f', 8, "clip_inf")
		c.number(4, "weight_cap")
		c.number(1, "weight_bits")
		c.number(4, "min_rows")
		c.number(4, "ints")
		c.number(8, "int_max")
		c.bytes(32, "members", "prev")
	case 0x10:
		c.bytes(32, "spec = d_spec")
		c.number(1, "follow")
		c.bytes(1184, "pk, ML-KEM-768 part")
		c.bytes(32, "pk, X25519 part", "nonce")
	case 0x20:
		c.bytes(32, "h1", "self_root", "row_root")
	case 0x21:
		c.row()
		signed = false
	case 0x22:
		c.bytes(1088, "enc, ML-KEM-768 part")
		c.bytes(32, "enc, X25519 part")
		c.bytes(c.number(4, "length of the ciphertext")-16, "ciphertext")
		c.bytes(16, "tag")
		signed = false
	case 0x30:
		c.number(2, "k")
		c.bytes(32, "g", "root")
		c.number(4, "words")
	case 0x31:
		for n := range c.number(4, "count") {
			c.bytes(32, fmt.Sprintf("hash of chunk %d", n))
		}
		signed = false
	case 0x40:
		c.number(2, "k")
		c.bytes(32, "U3")
		c.number(1, "count of evidence digests")
	case 0x41:
		c.number(2, "k")
		c.bytes(32, "g", "h3")
	case 0x50:
		c.number(2, "k")
		for range c.number(1, "count") {
			c.bytes(64, fmt.Sprintf("signature of %d", c.number(1, "member")))
		}
		signed = false
	case 0x51:
		c.number(2, "k")
		c.bytes(32, "h3")
		for range c.number(2, "count") {
			c.secret()
			c.bytes(32, "share")
			c.path("share_root")
		}
	case 0x60:
		c.number(2, "k")
		c.bytes(32, "h3", "sum_root")
		c.number(4, "words")
		c.bytes(32, "state", "model", "openings_root")
	case 0x61:
		for range c.number(2, "count") {
			kind := c.secret()
			c.bytes(32, "seed")
			if kind == 0 {
				c.path("self_root")
			} else {
				c.path("pair_root")
				c.row()
			}
		}
		signed = false
	default:
		t.Fatalf("%s: type %#x", name, typ)
	}
	if signed {
		c.bytes(64, "signature")
	}
	require.Empty(t, c.b, name)
	return c.parts
}

// plaintext cuts what a bundle seals.
func plaintext(t *testing.T, b []byte) []part {
	c := &cutter{t: t, b: b}
	c.number(2, "m")
	for n := range c.number(2, "q") {
		c.bytes(32, fmt.Sprintf("share of secret %d", n+1))
	}
	if len(c.b) > 0 {
		c.bytes(32, "seed of the pair")
	}
	require.Empty(t, c.b)
	return c.parts
}

// preimage lays out what a digest of the chain is taken over (S1).
func preimage(t *testing.T, g frozen, r *reference, name string) []part {
	body := func(frame string) []byte { // with its signature
		return g.Frames[frame][7:]
	}
	unsigned := func(frame string) []byte { b := body(frame); return b[:len(b)-64] }
	tag, parts := name, []part(nil)
	add := func(what string, b []byte) { parts = append(parts, part{name: what, data: b}) }
	frames := func(typ string, members []uint8) {
		for _, i := range members {
			add(fmt.Sprintf("body and signature of `%s` %d", typ, i), body(fmt.Sprint(typ, " ", i)))
		}
	}
	switch name {
	case "d_sum", "d_spec":
		tag = strings.TrimPrefix(name, "d_")
		add("body of `"+tag+"`", unsigned(tag))
	case "h1":
		add("d_spec", g.Values["d_spec"])
		add("U1", refSet(r.u1))
		frames("advert", r.u1)
	case "h2":
		add("h1", g.Values["h1"])
		add("U2", refSet(r.u2))
		frames("share", r.u2)
	case "g":
		add("h2", g.Values["h2"])
		add("k", u16be(1))
		add("U2", refSet(r.u2))
		add("d_sum", g.Values["d_sum"])
		add("prev", make([]byte, 32))
	case "h3":
		add("g", g.Values["g"])
		add("U3", refSet(r.u3))
		frames("mask", r.u3)
	default:
		t.Fatalf("no digest %q", name)
	}
	out := []part{{"length of the tag", []byte{byte(len(refTag + tag))}, 'u'}, {"tag", []byte(refTag + tag), 't'}}
	for _, p := range parts {
		out = append(out, part{"length", u32be(uint32(len(p.data))), 'u'}, p)
	}
	return out
}

// signedMessage lays out what the signature of a frame covers (S3).
func signedMessage(r *reference, name string, frame []byte) []part {
	tag := refTag + strings.Fields(name)[0]
	spec := r.dspec
	if name == "spec" {
		spec = make([]byte, 32)
	}
	return []part{
		{"length of the tag", []byte{byte(len(tag))}, 'u'},
		{"tag", []byte(tag), 't'},
		{"d_spec", spec, 0},
		{"sender", frame[2:3], 'u'},
		{"body", frame[7 : len(frame)-64], 0},
	}
}
