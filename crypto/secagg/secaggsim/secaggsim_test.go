package secaggsim

import (
	"crypto/hpke"
	"testing"

	"github.com/stretchr/testify/require"
)

// Two rounds of one place, the second without member 3: the difference opens it.
func TestOracleSubtracts(t *testing.T) {
	o := NewOracle()
	o.Observe(Input{Member: 1, Place: 1}, map[string]int64{"12": 1})
	o.Observe(Input{Member: 2, Place: 1}, map[string]int64{"12": -1, "23": 1})
	o.Observe(Input{Member: 3, Place: 1}, map[string]int64{"23": -1})
	require.NoError(t, Judge(o.Solve(), 3))
	require.Equal(t, "x1@1 + x2@1 + x3@1", o.Solve()[0].String())
	require.ErrorContains(t, Judge(o.Solve(), 4), "3 honest inputs")
	for _, i := range []uint8{1, 2} {
		o.Observe(Input{Member: i, Place: 1}, map[string]int64{"second": []int64{0, 1, -1}[i]})
	}
	sums := o.Solve()
	require.Len(t, sums, 2)
	require.Error(t, Judge(sums, 1))
}

// Masks that do not cancel hide everything; sums of two places do not mix.
func TestOracleHides(t *testing.T) {
	o := NewOracle()
	o.Observe(Input{Member: 1, Place: 1}, map[string]int64{"a": 1, "b": 1})
	o.Observe(Input{Member: 2, Place: 1}, map[string]int64{"a": 1, "c": 1})
	require.Empty(t, o.Solve())
	o.Observe(Input{Member: 1, Place: 2}, map[string]int64{"d": 1})
	o.Observe(Input{Member: 2, Place: 2}, map[string]int64{"d": -1})
	require.Len(t, o.Solve(), 1)
	require.NoError(t, Judge(o.Solve(), 2))
	o.Observe(Input{Member: 1, Place: 3}, map[string]int64{"a": 1, "b": 1}) // one mask for two places
	require.ErrorContains(t, Judge(o.Solve(), 1), "no sum of one place")
}

func TestQueueOrder(t *testing.T) {
	var q Queue
	var ran []int
	note := func(n int) func() { return func() { ran = append(ran, n) } }
	q.After(2, 0, note(4))
	q.After(1, 1, note(3))
	q.After(1, 0, func() { note(1)(); q.After(0, 0, note(2)) })
	for q.Next(1) {
	}
	require.Equal(t, []int{1, 2, 3}, ran)
	require.Equal(t, int64(1), q.Now())
	require.True(t, q.Next(5))
	require.False(t, q.Next(5))
	require.Equal(t, int64(5), q.Now())
}

// The stand-in is opened by the real HPKE, under the same info only.
func TestKEM(t *testing.T) {
	real, err := hpke.MLKEM768X25519().GenerateKey()
	require.NoError(t, err)
	k := NewKEM("test")
	enc, key, err := k.Seal(real.PublicKey().Bytes(), []byte("info"))
	require.NoError(t, err)
	sk, err := k.Private(real.PublicKey().Bytes())
	require.NoError(t, err)
	open := func(info string) []byte {
		r, err := hpke.NewRecipient(enc, sk, hpke.HKDFSHA256(), hpke.ExportOnly(), []byte(info))
		require.NoError(t, err)
		got, err := r.Export("koinon/secagg/v1/bundle/key", 32)
		require.NoError(t, err)
		return got
	}
	require.Equal(t, key, open("info"))
	require.NotEqual(t, key, open("other"))
	_, err = k.Private(make([]byte, 5))
	require.Error(t, err)
}

func TestTraceDigest(t *testing.T) {
	var a, b Trace
	lines := 0
	b.Print = func(string) { lines++ }
	a.Note(1, 0, 2, "advert", "accepted")
	b.Note(1, 0, 2, "advert", "accepted")
	require.Equal(t, a.Digest(), b.Digest())
	a.Bytes([]byte{1})
	require.NotEqual(t, a.Digest(), b.Digest())
	require.Equal(t, 1, lines)
}
