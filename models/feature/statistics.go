package feature

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Floor is the smallest number of rows behind anything learnt from a sum: a
// cell, bucket or name below it is never looked into further.
const Floor = 20

// maxRows bounds the rows of a whole federation, so that no sum overflows:
// maxRows·(2³² − 1) < 2⁶³.
const maxRows = 1 << 31

// statisticsSteps is the number of sums: cells and buckets; their parts; the
// parts of those, and names.
const statisticsSteps = 3

var errDone = errors.New("statistics: all sums are already applied")

// Statistics is the machine behind a plan's statistics rounds. Every member and
// the coordinator run it on the same sums and arrive at the same encoder; no
// party sees a count of one table. It reads labelled training rows only.
//
// Three integer vectors are summed in turn. Each begins with the number of
// rows and of positives behind it, then holds a block for each feature and
// group column in schema order:
//
//	step 1  number: missing, then up to 4096 cells of the order-preserving
//	        float32 key; listed category: one count a value, then missing;
//	        other category: missing, then 4096 buckets of
//	        SHA-256(column ‖ 0 ‖ value)
//	step 2  each heavy cell: its 64 parts; each bucket of at least Floor
//	        rows: its 256 parts (eight more bits of the hash)
//	step 3  each heavy part of a cell: its 64 parts; each part of a bucket
//	        of at least Floor rows: [rows, Σ bytes of the name,
//	        Σ the sixteen 4-byte words of the name]
//
// A part of a bucket that holds one value only divides exactly by its rows,
// and the name so found hashes back into it: the name is learnt. A part below
// Floor rows is never asked for names, so a name comes out of a sum only if at
// least Floor rows of the whole cohort stand in its part. At most MaxValues
// names of a column are learnt, the most frequent.
//
// Between steps the cohort may change; each step is read as shares of what the
// step before found (trees 11–16).
type Statistics struct {
	schema  *Schema
	noise   *Noise // of private statistics, nil without
	columns []statColumn
	applied [][]int64 // the sums so far: the whole state follows from them
	rows    int64
	pos     int64
}

// statColumn gathers what the sums say about one column.
type statColumn interface {
	name() string
	words(step int) int                                  // length of its block
	count(step int, t *Table, rows []int32, out []int64) // adds the rows of t to its block
	apply(step int, rows int64, block []int64) error     // takes in the block of the sum
	opened(step int, b []byte) []byte                    // appends what the block of that step asks for
}

// NewStatistics returns the machine before its first sum. The schema must be
// valid.
func NewStatistics(s *Schema) *Statistics {
	st := &Statistics{schema: s}
	for _, c := range s.Columns {
		switch {
		case !c.IsFeature() && c.Role != RoleGroup:
		case c.Type == TypeNumber:
			st.columns = append(st.columns, newNumberStat(c))
		case c.Type == TypeBoolean:
			st.columns = append(st.columns, &listedStat{column: c.Name, values: []string{"0", "1"}})
		case len(c.Values) > 0:
			st.columns = append(st.columns, &listedStat{column: c.Name, values: c.Values})
		default:
			st.columns = append(st.columns, &learntStat{column: c.Name})
		}
	}
	return st
}

// step is the sum asked for next, from 1.
func (s *Statistics) step() int { return len(s.applied) + 1 }

// Done reports whether no sum is left to ask for. The second and third are
// left out if nothing is heavy enough to be looked into. Private statistics have
// one.
func (s *Statistics) Done() bool {
	if s.noise != nil {
		return s.step() > 1
	}
	return s.step() > statisticsSteps || s.step() > 1 && s.Words() == headWords
}

const headWords = 2 // rows, positives

// Words returns the length of the next vector; 0 when done.
func (s *Statistics) Words() int {
	if s.step() > statisticsSteps || s.noise != nil && s.Done() {
		return 0
	}
	n := headWords
	for _, c := range s.columns {
		n += c.words(s.step())
	}
	return n
}

// Query names the next vector: a SHA-256 over the schema, the step, all cells
// and buckets it asks for and, in private statistics, the noise.
func (s *Statistics) Query() [32]byte {
	d := s.schema.Digest()
	b := append([]byte("koinon statistics 1\x00"), d[:]...)
	if s.noise != nil {
		b = append([]byte("koinon private statistics 1\x00"), d[:]...)
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(s.noise.Sigma))
		b = binary.BigEndian.AppendUint64(b, uint64(s.noise.Members))
	}
	b = append(b, byte(s.step()))
	for _, c := range s.columns {
		b = binary.BigEndian.AppendUint32(b, uint32(c.words(s.step())))
		b = c.opened(s.step(), b)
	}
	return sha256.Sum256(b)
}

// Bound is the largest word a member with that many rows can hold in the next
// vector, before noise: a count, or in step 3 a sum of 4-byte words.
func (s *Statistics) Bound(rows uint32) uint64 {
	if s.step() < statisticsSteps {
		return uint64(rows)
	}
	return uint64(rows) * (1<<32 - 1)
}

// Rows returns the labelled training rows of the first sum, with its noise, 0
// before it.
func (s *Statistics) Rows() int64 { return s.rows }

// Positives returns how many of Rows are positive.
func (s *Statistics) Positives() int64 { return s.pos }

// Count returns a member's vector for the next sum: Words() integers, none
// above Bound(rows), and none with noise, which the member adds. The table must have been read under the same schema.
func (s *Statistics) Count(t *Table) ([]int64, error) {
	if s.Done() {
		return nil, errDone
	}
	if t.schema != s.schema && t.schema.Digest() != s.schema.Digest() {
		return nil, fmt.Errorf("statistics: table was read under another schema (%s)", t.schema.Name)
	}
	if t.scoring {
		return nil, errors.New("statistics: table was read for scoring, where values are not checked")
	}
	rows := t.Select(SelectTrain)
	out := make([]int64, s.Words())
	out[0] = int64(len(rows))
	for _, r := range rows {
		out[1] += int64(t.label[r])
	}
	at := headWords
	for _, c := range s.columns {
		n := c.words(s.step())
		c.count(s.step(), t, rows, out[at:at+n])
		at += n
	}
	return out, nil
}

// Apply takes in the sum over the survivors. A sum of wrong length, with a
// negative count, or whose columns do not add up to its rows is an error and
// leaves the machine unusable. With noise, counts may be negative and need not
// add up; rows that do not stand out of it are an error.
func (s *Statistics) Apply(sum []int64) error {
	if s.Done() {
		return errDone
	}
	step := s.step()
	if len(sum) != s.Words() {
		return fmt.Errorf("statistics: sum %d has %d words, want %d", step, len(sum), s.Words())
	}
	if s.noise != nil {
		if err := s.applyPrivate(sum); err != nil {
			return err
		}
		s.applied = append(s.applied, slices.Clone(sum))
		return nil
	}
	rows, pos := sum[0], sum[1]
	switch {
	case rows < 0 || pos < 0 || pos > rows || rows > maxRows:
		return fmt.Errorf("statistics: sum %d counts %d positives in %d rows", step, pos, rows)
	case step == 1 && rows < Floor:
		return fmt.Errorf("statistics: %d labelled training rows in the whole cohort, at least %d are needed", rows, Floor)
	}
	at := headWords
	for _, c := range s.columns {
		n := c.words(step)
		if err := c.apply(step, rows, sum[at:at+n]); err != nil {
			return fmt.Errorf("statistics: sum %d, column %s: %w", step, c.name(), err)
		}
		at += n
	}
	if step == 1 {
		s.rows, s.pos = rows, pos
	}
	s.applied = append(s.applied, slices.Clone(sum))
	return nil
}

// total adds counts and refuses one outside [0, rows] or a total above rows.
func total(counts []int64, rows int64) (int64, error) {
	var n int64
	for i, c := range counts {
		if c < 0 || c > rows {
			return 0, fmt.Errorf("count %d is %d, of %d rows", i, c, rows)
		}
		n += c
	}
	if n > rows {
		return 0, fmt.Errorf("counts add up to %d, of %d rows", n, rows)
	}
	return n, nil
}

// whole is total for a block in which every row stands exactly once.
func whole(counts []int64, rows int64) error {
	n, err := total(counts, rows)
	if err == nil && n != rows {
		err = fmt.Errorf("counts add up to %d, of %d rows", n, rows)
	}
	return err
}

// Versions of the stored state.
const (
	statisticsVersion = 1
	privateVersion    = 2 // words are signed varints
)

// MarshalBinary writes the state: a version byte, the number of sums applied,
// then for each its length and its words as varints, signed in private
// statistics.
func (s *Statistics) MarshalBinary() ([]byte, error) {
	b := []byte{s.version(), byte(len(s.applied))}
	for _, sum := range s.applied {
		b = binary.AppendUvarint(b, uint64(len(sum)))
		for _, w := range sum {
			if s.noise != nil {
				b = binary.AppendVarint(b, w)
			} else {
				b = binary.AppendUvarint(b, uint64(w))
			}
		}
	}
	return b, nil
}

func (s *Statistics) version() byte {
	if s.noise != nil {
		return privateVersion
	}
	return statisticsVersion
}

// UnmarshalStatistics reads what MarshalBinary wrote, by applying the sums
// again with all their checks; any other byte is refused.
func UnmarshalStatistics(schema *Schema, b []byte) (*Statistics, error) {
	return NewStatistics(schema).restore(b)
}

// UnmarshalPrivateStatistics is UnmarshalStatistics for private statistics of
// that noise.
func UnmarshalPrivateStatistics(schema *Schema, n Noise, b []byte) (*Statistics, error) {
	return NewPrivateStatistics(schema, n).restore(b)
}

func (s *Statistics) restore(b []byte) (*Statistics, error) {
	if len(b) < 2 || b[0] != s.version() || b[1] > statisticsSteps {
		return nil, errors.New("statistics state: unknown version")
	}
	sums, b := int(b[1]), b[2:]
	for range sums {
		n, err := uvarint(&b)
		if err != nil {
			return nil, err
		}
		if s.Done() || n != uint64(s.Words()) {
			return nil, fmt.Errorf("statistics state: sum %d has %d words, want %d", s.step(), n, s.Words())
		}
		sum := make([]int64, n)
		for i := range sum {
			w, err := uvarint(&b)
			if err != nil {
				return nil, err
			}
			if sum[i] = int64(w); s.noise != nil {
				sum[i] = int64(w>>1) ^ -int64(w&1) // as binary.Varint
			}
		}
		if err := s.Apply(sum); err != nil {
			return nil, err
		}
	}
	if len(b) > 0 {
		return nil, fmt.Errorf("statistics state: %d bytes too many", len(b))
	}
	return s, nil
}

// uvarint takes a varint in its shortest spelling off b.
func uvarint(b *[]byte) (uint64, error) {
	v, n := binary.Uvarint(*b)
	if n <= 0 || n > 1 && (*b)[n-1] == 0 {
		return 0, errors.New("statistics state: broken integer")
	}
	*b = (*b)[n:]
	return v, nil
}
