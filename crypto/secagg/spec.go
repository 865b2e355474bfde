package secagg

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/koinon-eu/koinon/crypto/ring"
)

const (
	specSize = 236
	sumSize  = 230

	// MaxSums is the most sums of a batch (S9).
	MaxSums = 1024
	// MaxSecrets bounds the sums of a batch times its members (S9): what one
	// member deals and keeps, and the size of a bundle, grow with it.
	MaxSecrets = 18000
)

// checkSums holds the number of sums of a batch to S9, and their rounds to what
// the field of the round can count.
func checkSums(s Spec) error {
	m, n := int(s.Sums), s.Cohort.Len()
	switch {
	case m < 1 || m > MaxSums || m*n > MaxSecrets:
		return fmt.Errorf("%w: batch of %d sums with %d members", ErrPolicy, m, n)
	case uint64(s.Round)+uint64(m)-1 > math.MaxUint32:
		return fmt.Errorf("%w: batch of %d sums from round %d", ErrPolicy, m, s.Round)
	}
	return nil
}

// Spec opens a batch (§5, `spec`).
type Spec struct {
	Federation [32]byte
	Roster     [32]byte // digest of the roster version (S11)
	Plan       [32]byte
	Run        [16]byte
	Round      uint32 // number of the batch's first sum within the run
	Nonce      [32]byte
	Cohort     Set
	N, T       uint8     // only compared with the plan's (S5)
	Sums       uint16    // sums of the batch, at least 1 (S9)
	Deadlines  [5]uint32 // ticks for Advertise, Share, Mask, Agree, Unmask (S67)
	First      [32]byte  // digest of the first sum message
}

// MarshalBinary returns the 236 bytes of the body; it cannot fail.
func (s Spec) MarshalBinary() ([]byte, error) { return s.body(), nil }

func (s Spec) body() []byte {
	b := make([]byte, 0, specSize)
	b = append(b, s.Federation[:]...)
	b = append(b, s.Roster[:]...)
	b = append(b, s.Plan[:]...)
	b = append(b, s.Run[:]...)
	b = binary.BigEndian.AppendUint32(b, s.Round)
	b = append(b, s.Nonce[:]...)
	b = append(b, s.Cohort[:]...)
	b = append(b, s.N, s.T)
	b = binary.BigEndian.AppendUint16(b, s.Sums)
	for _, d := range s.Deadlines {
		b = binary.BigEndian.AppendUint32(b, d)
	}
	return append(b, s.First[:]...)
}

// ParseSpec reads a body of 236 bytes. Values are not judged, only their form (S18).
func ParseSpec(b []byte) (Spec, error) {
	r := reader{b: b}
	s := Spec{Federation: r.b32(), Roster: r.b32(), Plan: r.b32(), Run: [16]byte(r.take(16)), Round: r.u32(), Nonce: r.b32(), Cohort: r.set(), N: r.u8(), T: r.u8(), Sums: r.u16()}
	for i := range s.Deadlines {
		s.Deadlines[i] = r.u32()
	}
	s.First = r.b32()
	return s, r.end(TypeSpec)
}

// Version returns which protocol the batch runs: 2 with a cohort of more than
// MaxComplete, else 1 (V1).
func (s Spec) Version() int {
	if sparse(int(s.N)) {
		return 2
	}
	return 1
}

// Digest returns d_spec (§5). Its tag has the version, and everything of a batch
// is hashed or signed together with it (V2).
func (s Spec) Digest() [32]byte {
	if s.Version() == 2 {
		return hashTag(prefix2+"spec", s.body())
	}
	return hash("spec", s.body())
}

// Sum says what one sum of a batch adds up (§5, `sum`).
type Sum struct {
	Run     [16]byte
	Round   uint32
	K       uint16 // sum within the batch, from 1
	Kind    uint8
	Step    uint32   // ordinal of the plan
	Query   [32]byte // digest of what is asked
	State   [32]byte // chain of everything released so far (S58)
	Model   [32]byte // digest of encoder, parameters and moments
	Params  uint32
	Lanes   uint8
	Bits    uint8
	ClipL2  float64
	ClipInf float64

	WeightCap  uint32 // rows beyond it do not count (S44)
	WeightBits uint8  // significant bits of a weight, 0 for all
	MinRows    uint32 // a member with fewer rows declines
	Ints       uint32
	IntMax     uint64 // bound of one integer word of one member (S46)

	Members Set      // U2_k for k > 1, zero for k = 1 (S38)
	Prev    [32]byte // h3 of the last closed sum of the batch, or zero
}

// MarshalBinary returns the 230 bytes of the body; it cannot fail.
func (s Sum) MarshalBinary() ([]byte, error) { return s.body(), nil }

func (s Sum) body() []byte {
	b := make([]byte, 0, sumSize)
	b = append(b, s.Run[:]...)
	b = binary.BigEndian.AppendUint32(b, s.Round)
	b = binary.BigEndian.AppendUint16(b, s.K)
	b = append(b, s.Kind)
	b = binary.BigEndian.AppendUint32(b, s.Step)
	b = append(b, s.Query[:]...)
	b = append(b, s.State[:]...)
	b = append(b, s.Model[:]...)
	b = binary.BigEndian.AppendUint32(b, s.Params)
	b = append(b, s.Lanes, s.Bits)
	b = appendF64(b, s.ClipL2)
	b = appendF64(b, s.ClipInf)
	b = binary.BigEndian.AppendUint32(b, s.WeightCap)
	b = append(b, s.WeightBits)
	b = binary.BigEndian.AppendUint32(b, s.MinRows)
	b = binary.BigEndian.AppendUint32(b, s.Ints)
	b = binary.BigEndian.AppendUint64(b, s.IntMax)
	b = append(b, s.Members[:]...)
	return append(b, s.Prev[:]...)
}

// ParseSum reads a body of 230 bytes. It refuses NaN, infinite and negative
// zero clips (S18); whether the values make sense is Validate's question.
func ParseSum(b []byte) (Sum, error) {
	r := reader{b: b}
	s := Sum{
		Run: [16]byte(r.take(16)), Round: r.u32(), K: r.u16(), Kind: r.u8(), Step: r.u32(),
		Query: r.b32(), State: r.b32(), Model: r.b32(), Params: r.u32(), Lanes: r.u8(), Bits: r.u8(),
		ClipL2: r.f64(), ClipInf: r.f64(), WeightCap: r.u32(), WeightBits: r.u8(), MinRows: r.u32(),
		Ints: r.u32(), IntMax: r.u64(), Members: r.set(), Prev: r.b32(),
	}
	return s, r.end(TypeSum)
}

// Digest returns d_sum (§5).
func (s Sum) Digest() [32]byte { return hash("sum", s.body()) }

// Layout returns how the vector is made up (S43).
func (s Sum) Layout() ring.Layout {
	return ring.Layout{Params: int(s.Params), Lanes: int(s.Lanes), Bits: int(s.Bits), Ints: int(s.Ints)}
}

// Validate refuses values outside S9, S43, S44 and S46 for a cohort of n.
// Errors wrap ErrPolicy.
func (s Sum) Validate(n int) error {
	if err := s.Layout().Validate(n); err != nil {
		return fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	switch {
	case s.Kind == 0:
		return fmt.Errorf("%w: kind 0", ErrPolicy)
	case s.Params > 0 && !(s.ClipL2 > 0 && s.ClipInf > 0), s.ClipL2 < 0, s.ClipInf < 0:
		return fmt.Errorf("%w: clips %v and %v", ErrPolicy, s.ClipL2, s.ClipInf)
	case s.WeightCap == 0, s.WeightBits > 32: // n·2^32 < 2^63 for n ≤ 255
		return fmt.Errorf("%w: weights to %d with %d bits", ErrPolicy, s.WeightCap, s.WeightBits)
	case s.MinRows == 0:
		return fmt.Errorf("%w: members without rows would count", ErrPolicy)
	case s.IntMax > uint64(math.MaxInt64)/uint64(n):
		return fmt.Errorf("%w: integers to %d overflow with %d members", ErrPolicy, s.IntMax, n)
	}
	return nil
}
