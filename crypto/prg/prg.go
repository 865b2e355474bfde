// Package prg expands a key into a mask: a vector of 64-bit words that looks
// uniform to anyone without the key (S16).
//
// The words are the key stream of AES-256 in counter mode with a zero 128-bit
// big-endian counter block at word 0; word w is bytes 8w…8w+7 of the stream,
// little-endian. Any word can be computed without those before it, so drivers
// may work on parts of a vector at the same time.
package prg

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
)

// chunkWords is how many words are expanded before they are added: 8 KiB of
// key stream stay in the first-level cache.
const chunkWords = 1024

// Stream is one mask to be added to a vector, or subtracted from it.
type Stream struct {
	_        [0]func() // not comparable: == on keys is not constant-time
	Key      [32]byte
	Negative bool // subtract instead of add
}

// String hides the key.
func (Stream) String() string { return "prg.Stream(redacted)" }

// GoString hides the key.
func (Stream) GoString() string { return "prg.Stream(redacted)" }

// AddAt adds the mask of key, from word wordOffset on, to dst modulo 2^64, or
// subtracts it when negative (S16).
func AddAt(dst []uint64, key [32]byte, wordOffset uint64, negative bool) {
	Apply(dst, wordOffset, []Stream{{Key: key, Negative: negative}})
}

// Apply adds or subtracts every stream, from word wordOffset on, to dst. It
// goes chunk by chunk with all streams inside, so each word of dst crosses
// memory once however many streams there are.
func Apply(dst []uint64, wordOffset uint64, streams []Stream) {
	if len(dst) == 0 || len(streams) == 0 {
		return
	}
	var buf [8 * chunkWords]byte
	open := make([]cipher.Stream, len(streams))
	for i := range streams {
		open[i] = newStream(&streams[i].Key, wordOffset)
	}
	for len(dst) > 0 {
		part := dst[:min(len(dst), chunkWords)]
		key := buf[:8*len(part)]
		for i, s := range open {
			clear(key)
			s.XORKeyStream(key, key)
			if streams[i].Negative {
				sub(part, key)
			} else {
				add(part, key)
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

func add(dst []uint64, key []byte) {
	for len(dst) >= 4 && len(key) >= 32 {
		dst[0] += binary.LittleEndian.Uint64(key[0:8])
		dst[1] += binary.LittleEndian.Uint64(key[8:16])
		dst[2] += binary.LittleEndian.Uint64(key[16:24])
		dst[3] += binary.LittleEndian.Uint64(key[24:32])
		dst, key = dst[4:], key[32:]
	}
	for i := range dst {
		dst[i] += binary.LittleEndian.Uint64(key[8*i:])
	}
}

func sub(dst []uint64, key []byte) {
	for len(dst) >= 4 && len(key) >= 32 {
		dst[0] -= binary.LittleEndian.Uint64(key[0:8])
		dst[1] -= binary.LittleEndian.Uint64(key[8:16])
		dst[2] -= binary.LittleEndian.Uint64(key[16:24])
		dst[3] -= binary.LittleEndian.Uint64(key[24:32])
		dst, key = dst[4:], key[32:]
	}
	for i := range dst {
		dst[i] -= binary.LittleEndian.Uint64(key[8*i:])
	}
}
