package dataset

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"os"

	"github.com/koinon-eu/koinon/models/feature"
)

// A cache file is: the head, 128 bytes; the directory, JSON; the sections it
// names, each at a multiple of 64. Numbers lie as in the memory of the machine
// that wrote them; byteOrder tells another machine.
const (
	cacheMagic   = "koinon columns\x00\x00"
	cacheVersion = 1 // of the format, and of how sources are read
	byteOrder    = 0x01020304
	headBytes    = 128
	sectionAlign = 64
)

// key says what a cache file was made of.
type key struct{ content, schema [32]byte }

// head is the first part of a file: magic, byte order, version, the size of the
// directory, the key, and the SHA-256 of all that follows the head.
func (k key) head(directory int, sum []byte) []byte {
	b := append([]byte(nil), cacheMagic...)
	b = binary.NativeEndian.AppendUint32(b, byteOrder)
	b = binary.NativeEndian.AppendUint32(b, cacheVersion)
	b = binary.NativeEndian.AppendUint64(b, uint64(directory))
	b = append(append(b, k.content[:]...), k.schema[:]...)
	return append(b, sum...)
}

// directory lists what a cache file holds.
type directory struct {
	Rows     int                 `json:"rows"`
	Names    map[string][]string `json:"names"`
	Negative []string            `json:"negative"`
	Unread   []string            `json:"unread"`
	Sections []section           `json:"sections"`
}

func newDirectory(c feature.Columns, rows int) *directory {
	return &directory{Rows: rows, Names: c.Names, Negative: c.Negative, Unread: c.Unread}
}

// cacheWriter writes the directory and the sections and hashes them.
type cacheWriter struct {
	f    *os.File
	out  *bufio.Writer
	sum  hash.Hash
	key  key
	size int // of the directory
	at   int64
}

// newCacheWriter gives each section its place and writes the directory.
func newCacheWriter(f *os.File, k key, d *directory) (*cacheWriter, error) {
	w := &cacheWriter{f: f, out: bufio.NewWriterSize(f, 1<<20), sum: sha256.New(), key: k}
	// The places depend on the size of the directory, which depends on the
	// places: it is filled up to a size with room for all of them.
	blank, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	w.size = int(aligned(int64(len(blank) + 20*len(d.Sections))))
	at := int64(headBytes + w.size)
	for i := range d.Sections {
		d.Sections[i].At = at
		at = aligned(at + d.Sections[i].Bytes)
	}
	text, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	if _, err := w.out.Write(w.key.head(0, make([]byte, 32))); err != nil { // without a sum: no cache yet
		return nil, err
	}
	_, err = w.Write(append(text, bytes.Repeat([]byte{' '}, w.size-len(text))...))
	return w, err
}

func aligned(n int64) int64 { return (n + sectionAlign - 1) / sectionAlign * sectionAlign }

// Write implements io.Writer.
func (w *cacheWriter) Write(b []byte) (int, error) {
	w.sum.Write(b)
	w.at += int64(len(b))
	return w.out.Write(b)
}

// align fills up to where a section may begin.
func (w *cacheWriter) align() error {
	_, err := w.Write(make([]byte, aligned(w.at)-w.at))
	return err
}

// end writes the head, which makes the file a cache.
func (w *cacheWriter) end() error {
	err := w.out.Flush()
	if err == nil {
		_, err = w.f.WriteAt(w.key.head(w.size, w.sum.Sum(nil)), 0)
	}
	if err == nil {
		err = w.f.Sync()
	}
	return err
}

var errCache = errors.New("is damaged or of another format")

// readCache maps a cache file that has that key and returns its table, after
// every byte was checked against the file's sum. The mapping lasts as long as
// the process: the table lies in it.
func readCache(path string, k key, s *feature.Schema) (t *feature.Table, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := info.Size()
	if size < headBytes || size > math.MaxInt || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s %w", path, errCache)
	}
	head := make([]byte, headBytes)
	if _, err := f.ReadAt(head, 0); err != nil {
		return nil, err
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(f, headBytes, size-headBytes)); err != nil {
		return nil, err
	}
	n := binary.NativeEndian.Uint64(head[24:])
	if n > uint64(size-headBytes) || !bytes.Equal(head, k.head(int(n), sum.Sum(nil))) {
		return nil, fmt.Errorf("%s %w", path, errCache)
	}
	b, err := mapFile(f, int(size), false)
	if err != nil {
		return nil, err
	}
	if t, err = parseCache(b, int(n), s); err != nil {
		err = errors.Join(fmt.Errorf("%s: %w", path, err), unmap(b))
	}
	return t, err
}

// parseCache makes a table of the bytes of a cache file.
func parseCache(b []byte, size int, s *feature.Schema) (*feature.Table, error) {
	var d directory
	if err := json.Unmarshal(b[headBytes:headBytes+size], &d); err != nil {
		return nil, err
	}
	if d.Rows < 0 || d.Rows > len(b) {
		return nil, errCache
	}
	c := feature.Columns{
		Rows: d.Rows, Numbers: map[string][]float32{}, Codes: map[string][]int32{}, Names: d.Names,
		Negative: d.Negative, Unread: d.Unread,
	}
	for _, x := range d.Sections {
		if x.At < headBytes || x.At%sectionAlign != 0 || x.Bytes < 0 || x.At > int64(len(b)) || x.Bytes > int64(len(b))-x.At {
			return nil, errCache
		}
		part := b[x.At : x.At+x.Bytes : x.At+x.Bytes]
		switch x.Kind {
		case "number":
			c.Numbers[x.Column] = view[float32](part)
		case "codes":
			c.Codes[x.Column] = view[int32](part)
		case "label":
			c.Label = view[int8](part)
		case "split":
			c.Split = view[feature.Split](part)
		case "origin":
			c.Origin = view[int32](part)
		case "id":
			c.IDText = part
		case "ends":
			c.IDEnds = view[uint64](part)
		default:
			return nil, fmt.Errorf("unknown section %q", x.Kind)
		}
	}
	return feature.NewTable(s, c)
}
