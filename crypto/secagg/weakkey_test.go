package secagg

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// The curve of RFC 8032 §5.1 in big integers, only to find its points of small
// order without the code under test.
var (
	field  = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	curveD = mod(new(big.Int).Mul(big.NewInt(-121665), new(big.Int).ModInverse(big.NewInt(121666), field)))
	rootM1 = new(big.Int).Exp(big.NewInt(2), new(big.Int).Rsh(new(big.Int).Sub(field, big.NewInt(1)), 2), field)
)

type curvePoint struct{ x, y *big.Int }

func mod(v *big.Int) *big.Int { return new(big.Int).Mod(v, field) }

func product(vs ...*big.Int) *big.Int {
	p := big.NewInt(1)
	for _, v := range vs {
		p = mod(p.Mul(p, v))
	}
	return p
}

func quotient(a, b *big.Int) *big.Int { return product(a, new(big.Int).ModInverse(mod(b), field)) }

// plus is the addition law of the twisted Edwards curve −x² + y² = 1 + d·x²·y².
func (p curvePoint) plus(q curvePoint) curvePoint {
	dxy := product(curveD, p.x, q.x, p.y, q.y)
	one := big.NewInt(1)
	x := new(big.Int).Add(product(p.x, q.y), product(q.x, p.y))
	y := new(big.Int).Add(product(p.y, q.y), product(p.x, q.x))
	return curvePoint{quotient(x, new(big.Int).Add(one, dxy)), quotient(y, new(big.Int).Sub(one, dxy))}
}

func (p curvePoint) times(n int) curvePoint {
	r := curvePoint{big.NewInt(0), big.NewInt(1)}
	for range n {
		r = r.plus(p)
	}
	return r
}

// lift returns a point with this y, if there is one (RFC 8032 §5.1.3).
func lift(y *big.Int) (curvePoint, bool) {
	y2, one := product(y, y), big.NewInt(1)
	x2 := quotient(new(big.Int).Sub(y2, one), new(big.Int).Add(product(curveD, y2), one))
	x := new(big.Int).Exp(x2, new(big.Int).Rsh(new(big.Int).Add(field, big.NewInt(3)), 3), field)
	if product(x, x).Cmp(x2) != 0 {
		x = product(x, rootM1)
	}
	return curvePoint{x, mod(y)}, product(x, x).Cmp(x2) == 0
}

func encode(y *big.Int, sign byte) ed25519.PublicKey {
	b := y.FillBytes(make([]byte, 32))
	slices.Reverse(b)
	b[31] |= sign << 7
	return b
}

// smallOrder returns the eight points whose order divides 8: the multiples of a
// point, times the order of the large subgroup, that is of order 8.
func smallOrder(t *testing.T) []curvePoint {
	order, _ := new(big.Int).SetString("27742317777372353535851937790883648493", 10)
	order.Add(order, new(big.Int).Lsh(big.NewInt(1), 252))
	for y := int64(2); ; y++ {
		p, ok := lift(big.NewInt(y))
		if !ok {
			continue
		}
		e, q := curvePoint{big.NewInt(0), big.NewInt(1)}, p
		for i := range order.BitLen() {
			if order.Bit(i) == 1 {
				e = e.plus(q)
			}
			q = q.plus(q)
		}
		if e.times(4).y.Cmp(big.NewInt(1)) == 0 {
			continue
		}
		var list []curvePoint
		for n := range 8 {
			list = append(list, e.times(n))
		}
		require.Zero(t, e.times(8).y.Cmp(big.NewInt(1)))
		return list
	}
}

// S10: every encoding of every point of small order, and every y that is not
// reduced, is refused as an identity key; ordinary keys are not.
func TestWeakKeys(t *testing.T) {
	two255 := new(big.Int).Lsh(big.NewInt(1), 255)
	for _, p := range smallOrder(t) {
		for sign := range byte(2) {
			require.True(t, weakKey(encode(p.y, sign)))
			if again := new(big.Int).Add(p.y, field); again.Cmp(two255) < 0 {
				require.True(t, weakKey(encode(again, sign)))
			}
		}
	}
	for y := new(big.Int).Set(field); y.Cmp(two255) < 0; y.Add(y, big.NewInt(1)) {
		require.True(t, weakKey(encode(y, 0)) && weakKey(encode(y, 1)))
	}
	require.False(t, weakKey(encode(new(big.Int).Sub(field, big.NewInt(2)), 0)))
	for i := range uint32(200) {
		seed := binary.BigEndian.AppendUint32(make([]byte, 28), i)
		require.False(t, weakKey(ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)))
	}
}

// S10: why they are refused. The standard library takes one signature, made
// without any private key, for every message under the key of order 1, and for
// one message in eight under the others.
func TestSmallOrderKeyIsForgeable(t *testing.T) {
	identity := encode(big.NewInt(1), 0)
	forged := append(bytes.Clone(identity), make([]byte, 32)...) // R = identity, S = 0
	for _, p := range smallOrder(t) {
		key, accepted := encode(p.y, byte(p.x.Bit(0))), 0
		for i := range 256 {
			if ed25519.Verify(key, []byte{byte(i)}, forged) {
				accepted++
			}
		}
		require.NotZero(t, accepted)
		if key.Equal(ed25519.PublicKey(identity)) {
			require.Equal(t, 256, accepted)
		}
		r := Roster{Coordinator: ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)}
		r.Members = []Member{{Name: "A", Index: 1, Key: key}}
		require.ErrorIs(t, r.Validate(), ErrRoster)
		r = Roster{Coordinator: key}
		require.ErrorIs(t, r.Validate(), ErrRoster)
	}
}
