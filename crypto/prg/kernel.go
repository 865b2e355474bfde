package prg

import "slices"

// groupWords is what the assembly works in: eight registers of the widest kind,
// so whole rounds of any kind.
const groupWords = 64

// kernel is one implementation of Apply, for one processor.
type kernel struct {
	name  string
	apply func(dst []uint64, wordOffset uint64, streams []Stream)
}

// kernels lists what this machine can run, fastest first.
var kernels = append(trusted(native()), kernel{"portable", portable})

// Kernel names the implementation in use on this machine: vaes512, vaes, aes
// or portable.
func Kernel() string { return kernels[0].name }

// trusted leaves out every kernel that does not reproduce the portable one. A
// processor does; emulators are known that encrypt the first block of a
// register in place of the others, which would use words of a mask twice.
func trusted(all []kernel) (good []kernel) {
	const words = 3*groupWords + 1
	streams := []Stream{{Key: [32]byte{0: 1, 31: 2}}, {Key: [32]byte{15: 3, 16: 4}, Negative: true}}
	const offset = 1<<33 - groupWords - 1 // odd, and the blocks pass 2^32
	want := make([]uint64, words)
	portable(want, offset, streams)
	for _, k := range all {
		got := make([]uint64, words)
		k.apply(got, offset, streams)
		if slices.Equal(got, want) {
			good = append(good, k)
		}
	}
	return good
}
