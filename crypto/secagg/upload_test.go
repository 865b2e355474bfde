package secagg_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math"
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
)

// long is a step whose vector has that many chunks, the last one short.
func long(chunks int) secagg.Sum {
	s := secaggtest.DefaultSum()
	s.Params, s.Ints = 0, uint32((chunks-1)*secagg.ChunkSize/8+5)
	return s
}

// S32, S54, S71: an upload counts only when all of it is stored; what is missing
// when U3 is fixed makes a dropout, and no part of it is in the sum.
func TestPartialUploadNotSummed(t *testing.T) {
	b := secaggtest.New(t, secaggtest.Options{Sum: long(3)})
	b.Advertise(b.Cohort())
	require.NoError(t, b.Share(b.Cohort()))
	require.NoError(t, b.Mask(b.Cohort().Without(5)))
	p, err := b.Server.CloseShare()
	require.NoError(t, err)
	_, err = b.Clients[5].Receive(p[5])
	require.NoError(t, err)
	out, err := b.Clients[5].Vector(b.Opt.Vector(5, b.Server.Sum().Layout()))
	require.NoError(t, err)
	require.ErrorIs(t, b.Server.Chunk(5, 0, out.Upload.Chunk(0)), secagg.ErrUpload) // before its mask
	require.NoError(t, b.Server.Receive(5, out.Send))
	require.NoError(t, b.Server.Chunk(5, 2, out.Upload.Chunk(2)))
	require.NoError(t, b.Server.Chunk(5, 0, out.Upload.Chunk(0)))
	require.NoError(t, b.Server.Chunk(5, 0, out.Upload.Chunk(0)))

	broken := out.Upload.Chunk(1)
	require.ErrorIs(t, b.Server.Chunk(5, 1, broken[:len(broken)-8]), secagg.ErrUpload)
	require.ErrorIs(t, b.Server.Chunk(5, 1, append(bytes.Clone(broken), 0)), secagg.ErrUpload)
	broken[777] ^= 4
	require.ErrorIs(t, b.Server.Chunk(5, 1, broken), secagg.ErrUpload)
	require.ErrorIs(t, b.Server.Chunk(5, 3, broken), secagg.ErrUpload)
	require.ErrorIs(t, b.Server.Chunk(5, math.MaxUint32, broken), secagg.ErrUpload)

	have, whole := b.Server.Have(5)
	require.Equal(t, []byte{0b101}, have)
	require.False(t, whole)
	require.ErrorIs(t, b.Server.MarkWhole(5), secagg.ErrUpload)
	require.False(t, b.Server.Answered().Has(5))
	require.NoError(t, b.Agree(b.Cohort()))
	require.NoError(t, b.Unmask(b.Cohort()))
	require.NoError(t, b.Publish(b.Cohort()))
	requireSum(t, b, b.Cohort().Without(5))
}

// Masked row: a member agrees only once its upload is stored.
func TestSurvivorsBeforeUpload(t *testing.T) {
	b := masked(t, secaggtest.Options{})
	b.Opt.Client = nil
	c, err := secagg.NewClient(b.Configs[2])
	require.NoError(t, err)
	require.ErrorIs(t, c.Uploaded(), secagg.ErrUpload)
	_, err = c.Receive(b.Server.Opening())
	require.NoError(t, err)
	_, err = c.Vector(b.Vectors[2])
	require.ErrorIs(t, err, secagg.ErrTranscript)
	require.Equal(t, "left", c.State())

	b = secaggtest.New(t, secaggtest.Options{})
	b.Advertise(b.Cohort())
	require.NoError(t, b.Share(b.Cohort()))
	b.ToCoord = func(from uint8, p []secagg.Frame) []secagg.Frame {
		if from == 2 {
			return nil
		}
		return p
	}
	require.NoError(t, b.Mask(b.Cohort()))
	b.Deliver(2, survivors(b, b.Cohort()))
	requireLeft(t, b, secagg.ErrUpload, 2)
}

// S44: no rows, no part; a zero weight hides nobody.
func TestNoRowsDeclines(t *testing.T) {
	b := secaggtest.New(t, secaggtest.Options{Client: func(i uint8, c *secagg.ClientConfig) {
		if i == 2 {
			c.Rows = 19
		}
	}})
	b.Advertise(b.Cohort())
	requireLeft(t, b, secagg.ErrNoData, 2)
	require.Empty(t, b.Sent[2])
	require.Empty(t, b.Facts[2])
}

// S29, S48: vectors and sums no honest members make.
func TestSumOutOfRange(t *testing.T) {
	s := secaggtest.DefaultSum()
	l := s.Layout()
	good := make([]uint64, l.Words())
	for i := uint8(1); i <= 5; i++ {
		ring.Add(good, secaggtest.Vector(i, 3, l))
	}
	check := func(l ring.Layout, v []uint64) error { return secagg.CheckSum(l, v, 5, s.WeightCap, s.IntMax) }
	require.NoError(t, check(l, good))
	at := l.ParamWords()
	for name, change := range map[string]func(v []uint64){
		"lane":            func(v []uint64) { v[0] = 5*(1<<24-1) + 1 },
		"upper lane":      func(v []uint64) { v[0] = (5*(1<<24-1) + 1) << 32 },
		"unused lane":     func(v []uint64) { v[2] |= 1 << 32 },
		"integer":         func(v []uint64) { v[at] = 5*s.IntMax + 1 },
		"negative":        func(v []uint64) { v[at] = -(5*s.IntMax + 1) },
		"least integer":   func(v []uint64) { v[at] = 1 << 63 },
		"no weight":       func(v []uint64) { v[at+2] = 0 },
		"weight":          func(v []uint64) { v[at+2] = 5<<20 + 1 },
		"negative weight": func(v []uint64) { v[at+2] = math.MaxUint64 },
		"clipped":         func(v []uint64) { v[at+3] = 26 },
		"ones":            func(v []uint64) { v[at+4] = 4 },
	} {
		v := append([]uint64(nil), good...)
		change(v)
		require.ErrorIs(t, check(l, v), secagg.ErrRange, name)
	}
	require.ErrorIs(t, check(l, good[1:]), secagg.ErrRange)
	three := ring.Layout{Params: 4, Lanes: 3, Bits: 15}
	v := []uint64{0, 0, 9, 0, 5}
	require.NoError(t, check(three, v))
	v[0] = 1 << 63
	require.ErrorIs(t, check(three, v), secagg.ErrRange)

	b := secaggtest.New(t, secaggtest.Options{Vector: func(i uint8, l ring.Layout) []uint64 {
		v := secaggtest.Vector(i, 0, l)
		switch i {
		case 1:
			v[len(v)-1] = 2
		case 2:
			v = v[1:]
		}
		return v
	}})
	b.Advertise(b.Cohort())
	require.NoError(t, b.Share(b.Cohort()))
	require.NoError(t, b.Mask(b.Cohort()))
	requireLeft(t, b, secagg.ErrRange, 1, 2)
	for _, f := range b.Facts[1] {
		require.NotEqual(t, secagg.FactMasked, f.Kind) // the budget is not touched
	}
}

// proofs returns chunk q of every upload and of a sum with their paths.
func proofs(b *secaggtest.Batch, q int, sum []uint64) (map[uint8]secagg.Proof, secagg.Proof) {
	cut := func(words []uint64) secagg.Proof {
		u := secagg.Upload{Words: words}
		return secagg.Proof{Data: u.Chunk(q), Path: secagg.MerklePath(secagg.ChunkHashes(words), q)}
	}
	uploads := map[uint8]secagg.Proof{}
	for _, j := range b.Server.Survivors().Members() {
		uploads[j] = cut(b.Uploads[j].Words)
	}
	return uploads, cut(sum)
}

// S56, S57: with f of Q chunks false, exactly the false chunks fail, so s drawn
// without replacement miss with C(Q−f, s)/C(Q, s).
func TestFalseSumCaught(t *testing.T) {
	const chunks = 5
	b := secaggtest.New(t, secaggtest.Options{Sum: long(chunks)})
	require.NoError(t, b.Run(map[uint8]secagg.Phase{2: secagg.PhaseMask}))
	closed := *b.Closed[1]
	caught := 0
	lie := append([]uint64(nil), b.Result...)
	lie[1] += 1 << 63
	lie[len(lie)-1]--
	forged := closed
	forged.SumRoot = secagg.SumRoot(lie)
	for q := range chunks {
		uploads, sum := proofs(b, q, b.Result)
		require.NoError(t, secagg.SpotCheck(closed, uint32(q), uploads, sum))
		require.ErrorIs(t, secagg.SpotCheck(forged, uint32(q), uploads, sum), secagg.ErrSpotCheck)
		_, forgery := proofs(b, q, lie)
		if err := secagg.SpotCheck(forged, uint32(q), uploads, forgery); err != nil {
			require.ErrorIs(t, err, secagg.ErrSpotCheck)
			caught++
		}
	}
	require.Equal(t, 2, caught) // the first and the last

	uploads, sum := proofs(b, 1, b.Result)
	require.ErrorIs(t, secagg.SpotCheck(closed, 2, uploads, sum), secagg.ErrSpotCheck)
	require.ErrorIs(t, secagg.SpotCheck(closed, chunks, uploads, sum), secagg.ErrSpotCheck)
	wrong := uploads[3]
	wrong.Data = bytes.Clone(wrong.Data)
	wrong.Data[9]++
	uploads[3] = wrong
	require.ErrorIs(t, secagg.SpotCheck(closed, 1, uploads, sum), secagg.ErrSpotCheck)
	delete(uploads, 3)
	require.ErrorIs(t, secagg.SpotCheck(closed, 1, uploads, sum), secagg.ErrSpotCheck)
}

// S31: exactly the committed seeds, or the member does not accept the result.
func TestFalseOpenings(t *testing.T) {
	for _, change := range map[string]func(p []secagg.Frame, b *secaggtest.Batch) []secagg.Frame{
		"self seed": func(p []secagg.Frame, b *secaggtest.Batch) []secagg.Frame {
			return secagg.ForgeResult(b.Sign(0), dspec(b), p, func(s [][32]byte) { s[0][0] ^= 1 })
		},
		"pair seed": func(p []secagg.Frame, b *secaggtest.Batch) []secagg.Frame {
			return secagg.ForgeResult(b.Sign(0), dspec(b), p, func(s [][32]byte) { s[len(s)-1][0] ^= 1 })
		},
		"none": func(p []secagg.Frame, _ *secaggtest.Batch) []secagg.Frame { return p[:1] },
		"unsigned": func(p []secagg.Frame, _ *secaggtest.Batch) []secagg.Frame {
			return []secagg.Frame{p[0], {Type: secagg.TypeOpenings, Body: []byte{0, 0}}}
		},
	} {
		b := secaggtest.New(t, secaggtest.Options{})
		b.ToNode = func(_ uint8, p []secagg.Frame) []secagg.Frame {
			if p[0].Type == secagg.TypeResult {
				return change(p, b)
			}
			return p
		}
		require.NoError(t, b.Run(map[uint8]secagg.Phase{4: secagg.PhaseMask}))
		requireLeft(t, b, secagg.ErrResult, 1, 2, 3, 5)
	}
}

// S62: a round verified later is the round members saw, and nothing else passes.
func TestVerifyRound(t *testing.T) {
	b := secaggtest.New(t, secaggtest.Options{})
	require.NoError(t, b.Run(map[uint8]secagg.Phase{4: secagg.PhaseMask}))
	frames := b.Server.Published()
	closed, err := secagg.VerifyRound(b.Verify(), frames)
	require.NoError(t, err)
	require.Equal(t, *b.Closed[1], closed)
	for i := range frames {
		without := append(append([]secagg.Frame(nil), frames[:i]...), frames[i+1:]...)
		_, err := secagg.VerifyRound(b.Verify(), without)
		require.Error(t, err, "without %s", frames[i].Type)
		changed := append([]secagg.Frame(nil), frames...)
		changed[i].Body = bytes.Clone(changed[i].Body)
		changed[i].Body[len(changed[i].Body)/2] ^= 1
		_, err = secagg.VerifyRound(b.Verify(), changed)
		require.Error(t, err, "changed %s", frames[i].Type)
	}
	cfg := b.Verify()
	cfg.MinSurvivors = 5
	_, err = secagg.VerifyRound(cfg, frames)
	require.ErrorIs(t, err, secagg.ErrTooFew)
	cfg = b.Verify()
	cfg.Expect.Model[0] ^= 1
	_, err = secagg.VerifyRound(cfg, frames)
	require.ErrorIs(t, err, secagg.ErrModel)
}

// S28: a masked vector looks uniform whatever is under it. Byte values and each
// bit position over zeros and over a constant; ρ is fixed, so the figures are
// the same in every run.
func TestMaskedVectorUniform(t *testing.T) {
	const words = 1 << 14
	b := secaggtest.New(t, secaggtest.Options{})
	b.Advertise(b.Cohort())
	require.NoError(t, b.Share(b.Cohort()))
	p, err := b.Server.CloseShare()
	require.NoError(t, err)
	for i, constant := range map[uint8]uint64{1: 0, 3: 0x0123456789abcdef, 5: math.MaxUint64} {
		_, err := b.Clients[i].Receive(p[i])
		require.NoError(t, err)
		y := secagg.Mask(b.Clients[i], words)
		var counts [256]float64
		var ones [64]int
		for w := range y {
			y[w] += constant
			for k := range 8 {
				counts[byte(y[w]>>(8*k))]++
			}
			for k := range ones {
				ones[k] += int(y[w] >> k & 1)
			}
		}
		mean, chi := float64(8*words)/256, 0.0
		for _, c := range counts {
			chi += (c - mean) * (c - mean) / mean
		}
		require.Less(t, chi, 360.0) // 255 degrees of freedom: p = 1.5·10⁻⁵
		for k, n := range ones {
			z := (float64(n) - words/2) / math.Sqrt(words/4)
			require.Less(t, math.Abs(z), 5.0, "bit %d", k)
		}
		var weight int
		for w := 1; w < words; w++ {
			weight += bits.OnesCount64(y[w] ^ y[w-1])
		}
		require.Less(t, math.Abs(float64(weight)-32*(words-1))/math.Sqrt(16*(words-1)), 5.0)
	}
}

// S13: rounding follows from ρ and h1 and ends with the vector.
func TestRounding(t *testing.T) {
	b := secaggtest.New(t, secaggtest.Options{})
	require.Nil(t, b.Clients[1].Rounding())
	var streams [][]byte
	b.Opt.Vector = func(i uint8, l ring.Layout) []uint64 {
		buf := make([]byte, 64)
		for range 2 {
			_, err := io.ReadFull(b.Clients[i].Rounding(), buf)
			require.NoError(t, err)
			streams = append(streams, bytes.Clone(buf))
		}
		return secaggtest.Vector(i, 0, l)
	}
	require.NoError(t, b.Run(nil))
	require.Equal(t, streams[0], streams[1])
	require.NotEqual(t, streams[0], streams[2])
	require.Nil(t, b.Clients[1].Rounding())
}

// Secrets are wiped on leaving and on closing, and never printed.
func TestSecretsWipedAndNotPrinted(t *testing.T) {
	b := masked(t, secaggtest.Options{})
	rho := sha256.Sum256([]byte{'r', 0, 1})
	for _, v := range []any{b.Clients[1], b.Configs[1], secagg.Stream{Key: rho}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			text := fmt.Sprintf(verb, v)
			require.NotContains(t, text, fmt.Sprint(rho[:4])[1:12])
			require.Less(t, len(text), 60, text)
		}
	}
	b.Clients[1].Leave()
	b.Clients[1].Leave()
	b.Errors[1] = secagg.ErrLeft
	requireLeft(t, b, secagg.ErrLeft, 1)
	_, err := b.Clients[1].Receive(b.Server.Opening())
	require.ErrorIs(t, err, secagg.ErrLeft)
	require.NoError(t, b.Agree(b.Cohort()))
	require.NoError(t, b.Unmask(b.Cohort()))
	require.NoError(t, b.Publish(b.Cohort()))
	require.Equal(t, "closed", b.Clients[2].State())
	_, seeds, shares, key := secagg.Secrets(b.Clients[2])
	require.Zero(t, seeds+shares)
	require.False(t, key)
}
