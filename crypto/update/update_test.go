package update

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/koinon-eu/koinon/crypto/ring"
)

func stream(seed byte) io.Reader { return rand.NewChaCha8([32]byte{seed}) }

func encoding(params, ints, bits, members int) Encoding {
	lanes := map[int]int{24: 2, 15: 3, 10: 4, 8: 4}[bits]
	return Encoding{
		Layout: ring.Layout{Params: params, Lanes: lanes, Bits: bits, Ints: ints},
		ClipL2: 1e6, ClipInf: 2, WeightCap: 1024, WeightBits: 4, Members: members, IntMax: 1 << 40,
	}
}

// TestWeightKeepsLeadingBits: S44.
func TestWeightKeepsLeadingBits(t *testing.T) {
	for _, c := range []struct {
		rows, limit uint32
		bits        uint8
		want        uint64
	}{
		{0, 100, 4, 0},
		{1, 100, 4, 1},
		{15, 100, 4, 15},
		{17, 100, 4, 16},
		{31, 100, 4, 30},
		{1000, 1024, 4, 960},
		{1000, 1024, 0, 1000},
		{1000, 1024, 32, 1000},
		{1000, 512, 4, 512},
		{math.MaxUint32, math.MaxUint32, 1, 1 << 31},
	} {
		require.Equal(t, c.want, Weight(c.rows, c.limit, c.bits), "%+v", c)
	}
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.Uint32Range(1, math.MaxUint32).Draw(t, "rows")
		w := Weight(rows, math.MaxUint32, 4)
		require.LessOrEqual(t, w, uint64(rows))
		require.Less(t, float64(rows)-float64(w), 0.125*float64(rows)) // error < 12.5 %
	})
}

// TestSumDecodesToWeightedMean: S45, S47, S49, for all survivors and lane widths.
func TestSumDecodesToWeightedMean(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := rapid.IntRange(1, 64).Draw(t, "members")
		bits := rapid.SampledFrom([]int{24, 15, 10, 8}).Draw(t, "bits")
		e := encoding(rapid.IntRange(1, 9).Draw(t, "params"), 2, bits, members)
		n := rapid.IntRange(1, members).Draw(t, "survivors")
		sum := make([]uint64, e.Layout.Words())
		want, weight := make([]float64, e.Layout.Params), 0.0
		ints := []int64{0, 0}
		for i := range n {
			x := make([]float32, e.Layout.Params)
			rows := rapid.Uint32Range(1, 2000).Draw(t, "rows")
			w := float64(Weight(rows, e.WeightCap, e.WeightBits))
			weight += w
			for p := range x {
				x[p] = rapid.Float32Range(-2, 2).Draw(t, "x")
				want[p] += w * float64(x[p])
			}
			own := []int64{rapid.Int64Range(-1<<40, 1<<40).Draw(t, "int"), int64(i)}
			ints[0], ints[1] = ints[0]+own[0], ints[1]+own[1]
			words, err := e.Encode(x, own, rows, stream(byte(i)))
			require.NoError(t, err)
			ring.Add(sum, words)
		}
		mean, err := e.Decode(sum, n)
		require.NoError(t, err)
		require.Equal(t, ints, mean.Ints)
		require.InDelta(t, weight, float64(mean.Weight), 0)
		require.Equal(t, n, mean.Survivors)
		for p, v := range mean.Values { // each member is off by less than one unit
			require.InDelta(t, want[p]/weight, v, float64(n)*e.unit(mean.Weight)+1e-6)
		}
	})
}

// TestRoundingIsUnbiased: S45 step 5, S50. The mean over many roundings comes
// within five of its own standard errors, and their spread is that of S50.
func TestRoundingIsUnbiased(t *testing.T) {
	const repeats = 20_000
	for _, bits := range []int{24, 15} {
		e := encoding(4, 0, bits, 3)
		x := []float32{0.123456, -1.98765, 1e-7, 0.3333333}
		var sum, squares [4]float64
		rnd := stream(9)
		var unit float64
		for range repeats {
			words, err := e.Encode(x, nil, 1000, rnd)
			require.NoError(t, err)
			mean, err := e.Decode(words, 1)
			require.NoError(t, err)
			unit = e.unit(mean.Weight)
			for p, v := range e.laneValues(words) {
				d := float64(v)*unit - float64(x[p])
				sum[p] += d
				squares[p] += d * d
			}
		}
		for p := range x {
			sd := math.Sqrt(squares[p] / repeats)
			require.LessOrEqual(t, sd, unit/2*1.01, "variance at most μ²/4")
			require.InDelta(t, 0, sum[p]/repeats, 5*unit/2/math.Sqrt(repeats)+unit/(1<<24), "bits %d, parameter %d", bits, p)
		}
	}
}

// laneValues returns lane − B of one member's words, before any float.
func (e Encoding) laneValues(words []uint64) []int64 {
	out := make([]int64, e.Layout.Params)
	for p := range out {
		width := e.Layout.LaneBits()
		lane := words[p/e.Layout.Lanes] >> (width * (p % e.Layout.Lanes)) & (1<<width - 1)
		out[p] = int64(lane) - e.half()
	}
	return out
}

// TestZeroStaysZero: a coordinate that no row touches carries no noise.
func TestZeroStaysZero(t *testing.T) {
	e := encoding(5, 0, 24, 3)
	words, err := e.Encode(make([]float32, 5), nil, 7, stream(1))
	require.NoError(t, err)
	require.Equal(t, make([]int64, 5), e.laneValues(words))
}

// TestClips: S45 steps 2 and 3.
func TestClips(t *testing.T) {
	e := encoding(3, 0, 24, 3)
	words, err := e.Encode([]float32{5, -5, 1}, nil, 1024, stream(1))
	require.NoError(t, err)
	mean, err := e.Decode(words, 1)
	require.NoError(t, err)
	require.InDeltaSlice(t, []float32{2, -2, 1}, mean.Values, 1e-6)
	require.Equal(t, uint64(2), mean.Clipped)

	e.ClipL2 = 1
	words, err = e.Encode([]float32{3, 0, -4}, nil, 1024, stream(1))
	require.NoError(t, err)
	mean, err = e.Decode(words, 1)
	require.NoError(t, err)
	require.InDeltaSlice(t, []float32{0.6, 0, -0.8}, mean.Values, 1e-6)
	require.Zero(t, mean.Clipped)
	require.InDelta(t, math.Sqrt(1.0/6)*e.unit(1024), e.RoundingError(mean), 1e-12)
}

// TestLanesStayInBounds: 1 ≤ lane ≤ 2^b − 1 at both ends, whatever the randomness.
func TestLanesStayInBounds(t *testing.T) {
	for _, bits := range []int{24, 15, 10, 8} {
		for _, random := range []byte{0x00, 0xff} {
			e := encoding(2, 0, bits, 3)
			words, err := e.Encode([]float32{1e30, -1e30}, nil, 1<<20, endless(random))
			require.NoError(t, err)
			for _, v := range e.laneValues(words) {
				require.GreaterOrEqual(t, v+e.half(), int64(1))
				require.LessOrEqual(t, v+e.half(), int64(1)<<bits-1)
			}
		}
	}
}

type endless byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}

// TestEncodeRefuses: S29, S44–S46. Nothing is returned with the error.
func TestEncodeRefuses(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		x      []float32
		ints   []int64
		rows   uint32
		change func(*Encoding)
		rnd    io.Reader
		want   error
	}{
		"NaN":             {x: []float32{0, nan}, rows: 1, want: ErrNotFinite},
		"Inf":             {x: []float32{inf, 0}, rows: 1, want: ErrNotFinite},
		"minus Inf":       {x: []float32{-inf, 0}, rows: 1, want: ErrNotFinite},
		"short":           {x: []float32{0}, rows: 1, want: ErrLength},
		"long":            {x: []float32{0, 0, 0}, rows: 1, want: ErrLength},
		"missing integer": {ints: []int64{}, rows: 1, want: ErrLength},
		"no rows":         {rows: 0, want: ErrWeight},
		"no cap":          {rows: 1, change: func(e *Encoding) { e.WeightCap = 0 }, want: ErrWeight},
		"weight bits":     {rows: 1, change: func(e *Encoding) { e.WeightBits = 33 }, want: ErrWeight},
		"integer high":    {ints: []int64{1<<40 + 1}, rows: 1, want: ErrRange},
		"integer low":     {ints: []int64{-1<<40 - 1}, rows: 1, want: ErrRange},
		"smallest":        {ints: []int64{math.MinInt64}, rows: 1, want: ErrRange},
		"int_max":         {rows: 1, change: func(e *Encoding) { e.IntMax = 1 << 62 }, want: ErrRange},
		"random ends":     {rows: 1, rnd: bytes.NewReader([]byte{1, 2, 3, 4, 5}), want: io.ErrUnexpectedEOF},
		"random breaks":   {rows: 1, rnd: failing{broken}, want: broken},
	} {
		t.Run(name, func(t *testing.T) {
			e := encoding(2, 1, 24, 3)
			if c.change != nil {
				c.change(&e)
			}
			if c.x == nil {
				c.x = []float32{0, 0}
			}
			if c.ints == nil {
				c.ints = []int64{0}
			}
			if c.rnd == nil {
				c.rnd = stream(1)
			}
			words, err := e.Encode(c.x, c.ints, c.rows, c.rnd)
			require.ErrorIs(t, err, c.want)
			require.Nil(t, words)
		})
	}
	for name, change := range map[string]func(*Encoding){
		"no members": func(e *Encoding) { e.Members = 0 }, "65 members in 21 bits": func(e *Encoding) { e.Layout.Bits, e.Layout.Lanes, e.Members = 15, 3, 65 },
		"odd lanes": func(e *Encoding) { e.Layout.Lanes = 5 }, "clip NaN": func(e *Encoding) { e.ClipInf = math.NaN() },
		"clip zero": func(e *Encoding) { e.ClipL2 = 0 }, "clip negative": func(e *Encoding) { e.ClipInf = -1 },
	} {
		e := encoding(2, 1, 24, 3)
		change(&e)
		require.Error(t, e.Validate(), name)
		_, err := e.Encode([]float32{0, 0}, []int64{0}, 1, stream(1))
		require.Error(t, err, name)
		_, err = e.Decode(make([]uint64, e.Layout.Words()), 1)
		require.Error(t, err, name)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestHugeWeightIsCapped: S44, v = min(rows, weight_cap).
func TestHugeWeightIsCapped(t *testing.T) {
	e := encoding(1, 0, 24, 3)
	words, err := e.Encode([]float32{1}, nil, math.MaxUint32, stream(1))
	require.NoError(t, err)
	mean, err := e.Decode(words, 1)
	require.NoError(t, err)
	require.Equal(t, uint64(1024), mean.Weight)
}

// TestDecodeRefuses: each check of S48.
func TestDecodeRefuses(t *testing.T) {
	e := encoding(3, 1, 15, 5) // one word of three 21-bit lanes, one integer, footer
	good := make([]uint64, e.Layout.Words())
	for range 2 {
		words, err := e.Encode([]float32{1, -1, 0}, []int64{-5}, 600, stream(1))
		require.NoError(t, err)
		ring.Add(good, words)
	}
	_, err := e.Decode(good, 2)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		survivors int
		change    func(w []uint64)
	}{
		"other survivors":        {3, func([]uint64) {}},
		"none":                   {0, func([]uint64) {}},
		"more than members":      {6, func(w []uint64) { w[4] = 6 }},
		"footer ones":            {2, func(w []uint64) { w[4] = 3 }},
		"no weight":              {2, func(w []uint64) { w[2] = 0 }},
		"huge weight":            {2, func(w []uint64) { w[2] = 2*1024 + 1 }},
		"negative weight":        {2, func(w []uint64) { w[2] = math.MaxUint64 }},
		"clamped":                {2, func(w []uint64) { w[3] = 7 }},
		"lane too small":         {2, func(w []uint64) { w[0] = w[0]&^(1<<21-1) | 1 }},
		"lane too large":         {2, func(w []uint64) { w[0] = w[0]&^(1<<21-1) | 2*(1<<15-1) + 1 }},
		"bits above":             {2, func(w []uint64) { w[0] |= 1 << 63 }},
		"integer":                {2, func(w []uint64) { w[1] = 2<<40 + 1 }},
		"integer negative":       {2, func(w []uint64) { n := int64(-(2<<40 + 1)); w[1] = uint64(n) }},
		"integer smallest int64": {2, func(w []uint64) { w[1] = 1 << 63 }},
	} {
		w := bytes.Clone(ring.AppendLE(nil, good))
		words, err := ring.FromLE(w)
		require.NoError(t, err)
		c.change(words)
		_, err = e.Decode(words, c.survivors)
		require.ErrorIs(t, err, ErrSum, name)
	}
	_, err = e.Decode(good[1:], 2)
	require.ErrorIs(t, err, ErrLength)
	unused := encoding(1, 0, 24, 3)
	words, err := unused.Encode([]float32{1}, nil, 3, stream(1))
	require.NoError(t, err)
	words[0] |= 1 << 32 // the second lane has no parameter
	_, err = unused.Decode(words, 1)
	require.ErrorIs(t, err, ErrSum)
}

// TestOnlyIntegers: S46, a sum without parameters needs neither clip nor lanes.
func TestOnlyIntegers(t *testing.T) {
	e := Encoding{Layout: ring.Layout{Ints: 2}, WeightCap: 1 << 31, Members: 64, IntMax: 1<<57 - 1}
	words, err := e.Encode(nil, []int64{-3, 1<<57 - 1}, 9, failing{io.EOF})
	require.NoError(t, err)
	mean, err := e.Decode(words, 1)
	require.NoError(t, err)
	require.Equal(t, []int64{-3, 1<<57 - 1}, mean.Ints)
	require.Nil(t, mean.Values)
	require.Zero(t, e.RoundingError(mean))
}

// golden pins words and means: they must be equal on amd64 v1 and v3 and on arm64 (S61).
// Change a digest only with a reason in the commit message.
var golden = []struct {
	bits         int
	words, means string
}{
	{24, "b951d5bd9a6be4884797ad8d8f8853e9", "2761859038b156de9ed511f3ca9c52ac"},
	{15, "0e411681edee92609fa5442ca067856c", "57b4b66fc18c30d8c920c81e8b462263"},
}

// TestGolden runs on every processor; see Makefile for GOAMD64=v3 and arm64.
func TestGolden(t *testing.T) {
	for _, g := range golden {
		e := encoding(10_001, 3, g.bits, 16)
		e.ClipL2 = 60
		sum := make([]uint64, e.Layout.Words())
		r := rand.New(rand.NewPCG(1, uint64(g.bits)))
		h := sha256.New()
		for m := range 16 {
			x := make([]float32, e.Layout.Params)
			for p := range x {
				x[p] = float32(r.Uint32())/(1<<31) - 1 // no transcendental function
			}
			words, err := e.Encode(x, []int64{int64(m), -1, 1 << 39}, uint32(37*m+1), stream(byte(m)))
			require.NoError(t, err)
			h.Write(ring.AppendLE(nil, words))
			ring.Add(sum, words)
		}
		mean, err := e.Decode(sum, 16)
		require.NoError(t, err)
		require.Equal(t, g.words, hex.EncodeToString(h.Sum(nil)[:16]), "words, %d bits", g.bits)
		h.Reset()
		var b []byte
		for _, v := range mean.Values {
			b = append(b, hex.EncodeToString([]byte{byte(math.Float32bits(v) >> 24), byte(math.Float32bits(v) >> 16), byte(math.Float32bits(v) >> 8), byte(math.Float32bits(v))})...)
		}
		h.Write(b)
		require.Equal(t, g.means, hex.EncodeToString(h.Sum(nil)[:16]), "means, %d bits", g.bits)
	}
}

// FuzzDecode: no input panics, and what is accepted lies within the clips.
func FuzzDecode(f *testing.F) {
	e := encoding(5, 2, 24, 8)
	words, err := e.Encode([]float32{1, -1, 0, 2, 0.5}, []int64{4, -4}, 100, stream(1))
	require.NoError(f, err)
	f.Add(ring.AppendLE(nil, words), 1, 24)
	f.Add([]byte{}, 0, 15)
	f.Fuzz(func(t *testing.T, b []byte, survivors, bits int) {
		sum, err := ring.FromLE(b)
		if err != nil {
			return
		}
		e := encoding(5, 2, 24, 8)
		if bits == 15 {
			e = encoding(5, 2, 15, 8)
		}
		mean, err := e.Decode(sum, survivors)
		if err != nil {
			return
		}
		require.Len(t, mean.Values, 5)
		for _, v := range mean.Values {
			// Σ|lane − B| ≤ n(B−1), so |mean| ≤ clip·n·cap/ΣW.
			require.LessOrEqual(t, math.Abs(float64(v)), e.ClipInf*float64(survivors)*float64(e.WeightCap)/float64(mean.Weight)*1.0001)
		}
	})
}
