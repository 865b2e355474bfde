package train

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"io"

	"github.com/koinon-eu/koinon/crypto/dp"
)

// addNoise adds the discrete Gaussian of that σ, in units of the integers, to
// each of them, before they are encoded and masked (trees 61); without σ it does
// nothing. query names the step and the state it follows from.
//
// The randomness follows from the node's own key for the run, 32 bytes of the
// operating system, and the query. So a step that is asked again, also of a node
// that was started again in between, has the same noise and shows nothing more,
// as S79 wants of every integer of trees; and one that is asked after other sums
// has other noise.
func (m *Member) addNoise(sigma float64, query [32]byte, ints []int64) error {
	if sigma == 0 {
		return nil
	}
	if m.runKey == [32]byte{} {
		return ErrNoRunKey
	}
	r, err := noiseStream(m.runKey, query)
	if err != nil {
		return err
	}
	g, err := dp.NewGaussian(sigma, r)
	if err != nil {
		return err
	}
	defer g.Wipe()
	return g.Add(ints)
}

// noiseStream is AES-256 in counter mode under a key that HKDF makes.
func noiseStream(key, query [32]byte) (io.Reader, error) {
	derived, err := hkdf.Key(sha256.New, key[:], nil, "koinon/train/noise/v1"+string(query[:]), 32)
	if err != nil {
		return nil, err
	}
	defer clear(derived)
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, err
	}
	return cipher.StreamReader{S: cipher.NewCTR(block, make([]byte, aes.BlockSize)), R: zeros{}}, nil
}

// zeros is what a key stream is added to.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
