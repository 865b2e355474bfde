// Package prg expands a key into a mask: a vector of 64-bit words that looks
// uniform to anyone without the key (S16).
//
// The words are the key stream of AES-256 in counter mode with a zero 128-bit
// big-endian counter block at word 0; word w is bytes 8w…8w+7 of the stream,
// little-endian. Any word can be computed without those before it, so a vector
// is worked on in parts.
//
// Expanding and adding are one step, since a mask that is written to memory
// first costs more in memory than in AES. The portable kernel is the standard
// library; on amd64, assembly takes its place where the processor has the
// instructions and gets the same words with them. Build with the tag purego to
// leave the assembly out.
package prg

import "github.com/koinon-eu/koinon/crypto/parallel"

const (
	// chunkWords is the part of a vector over which all streams go before the
	// next: 8 KiB stay in the first-level cache, beside as much key stream.
	chunkWords = 1024
	// pieceWords is what one processor takes at a time: 128 KiB, some
	// microseconds of work a stream, beside which a key schedule is nothing.
	pieceWords = 16 * chunkWords
)

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

// Apply adds or subtracts every stream, from word wordOffset on, to dst modulo
// 2^64 (S16). It goes chunk by chunk with all streams inside, so each word of
// dst crosses memory once however many streams there are, and uses all
// processors where dst is longer than 128 KiB. wordOffset + len(dst) must not
// exceed 2^64: blocks are counted in 64 bits, of which that takes 63.
func Apply(dst []uint64, wordOffset uint64, streams []Stream) {
	if len(streams) == 0 {
		return
	}
	parallel.Each(len(dst), pieceWords, func(lo, hi int) {
		kernels[0].apply(dst[lo:hi], wordOffset+uint64(lo), streams)
	})
}
