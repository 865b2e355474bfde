package trees

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"math"

	"github.com/koinon-eu/koinon/models/feature"
)

// draw is a pseudo-random function of rows: AES-128 under a key that HKDF makes
// of a secret, a use and a number (trees 8, 31, 33).
type draw struct {
	block cipher.Block
	in    [aes.BlockSize]byte
	out   [aes.BlockSize]byte
}

func newDraw(secret [32]byte, use string, number int) *draw {
	info := string(binary.BigEndian.AppendUint32([]byte("koinon/trees/"+use+"/v1"), uint32(number)))
	key, err := hkdf.Key(sha256.New, secret[:], nil, info, 16)
	if err != nil { // only a length beyond HKDF's limit can fail
		panic("trees: hkdf: " + err.Error())
	}
	block, err := aes.NewCipher(key)
	if err != nil { // 16 bytes are a key
		panic("trees: aes: " + err.Error())
	}
	return &draw{block: block}
}

// pair returns two independent numbers in [0, 1) for a row's key.
func (d *draw) pair(key uint64) (a, b float64) {
	binary.BigEndian.PutUint64(d.in[:], key)
	d.block.Encrypt(d.out[:], d.in[:])
	return unit(d.out[:8]), unit(d.out[8:])
}

func unit(b []byte) float64 {
	return float64(float64(binary.BigEndian.Uint64(b)>>11) * math.Ldexp(1, -53))
}

// below reports whether a row is drawn with that probability.
func (d *draw) below(key uint64, probability float64) bool {
	a, _ := d.pair(key)
	return a < probability
}

// Held tells which of the given rows of a table judge when to stop: those whose
// PRF(plan, row) is below share, so that they are the same in every round and no
// side can choose them (trees 33). A row is known by its identifier or, without
// one, by its number in the file.
func Held(plan [32]byte, share float64, t *feature.Table, rows []int32) []bool {
	return held(plan, share, recordKeys(t, rows))
}

func held(plan [32]byte, share float64, keys []uint64) []bool {
	d := newDraw(plan, "validation", 0)
	out := make([]bool, len(keys))
	for i, key := range keys {
		out[i] = d.below(key, share)
	}
	return out
}
