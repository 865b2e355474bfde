package feature

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

const (
	rootBuckets = 4096 // of an unlisted category, at the first step
	subBuckets  = 256  // of a bucket of at least Floor rows
	nameWords   = MaxValueBytes / 4
	bucketWords = 2 + nameWords // rows, Σ length, Σ words
)

// listedStat counts the listed values of a category, and missing last.
type listedStat struct {
	column string
	values []string
	counts []int64 // nil before the first sum
}

func (l *listedStat) name() string { return l.column }

func (l *listedStat) words(step int) int {
	if step == 1 {
		return len(l.values) + 1
	}
	return 0
}

func (l *listedStat) count(step int, t *Table, rows []int32, out []int64) {
	if step > 1 {
		return
	}
	for _, r := range rows {
		if code := t.texts[l.column].codes[r]; code != Missing {
			out[code]++ // the dictionary of a listed column is its list
		} else {
			out[len(l.values)]++
		}
	}
}

func (l *listedStat) apply(step int, rows int64, block []int64) error {
	if step > 1 {
		return nil
	}
	l.counts = slices.Clone(block)
	return whole(block, rows)
}

func (l *listedStat) opened(_ int, b []byte) []byte { return b }

// learntStat learns the names of a category that lists none.
type learntStat struct {
	column  string
	missing int64
	open    []uint32 // root buckets looked into, ascending
	parts   []uint32 // parts asked for names: bucket·subBuckets + part, ascending
	names   []string // learnt, in byte order
	rows    []int64  // of each name
}

func (l *learntStat) name() string { return l.column }

func (l *learntStat) words(step int) int {
	switch step {
	case 1:
		return 1 + rootBuckets
	case 2:
		return len(l.open) * subBuckets
	}
	return len(l.parts) * bucketWords
}

// bucket is the place of a value among rootBuckets·subBuckets: the first 20
// bits of SHA-256(column ‖ 0 ‖ value).
func bucket(column, value string) uint32 {
	h := sha256.Sum256([]byte(column + "\x00" + value))
	return binary.BigEndian.Uint32(h[:]) >> 12
}

func (l *learntStat) count(step int, t *Table, rows []int32, out []int64) {
	col := t.texts[l.column]
	counts := make([]int64, len(col.names))
	var missing int64
	for _, r := range rows {
		if code := col.codes[r]; code != Missing {
			counts[code]++
		} else {
			missing++
		}
	}
	if step == 1 {
		out[0] = missing
	}
	for code, n := range counts {
		if n == 0 {
			continue
		}
		value := col.names[code]
		b := bucket(l.column, value)
		switch step {
		case 1:
			out[1+b/subBuckets] += n
		case 2:
			if i, ok := slices.BinarySearch(l.open, b/subBuckets); ok {
				out[uint32(i)*subBuckets+b%subBuckets] += n
			}
		case 3:
			if i, ok := slices.BinarySearch(l.parts, b); ok {
				addName(out[i*bucketWords:(i+1)*bucketWords], value, n)
			}
		}
	}
}

// addName adds n rows of a value to [rows, Σ length, Σ words].
func addName(out []int64, value string, n int64) {
	out[0] += n
	out[1] += n * int64(len(value))
	var b [MaxValueBytes]byte
	copy(b[:], value)
	for i := range nameWords {
		out[2+i] += n * int64(binary.BigEndian.Uint32(b[4*i:]))
	}
}

// soleName returns the one value of a part, if it holds but one.
func soleName(in []int64) (string, bool) {
	n := in[0]
	if n < Floor {
		return "", false
	}
	for _, w := range in[1:] {
		if w%n != 0 {
			return "", false
		}
	}
	length := in[1] / n
	if length < 1 || length > MaxValueBytes {
		return "", false
	}
	b := make([]byte, 0, MaxValueBytes)
	for _, w := range in[2:] {
		b = binary.BigEndian.AppendUint32(b, uint32(w/n))
	}
	value := string(b[:length])
	return value, strings.Trim(string(b[length:]), "\x00") == "" && checkValue("value", value) == nil
}

func (l *learntStat) apply(step int, rows int64, block []int64) error {
	switch step {
	case 1:
		if err := whole(block, rows); err != nil {
			return err
		}
		l.missing = block[0]
		for i, n := range block[1:] {
			if n >= Floor {
				l.open = append(l.open, uint32(i))
			}
		}
	case 2:
		if _, err := total(block, rows); err != nil {
			return err
		}
		for i, n := range block {
			if n >= Floor {
				l.parts = append(l.parts, l.open[i/subBuckets]*subBuckets+uint32(i%subBuckets))
			}
		}
	case 3:
		return l.learn(rows, block)
	}
	return nil
}

// checkPart refuses sums no rows can give: in[0] rows, each word of a row in
// [0, 2³²).
func checkPart(in []int64) error {
	for i, w := range in[1:] {
		if w < 0 || w > in[0]*(1<<32-1) {
			return fmt.Errorf("word %d of a name is %d over %d rows", i, w, in[0])
		}
	}
	return nil
}

// learn reads the names out of the third sum.
func (l *learntStat) learn(rows int64, block []int64) error {
	counts := make([]int64, 0, len(l.parts))
	for i := range l.parts {
		counts = append(counts, block[i*bucketWords])
	}
	if _, err := total(counts, rows); err != nil {
		return err
	}
	type found struct {
		name string
		rows int64
	}
	var all []found
	for i, part := range l.parts {
		in := block[i*bucketWords : (i+1)*bucketWords]
		if err := checkPart(in); err != nil {
			return err
		}
		if name, ok := soleName(in); ok && bucket(l.column, name) == part {
			all = append(all, found{name, in[0]})
		}
	}
	if len(all) > MaxValues { // the rest stays unknown
		slices.SortFunc(all, func(a, b found) int {
			return cmp.Or(cmp.Compare(b.rows, a.rows), strings.Compare(a.name, b.name))
		})
		all = all[:MaxValues]
	}
	slices.SortFunc(all, func(a, b found) int { return strings.Compare(a.name, b.name) })
	for _, f := range all {
		l.names, l.rows = append(l.names, f.name), append(l.rows, f.rows)
	}
	return nil
}

func (l *learntStat) opened(step int, b []byte) []byte {
	list := l.parts
	switch step {
	case 1:
		list = nil
	case 2:
		list = l.open
	}
	for _, p := range list {
		b = binary.BigEndian.AppendUint32(b, p)
	}
	return b
}
