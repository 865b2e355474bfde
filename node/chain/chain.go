// Package chain keeps a node's records in an append-only file that an auditor
// can read with a pager: one JSON object a line, each holding the digest of
// the one before. A record is on disk before the act it is about.
//
// After a crash the last line may be partial: it was never acknowledged, and
// Open cuts it off with a warning. Any other damage is refused. A file cut at
// a line's end is whole by itself; only a digest noted elsewhere shows that.
package chain

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
)

// MaxLine is the longest line, in bytes with its newline.
const MaxLine = 64 << 10

// Digest is a SHA-256, in hexadecimal in the file.
type Digest [32]byte

// MarshalText implements encoding.TextMarshaler.
func (d Digest) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d[:]), nil }

// UnmarshalText accepts exactly 64 lower-case hexadecimal digits.
func (d *Digest) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != len(d) {
		return fmt.Errorf("digest %.80q: want 64 hexadecimal digits", text)
	}
	copy(d[:], b)
	return nil
}

// String is the digest in hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Entry is one line of the file.
type Entry struct {
	Seq    uint64          `json:"seq"`    // 1, 2, 3, … without a gap
	Time   int64           `json:"time"`   // Unix seconds, given by the caller
	Kind   string          `json:"kind"`   // lower-case letters and hyphens
	Body   json.RawMessage `json:"body"`   // compact JSON
	Prev   Digest          `json:"prev"`   // of the entry before; zero for the first
	Digest Digest          `json:"digest"` // covers all of the above and the file's name
}

var kindPattern = regexp.MustCompile(`^[a-z][a-z-]{0,31}$`)

// sum is SHA-256 over a domain with the file's name, sequence number, time,
// kind, body and the digest before; each string is behind its length as 8
// big-endian bytes.
func (e Entry) sum(name string) Digest {
	h := sha256.New()
	var n [8]byte
	number := func(v uint64) {
		binary.BigEndian.PutUint64(n[:], v)
		h.Write(n[:])
	}
	text := func(b []byte) {
		number(uint64(len(b)))
		h.Write(b)
	}
	text([]byte("koinon/node/chain/v1/" + name))
	number(e.Seq)
	number(uint64(e.Time))
	text([]byte(e.Kind))
	text(e.Body)
	h.Write(e.Prev[:])
	return Digest(h.Sum(nil))
}

// line is the entry as it stands in the file, newline included.
func (e Entry) line() ([]byte, error) {
	b, err := compact(e)
	if err != nil {
		return nil, err
	}
	if len(b) >= MaxLine {
		return nil, fmt.Errorf("entry %d of %d bytes is over the limit of %d", e.Seq, len(b), MaxLine)
	}
	return append(b, '\n'), nil
}

// compact is the one JSON form of v in these files: no white space, struct
// fields in their order, and <, > and & as they are.
func compact(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Decode reads the body into the struct that into points to, strictly: only
// the bytes that Append writes for that struct are accepted.
func (e Entry) Decode(into any) error {
	dec := json.NewDecoder(bytes.NewReader(e.Body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("is not a %s: %w", e.Kind, err)
	}
	if again, err := compact(into); err != nil || !bytes.Equal(again, e.Body) {
		return fmt.Errorf("is not a %s in canonical form", e.Kind)
	}
	return nil
}

// ParseEntry reads one line of the file called name, without its newline. It
// accepts only the bytes that writing the entry gives, and only with the right
// digest; the link to the entry before is the caller's to check.
func ParseEntry(name string, line []byte) (Entry, error) {
	var e Entry
	if len(line) >= MaxLine {
		return e, fmt.Errorf("line of %d bytes is over the limit of %d", len(line), MaxLine)
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil {
		return Entry{}, fmt.Errorf("is not an entry: %w", err)
	}
	again, err := e.line()
	if err != nil {
		return Entry{}, fmt.Errorf("is not an entry: %w", err)
	}
	switch {
	case !bytes.Equal(again[:len(again)-1], line):
		return Entry{}, errors.New("is not in canonical form")
	case !kindPattern.MatchString(e.Kind):
		return Entry{}, fmt.Errorf("has the impossible kind %.40q", e.Kind)
	case e.Time < 0:
		return Entry{}, errors.New("has a time before 1970")
	case e.Digest != e.sum(name):
		return Entry{}, errors.New("content does not match its digest")
	}
	return e, nil
}

// Summary is what a whole check saw.
type Summary struct {
	Entries uint64 `json:"entries"`
	Head    Digest `json:"head"`       // of the last entry; note it elsewhere to prove later that nothing was cut off
	Last    int64  `json:"last"`       // Unix seconds of the last entry
	Torn    int    `json:"torn_bytes"` // of a partial last line
}

// next makes the entry that follows.
func (s Summary) next(name string, now int64, kind string, body any) (Entry, error) {
	if !kindPattern.MatchString(kind) {
		return Entry{}, fmt.Errorf("impossible kind %.40q", kind)
	}
	if now < 0 {
		return Entry{}, fmt.Errorf("time %d is before 1970", now)
	}
	b, err := compact(body)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Seq: s.Entries + 1, Time: now, Kind: kind, Body: b, Prev: s.Head}
	e.Digest = e.sum(name)
	return e, nil
}

// follow checks that e comes next and moves on.
func (s *Summary) follow(e Entry) error {
	if e.Seq != s.Entries+1 {
		return fmt.Errorf("has sequence number %d", e.Seq)
	}
	if e.Prev != s.Head {
		return errors.New("does not follow the line before it")
	}
	s.Entries, s.Head, s.Last = e.Seq, e.Digest, e.Time
	return nil
}
