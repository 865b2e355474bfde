package secagg_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
)

// batchOracle is the oracle over all sums of a batch together. The values of a
// member at different places of the plan are different unknowns.
type batchOracle struct {
	*oracle
	b        *secaggtest.Batch
	places   map[uint16]int        // of each sum
	eligible map[uint16]secagg.Set // U2_k
	masked   map[uint16]secagg.Set // honest members whose upload the adversary has
	given    map[uint16]map[[3]uint8]int
	read     map[uint8]int // packets of each member that were looked at
	chained  bool          // seeds of sum k open those of the sums before, as in a hash chain
}

// placeWidth is more than the members, so that an unknown is place · width + member.
const placeWidth = 8

// TestBatchOracle: whatever a coordinator does with the sums of a batch, honest,
// with members left out whose vectors it has, or with two survivor sets and an
// abort, it gets one sum for each place, over at least t − c honest members
// (S37, S38, §15).
func TestBatchOracle(t *testing.T) {
	const n = 7
	released, aborted := 0, 0
	for seed := range uint64(12) {
		o := newBatchOracle(t, seed, n)
		for k := range 4 {
			lie := o.rnd.IntN(2) == 0 && k < 3
			if lie {
				aborted++
			}
			if !o.sum(lie) {
				break
			}
		}
		sums := o.solveBatch()
		perPlace := map[int]int{}
		for _, s := range sums {
			place := int(s[0]) / placeWidth
			for _, x := range s {
				require.Equal(t, place, int(x)/placeWidth, "seed %d", seed)
			}
			perPlace[place]++
			require.Equal(t, 1, perPlace[place], "seed %d", seed)
			require.GreaterOrEqual(t, len(s), 2*secagg.Threshold(n)-n)
			released++
		}
	}
	require.Greater(t, released, 10) // the oracle is not blind
	require.Greater(t, aborted, 5)

	// With seeds that open those before them, as of a hash chain, a dropout's
	// vector in a past sum falls out.
	for _, chained := range []bool{false, true} {
		o := newBatchOracle(t, 99, n)
		o.chained = chained
		require.True(t, o.honest(o.b.Cohort()))
		victim := o.b.Cohort().Minus(o.corrupt).Members()[0]
		require.True(t, o.honest(o.b.Cohort().Without(victim)))
		alone := 0
		for _, s := range o.solveBatch() {
			if len(s) == 1 {
				alone++
				require.Equal(t, []uint8{victim}, s) // place 0
			}
		}
		require.Equal(t, chained, alone == 1)
	}
}

func newBatchOracle(t *testing.T, seed uint64, n int) *batchOracle {
	o := &batchOracle{
		oracle: newOracle(t, seed, n), places: map[uint16]int{}, eligible: map[uint16]secagg.Set{},
		masked: map[uint16]secagg.Set{}, given: map[uint16]map[[3]uint8]int{}, read: map[uint8]int{},
	}
	o.xs = 5*placeWidth - 1
	o.b = secaggtest.New(t, secaggtest.Options{Members: secaggtest.Indexes(n), Sums: 4, Client: func(i uint8, c *secagg.ClientConfig) {
		c.Lock = func(name [32]byte) (secagg.Set, bool) { s, ok := o.locks[i][name]; return s, ok }
	}})
	o.b.Advertise(o.b.Cohort())
	require.NoError(t, o.b.Share(o.b.Cohort()))
	return o
}

// open gets the uploads of all who are eligible for the next sum: the same step
// again after an abort.
func (o *batchOracle) open() {
	k := o.b.Server.Sum().K
	if o.b.Packet == nil && o.b.Server.Phase() == secagg.PhaseShare {
		require.NoError(o.t, o.b.Mask(o.b.Cohort()))
		o.places[1] = 0
	} else {
		place := o.places[k]
		if o.b.Server.Phase() == secagg.PhaseClosed {
			place++
		}
		sum := o.b.Step(1)
		sum.Step += uint32(place)
		require.NoError(o.t, o.b.Next(o.b.Cohort(), sum, nil))
		k++
		o.places[k] = place
	}
	o.eligible[k] = o.b.Server.Eligible()
	o.masked[k] = o.eligible[k].Minus(o.corrupt)
	o.given[k] = map[[3]uint8]int{}
}

// sum runs one sum, with two survivor sets and an abort or as it should be, and
// reports whether another may follow.
func (o *batchOracle) sum(lie bool) bool {
	if !lie {
		set := o.randomSet()
		if o.b.Server.Phase() != secagg.PhaseShare {
			set = o.b.Server.Eligible()
			for range o.rnd.IntN(2) {
				set = set.Without(uint8(1 + o.rnd.IntN(o.n)))
			}
		}
		return o.honest(set)
	}
	o.open()
	honest := o.b.Server.Eligible().Minus(o.corrupt)
	groups := [2]secagg.Set{honest, {}}
	for _, i := range honest.Members() {
		if o.rnd.IntN(3) == 0 {
			groups[0], groups[1] = groups[0].Without(i), groups[1].With(i)
		}
	}
	o.b.ToCoord = func(uint8, []secagg.Frame) []secagg.Frame { return nil }
	for g, set := range []secagg.Set{o.b.Server.Eligible(), o.b.Server.Eligible().Without(uint8(1 + o.rnd.IntN(o.n)))} {
		o.releaseSum(groups[g], set)
	}
	o.b.ToCoord = nil
	o.look()
	for i, err := range o.b.Errors { // left out or locked: it is gone
		require.Error(o.t, err)
		require.Equal(o.t, "left", o.b.Clients[i].State())
	}
	o.b.AbortSum(secagg.ReasonAgree, o.b.Cohort())
	return o.b.Server.CanContinue() && o.alive() >= secagg.Threshold(o.n)
}

func (o *batchOracle) alive() (n int) {
	for _, i := range o.b.Server.Eligible().Members() {
		if o.b.Errors[i] == nil {
			n++
		}
	}
	return n
}

// honest runs the next sum with those of want who are eligible and have not left;
// the vectors of all others who are eligible are in the coordinator's hands too.
func (o *batchOracle) honest(want secagg.Set) bool {
	o.open()
	k := o.b.Server.Sum().K
	for i := range o.b.Errors {
		want = want.Without(i)
		o.masked[k] = o.masked[k].Without(i)
	}
	out := o.b.Server.Eligible().Minus(want)
	if want.Len() < secagg.Threshold(o.n) {
		return false
	}
	secagg.Unmark(o.b.Server, out) // it says that they did not upload
	packet, err := o.b.Server.CloseMask()
	require.NoError(o.t, err)
	for _, i := range o.b.Server.Survivors().Members() {
		o.b.Deliver(i, packet)
	}
	if o.b.Unmask(o.b.Cohort()) != nil || o.b.Publish(o.b.Cohort()) != nil {
		o.look()
		return false // a place locked to other survivors: no sum
	}
	o.look()
	return o.b.Server.CanContinue()
}

// releaseSum takes a group through Agree and Unmask with a survivor set; the
// corrupt sign everything.
func (o *batchOracle) releaseSum(group, set secagg.Set) {
	k := o.b.Server.Sum().K
	p := []secagg.Frame{secagg.ForgeSurvivors(o.b.Sign(0), dspec(o.b), k, set)}
	for _, i := range set.Members() {
		f, ok := last(o.b, i, secagg.TypeMask)
		if !ok {
			return
		}
		p = append(p, f)
	}
	var body []byte
	signers := group
	for _, i := range group.Members() {
		o.b.Deliver(i, p)
		f, ok := last(o.b, i, secagg.TypeAgree)
		if o.b.Errors[i] != nil || !ok {
			signers = signers.Without(i)
			continue
		}
		body = f.Body
	}
	if body == nil {
		return
	}
	var signs []secagg.Frame
	for _, i := range signers.Union(o.corrupt).Members() {
		if set.Has(i) {
			signs = append(signs, secagg.SignFrame(o.b.Sign(i), secagg.TypeAgree, dspec(o.b), i, body))
		}
	}
	for _, i := range signers.Members() {
		o.b.Deliver(i, []secagg.Frame{secagg.ForgeCertificate(signs)})
	}
}

// last returns the newest frame of a type that a member sent.
func last(b *secaggtest.Batch, i uint8, t secagg.Type) (secagg.Frame, bool) {
	for n := len(b.Sent[i]) - 1; n >= 0; n-- {
		if b.Sent[i][n][0].Type == t {
			return b.Sent[i][n][0], true
		}
	}
	return secagg.Frame{}, false
}

// look counts the shares that honest members gave, and keeps their locks.
func (o *batchOracle) look() {
	for _, i := range o.b.Cohort().Minus(o.corrupt).Members() {
		for ; o.read[i] < len(o.b.Sent[i]); o.read[i]++ {
			if f := o.b.Sent[i][o.read[i]][0]; f.Type == secagg.TypeUnmask {
				for _, s := range secagg.UnmaskSecrets(f) {
					o.given[uint16(f.Body[1])][s]++
				}
			}
		}
		for _, f := range o.b.Facts[i] {
			if f.Kind == secagg.FactLock {
				o.locks[i][f.Lock] = f.Survivors
			}
		}
	}
}

// solveBatch adds the equation of every upload and solves.
func (o *batchOracle) solveBatch() [][]uint8 {
	enough := secagg.Threshold(o.n) - o.corrupt.Len()
	known := func(k uint16, id [3]uint8) bool {
		for at, given := range o.given {
			if given[id] >= enough && (at == k || o.chained && at > k) {
				return true
			}
		}
		return false
	}
	for k, who := range o.masked {
		for _, i := range who.Members() {
			e := equation{masks: map[int]int64{}, x: map[uint8]int64{uint8(o.places[k]*placeWidth) + i: 1}}
			for _, j := range o.eligible[k].Minus(o.corrupt).Members() {
				id, sign := [3]uint8{1, min(i, j), max(i, j)}, int64(1)
				if i == j {
					id[0] = 0
				}
				if j < i {
					sign = -1
				}
				if !known(k, id) {
					e.masks[o.unknown(uint32(k), id)] = sign
				}
			}
			o.rows = append(o.rows, e)
		}
	}
	return o.solve()
}
