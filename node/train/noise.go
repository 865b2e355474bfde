package train

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"io"

	"github.com/koinon-eu/koinon/models/schedule"
)

// growNoisily adds the noise of a plan with privacy to the histograms of a step
// of additive growth, before they are encoded and masked, and hides how many rows
// stand behind them (trees 61).
//
// The randomness follows from the node's own key for the run, 32 bytes of the
// operating system, from the query, which names the step and every sum before it,
// and from the histograms themselves. So a step that is asked again, also of a
// node that was started again in between, has the same noise and shows nothing
// more, as S79 wants of every integer of trees; one that is asked after other
// sums has other noise. So have other rows, however they came about: the same
// noise over them would take itself off, and show the difference.
func (m *Member) growNoisily(machine *schedule.Machine, step schedule.Step, v *Vector) error {
	if machine.Config().Privacy == nil {
		return nil
	}
	if m.runKey == [32]byte{} {
		return ErrNoRunKey
	}
	r, err := noiseStream(m.runKey, step.Query, v.Ints)
	if err != nil {
		return err
	}
	v.Rows = privateWeight
	return addNoise(v.Ints, machine.Forest().Sigma(), r)
}

// noiseStream is AES-256 in counter mode under a key that HKDF makes for a query
// and the integers that answer it.
func noiseStream(key, query [32]byte, ints []int64) (io.Reader, error) {
	h, b := sha256.New(), make([]byte, 0, 8)
	for _, v := range ints {
		h.Write(binary.BigEndian.AppendUint64(b, uint64(v)))
	}
	derived, err := hkdf.Key(sha256.New, key[:], nil, "koinon/train/noise/v1"+string(query[:])+string(h.Sum(nil)), 32)
	if err != nil {
		return nil, err
	}
	defer clear(derived)
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, err
	}
	return cipher.StreamReader{S: cipher.NewCTR(block, make([]byte, aes.BlockSize)), R: zeroBytes{}}, nil
}

// zeroBytes is what a key stream is added to.
type zeroBytes struct{}

func (zeroBytes) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
