package feature

import (
	"encoding/binary"
	"math"
	"slices"
)

// noisyCells is the most cells of a number in private statistics (trees 59).
const noisyCells = 128

// linearSpan is the widest range that is cut into cells of equal width. A wider
// one is cut evenly by 1 + |x|, read as floating point, which is near its
// logarithm: amounts have a long tail.
const linearSpan = 1000

// noisyNumber counts a number in fixed cells over its declared range.
type noisyNumber struct {
	column  string
	lowest  uint32
	upper   []uint32 // upper key of each cell, ascending
	missing int64
	counts  []int64
	leaves  []leaf // that stand out of the noise, ascending
}

func newNoisyNumber(c Column) *noisyNumber {
	lo, hi := -float64(math.MaxFloat32), float64(math.MaxFloat32)
	if c.Range != nil {
		lo, hi = float64(float32(c.Range[0])), float64(float32(c.Range[1]))
	}
	n := &noisyNumber{column: c.Name, lowest: key(float32(lo))}
	for i := 1; i < noisyCells; i++ {
		k := key(float32(cut(lo, hi, i)))
		if last := n.last(); k > last && k < key(float32(hi)) {
			n.upper = append(n.upper, k)
		}
	}
	n.upper = append(n.upper, key(float32(hi)))
	return n
}

func (n *noisyNumber) last() uint32 {
	if len(n.upper) == 0 {
		return n.lowest
	}
	return n.upper[len(n.upper)-1]
}

// cut is the i-th of the noisyCells ends of cells over [lo, hi].
func cut(lo, hi float64, i int) float64 {
	part := float64(i) / noisyCells
	if hi-lo <= linearSpan {
		return lo + float64((hi-lo)*part)
	}
	a, z := nearLog(lo), nearLog(hi)
	return unNearLog(a + int64(float64(float64(z-a)*part)))
}

// nearLog rises with x like its logarithm for |x| far above 1 and like x below:
// the bits of 1 + |x|, with the sign of x.
func nearLog(x float64) int64 {
	n := int64(math.Float64bits(1+math.Abs(x)) - math.Float64bits(1))
	if x < 0 {
		return -n
	}
	return n
}

func unNearLog(n int64) float64 {
	if n < 0 {
		return -unNearLog(-n)
	}
	return math.Float64frombits(uint64(n)+math.Float64bits(1)) - 1
}

func (n *noisyNumber) name() string { return n.column }

func (n *noisyNumber) words(step int) int {
	if step > 1 {
		return 0
	}
	return 1 + len(n.upper)
}

func (n *noisyNumber) count(_ int, t *Table, rows []int32, out []int64) {
	values := t.numbers[n.column]
	for _, r := range rows {
		if v := values[r]; isMissing(v) {
			out[0]++
		} else {
			at, _ := slices.BinarySearch(n.upper, key(v))
			out[1+min(at, len(n.upper)-1)]++
		}
	}
}

func (n *noisyNumber) apply(_ int, _ int64, block []int64) error {
	n.missing, n.counts = block[0], block[1:]
	return nil
}

// denoise makes leaves of the cells: from below, neighbours are put together
// until their rows are 2 standard deviations of their sum. Where they come to
// nothing it begins anew, so that no leaf starts in an empty stretch. A cell that
// stands out alone is a leaf alone; rows that were put together below it and do
// not stand out are counted to it.
func (n *noisyNumber) denoise(sigma float64) {
	if n.missing < threshold(sigma) {
		n.missing = 0
	}
	var from uint32
	var sum, cells int64
	lo := n.lowest
	for i, hi := range n.upper {
		if cells == 0 || n.counts[i] >= standing(sigma, 1) {
			from, cells = lo, 0
		}
		sum, cells, lo = sum+n.counts[i], cells+1, hi+1
		switch {
		case sum <= 0:
			sum, cells = 0, 0
		case sum >= standing(sigma, cells):
			n.leaves = append(n.leaves, leaf{from, hi, sum})
			sum, cells = 0, 0
		}
	}
}

// quiet is drown for the cells of a number. Noise alone reaches it now and then,
// but a leaf too many costs little, while rows that are lost take their cuts with
// them: on public data 2 is better than 3, and 3 than 4.
const quiet = 2

// standing is the fewest rows, at least one, with which so many cells stand out
// of the noise of their sum.
func standing(sigma float64, cells int64) int64 {
	deviation := float64(sigma * math.Sqrt(float64(cells)))
	return max(1, int64(math.Ceil(min(float64(quiet*deviation), maxRows))))
}

func (n *noisyNumber) opened(_ int, b []byte) []byte {
	for _, k := range n.upper {
		b = binary.BigEndian.AppendUint32(b, k)
	}
	return b
}
