package secagg_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
)

// oracle is a coordinator with c corrupt members that lies to real clients and
// then solves for everything its view determines linearly (§18): each mask is an
// unknown, each observed y an equation, opened seeds are known.
type oracle struct {
	t       *testing.T
	rnd     *rand.Rand
	n       int
	corrupt secagg.Set
	locks   map[uint8]map[[32]byte]secagg.Set
	lockOff bool

	masks map[string]int // unknown masks by name
	rows  []equation
	xs    int // unknown values, n unless a test has several places
}

// equation is Σ ±mask + Σ x = y; y itself plays no part.
type equation struct {
	masks map[int]int64
	x     map[uint8]int64
}

const prime = 2305843009213693951 // 2^61 − 1

// TestOracle: no history of three attempts at one step opens more than one sum,
// and that one has at least t−c honest inputs (S26, S27, S33, lemma of §8).
func TestOracle(t *testing.T) {
	unlessShort(t)
	const n = 7
	requireOneSum(t, n, 25)

	// With S33 switched off the same oracle finds one member's vector.
	o := newOracle(t, 99, n)
	o.lockOff = true
	all := secagg.SetOf(secaggtest.Indexes(n)...)
	victim := all.Minus(o.corrupt).Members()[0]
	o.attempt(1, all, all)
	o.attempt(2, all.Without(victim), all.Without(victim))
	require.Len(t, o.solve(), 2)
}

// V10, V11, V13, V16: the same over graphs in which a member has about seven
// neighbours of nine.
func TestVersion2Oracle(t *testing.T) {
	unlessShort(t)
	forceVersion2(t, 6)
	requireOneSum(t, 10, 6)
}

// requireOneSum runs three attempts at one step for each seed.
func requireOneSum(t *testing.T, n int, seeds uint64) {
	t.Helper()
	released := 0
	for seed := range seeds {
		o := newOracle(t, seed, n)
		for attempt := range 3 {
			o.attempt(uint32(attempt+1), o.randomSet(), o.randomSet())
		}
		sums := o.solve()
		require.LessOrEqual(t, len(sums), 1, "seed %d", seed)
		for _, s := range sums {
			released++
			require.GreaterOrEqual(t, len(s), 2*secagg.Threshold(n)-n) // t − c
		}
	}
	require.Greater(t, released, 2) // the oracle is not blind
}

func newOracle(t *testing.T, seed uint64, n int) *oracle {
	o := &oracle{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), n: n, xs: n, locks: map[uint8]map[[32]byte]secagg.Set{}, masks: map[string]int{}}
	for _, i := range o.rnd.Perm(n)[:n-secagg.Threshold(n)] {
		o.corrupt = o.corrupt.With(uint8(i + 1))
	}
	for _, i := range secaggtest.Indexes(n) {
		o.locks[i] = map[[32]byte]secagg.Set{}
	}
	return o
}

// randomSet is all members, often without some of them, who stay at least t.
func (o *oracle) randomSet() secagg.Set {
	s := secagg.SetOf(secaggtest.Indexes(o.n)...)
	for range o.rnd.IntN(o.n - secagg.Threshold(o.n) + 1) {
		s = s.Without(uint8(1 + o.rnd.IntN(o.n)))
	}
	return s
}

// attempt runs a batch in which some honest members, at random, are told that
// b survived and the others that a did; the corrupt sign everything.
func (o *oracle) attempt(round uint32, a, b secagg.Set) {
	batch := secaggtest.New(o.t, secaggtest.Options{Members: secaggtest.Indexes(o.n), Round: round, Client: func(i uint8, c *secagg.ClientConfig) {
		if !o.lockOff {
			c.Lock = func(sigma [32]byte) (secagg.Set, bool) { s, ok := o.locks[i][sigma]; return s, ok }
		}
	}})
	batch.Advertise(batch.Cohort())
	require.NoError(o.t, batch.Share(batch.Cohort()))
	require.NoError(o.t, batch.Mask(batch.Cohort()))
	batch.ToCoord = func(uint8, []secagg.Frame) []secagg.Frame { return nil }
	honest := batch.Cohort().Minus(o.corrupt)
	groups := [2]secagg.Set{honest, {}}
	for _, i := range honest.Members() {
		if o.rnd.IntN(3) == 0 && a != b {
			groups[0], groups[1] = groups[0].Without(i), groups[1].With(i)
		}
	}
	opened := map[[3]uint8]int{}
	for g, set := range []secagg.Set{a, b} {
		o.release(batch, groups[g], set, opened)
	}
	o.observe(batch, honest, round, opened)
	for i, facts := range batch.Facts {
		for _, f := range facts {
			if f.Kind == secagg.FactLock {
				o.locks[i][f.Lock] = f.Survivors
			}
		}
	}
}

// release takes a group through Agree and Unmask and counts the shares it gives.
func (o *oracle) release(b *secaggtest.Batch, group, set secagg.Set, opened map[[3]uint8]int) {
	var signs []secagg.Frame
	for _, i := range group.Members() {
		b.Deliver(i, survivors(b, set))
		if b.Errors[i] == nil {
			signs = append(signs, b.Sent[i][3][0])
		}
	}
	if len(signs) == 0 {
		return
	}
	for _, i := range o.corrupt.Members() {
		if set.Has(i) {
			signs = append(signs, secagg.SignFrame(b.Sign(i), secagg.TypeAgree, dspec(b), i, signs[0].Body))
		}
	}
	ordered := make([]secagg.Frame, 0, len(signs))
	for _, i := range b.Cohort().Members() {
		for _, f := range signs {
			if f.Sender == i {
				ordered = append(ordered, f)
			}
		}
	}
	for _, i := range group.Members() {
		b.Deliver(i, []secagg.Frame{secagg.ForgeCertificate(ordered)})
		if b.Errors[i] == nil && len(b.Sent[i]) > 4 {
			for _, s := range secagg.UnmaskSecrets(b.Sent[i][4][0]) {
				opened[s]++
			}
		}
	}
}

// observe adds the honest members' uploads; masks whose seeds the adversary has,
// or can put together with its own shares, are known and left out.
func (o *oracle) observe(b *secaggtest.Batch, honest secagg.Set, round uint32, opened map[[3]uint8]int) {
	enough := func(dealer uint8) int {
		near, t := secagg.Near(b.Server, dealer)
		return t - near.Intersect(o.corrupt).Len()
	}
	for _, i := range honest.Members() {
		e := equation{masks: map[int]int64{}, x: map[uint8]int64{i: 1}}
		for _, j := range honest.Members() {
			id, sign, dealer := [3]uint8{1, min(i, j), max(i, j)}, int64(1), i
			if near, _ := secagg.Near(b.Server, i); i != j && !near.Has(j) {
				continue
			}
			if i == j {
				id[0] = 0
			} else if secagg.Deals(j, i) {
				dealer = j
			}
			if j < i {
				sign = -1
			}
			if opened[id] < enough(dealer) {
				e.masks[o.unknown(round, id)] = sign
			}
		}
		o.rows = append(o.rows, e)
	}
}

func (o *oracle) unknown(round uint32, id [3]uint8) int {
	name := string([]byte{byte(round), id[0], id[1], id[2]})
	if _, ok := o.masks[name]; !ok {
		o.masks[name] = len(o.masks)
	}
	return o.masks[name]
}

// solve eliminates the masks and returns the independent combinations of honest
// vectors that are left, each as the members in it.
func (o *oracle) solve() (sums [][]uint8) {
	m := make([][]uint64, len(o.rows))
	width := len(o.masks) + o.xs + 1
	for r, e := range o.rows {
		m[r] = make([]uint64, width)
		for k, v := range e.masks {
			m[r][k] = modular(v)
		}
		for i, v := range e.x {
			m[r][len(o.masks)+int(i)] = modular(v)
		}
	}
	done := 0
	for col := 0; col < width && done < len(m); col++ {
		pivot := done
		for pivot < len(m) && m[pivot][col] == 0 {
			pivot++
		}
		if pivot == len(m) {
			continue
		}
		m[done], m[pivot] = m[pivot], m[done]
		inv := power(m[done][col], prime-2)
		for r := done + 1; r < len(m); r++ {
			if f := times(m[r][col], inv); f != 0 {
				for k := col; k < width; k++ {
					m[r][k] = (m[r][k] + prime - times(f, m[done][k])) % prime
				}
			}
		}
		if col >= len(o.masks) {
			for r := range m[:done] { // above as well: each sum by itself
				if f := times(m[r][col], inv); f != 0 && leading(m[r]) >= len(o.masks) {
					for k := col; k < width; k++ {
						m[r][k] = (m[r][k] + prime - times(f, m[done][k])) % prime
					}
				}
			}
		}
		done++
	}
	for _, row := range m[:done] {
		if leading(row) < len(o.masks) {
			continue
		}
		var in []uint8
		for k := len(o.masks); k < width; k++ {
			if row[k] != 0 {
				in = append(in, uint8(k-len(o.masks)))
			}
		}
		sums = append(sums, in)
	}
	return sums
}

// leading returns the first column that is not zero.
func leading(row []uint64) int { return slices.IndexFunc(row, func(v uint64) bool { return v != 0 }) }
