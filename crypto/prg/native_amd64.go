//go:build !purego

package prg

import "golang.org/x/sys/cpu"

// schedule is the 15 round keys of AES-256 as expandKey makes them.
type schedule [15 * 16]byte

// The add functions add the mask from that block on to words words at dst, a
// positive multiple of groupWords, or subtract it when sign is all ones instead
// of zero. The scheduler cannot interrupt them: chunkWords take a microsecond.

//go:noescape
func addAES(dst *uint64, words int, key *schedule, block, sign uint64)

//go:noescape
func addVAES(dst *uint64, words int, key *schedule, block, sign uint64)

//go:noescape
func addVAES512(dst *uint64, words int, key *schedule, block, sign uint64)

// expandKey computes the round keys in constant time.
//
//go:noescape
func expandKey(s *schedule, key *[32]byte)

// hasVAES reads bit 9 of ECX of CPUID leaf 7, which every processor with AVX2
// has. cpu.X86 tells of it only where there is AVX-512 too.
func hasVAES() bool

// width is that of the vector registers in use, in bits: 128, 256 or 512.
type width int

// native lists the kernels this machine can run, fastest first. The flags of
// cpu.X86 for AVX2 and AVX-512 say that the operating system keeps their
// registers, too.
func native() (all []kernel) {
	x86 := &cpu.X86
	if !x86.HasAVX2 || !x86.HasAES {
		return nil
	}
	if hasVAES() {
		if x86.HasAVX512F && x86.HasAVX512BW {
			all = append(all, kernel{"vaes512", width(512).apply})
		}
		all = append(all, kernel{"vaes", width(256).apply})
	}
	return append(all, kernel{"aes", width(128).apply})
}

// apply is Apply on one processor. The round keys are wiped after use.
func (w width) apply(dst []uint64, wordOffset uint64, streams []Stream) {
	keys := make([]schedule, len(streams))
	defer clear(keys)
	for i := range streams {
		expandKey(&keys[i], &streams[i].Key)
	}
	for len(dst) > 0 {
		// Chunks end where they do in the mask, so that all but the first begin
		// with a whole block.
		n := min(len(dst), chunkWords-int(wordOffset%chunkWords))
		for i := range streams {
			sign := uint64(0)
			if streams[i].Negative {
				sign = ^sign
			}
			w.chunk(dst[:n], wordOffset, &keys[i], sign)
		}
		dst, wordOffset = dst[n:], wordOffset+uint64(n)
	}
}

// chunk gives the assembly whole groups that begin with a whole block, and
// takes what is before and after them from a group of its own.
func (w width) chunk(dst []uint64, word uint64, key *schedule, sign uint64) {
	if word%2 == 1 {
		n := min(len(dst), groupWords-1)
		w.part(dst[:n], word, key, sign)
		dst, word = dst[n:], word+uint64(n)
	}
	if n := len(dst) - len(dst)%groupWords; n > 0 {
		w.add(&dst[0], n, key, word/2, sign)
		dst, word = dst[n:], word+uint64(n)
	}
	if len(dst) > 0 {
		w.part(dst, word, key, sign)
	}
}

// part adds less than a group, from either word of a block on.
func (w width) part(dst []uint64, word uint64, key *schedule, sign uint64) {
	var group [groupWords]uint64
	w.add(&group[0], groupWords, key, word/2, sign)
	for i, v := range group[word%2:][:len(dst)] {
		dst[i] += v
	}
	clear(group[:])
}

// add calls the function of the width by its name: through a variable, its
// arguments would have to live on the heap.
func (w width) add(dst *uint64, words int, key *schedule, block, sign uint64) {
	switch w {
	case 512:
		addVAES512(dst, words, key, block, sign)
	case 256:
		addVAES(dst, words, key, block, sign)
	default:
		addAES(dst, words, key, block, sign)
	}
}
