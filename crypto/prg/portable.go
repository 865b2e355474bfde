package prg

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"

	"github.com/koinon-eu/koinon/crypto/ring"
)

// portable is the reference that every other kernel equals: the counter mode
// of the standard library. Its round keys are left to the garbage collector,
// as a cipher.Block cannot be wiped.
func portable(dst []uint64, wordOffset uint64, streams []Stream) {
	var buf [8 * chunkWords]byte
	open := make([]cipher.Stream, len(streams))
	for i := range streams {
		open[i] = newStream(&streams[i].Key, wordOffset)
	}
	for len(dst) > 0 {
		part := dst[:min(len(dst), chunkWords)]
		mask := buf[:8*len(part)]
		for i, s := range open {
			clear(mask)
			s.XORKeyStream(mask, mask)
			if streams[i].Negative {
				ring.SubLE(part, mask)
			} else {
				ring.AddLE(part, mask)
			}
		}
		dst = dst[len(part):]
	}
	clear(buf[:])
}

// newStream positions the key stream at a word: two words are one AES block.
func newStream(key *[32]byte, word uint64) cipher.Stream {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("prg: " + err.Error()) // 32 bytes are a valid AES key
	}
	var counter [aes.BlockSize]byte
	binary.BigEndian.PutUint64(counter[8:], word/2)
	s := cipher.NewCTR(block, counter[:])
	if word%2 == 1 {
		var skip [8]byte
		s.XORKeyStream(skip[:], skip[:])
	}
	return s
}
