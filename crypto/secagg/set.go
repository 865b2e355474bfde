package secagg

import (
	"fmt"
	"math/bits"
	"strings"
)

// Set is a set of member indexes 1…255: member i is bit i mod 8 of byte
// i div 8 (S2). Bit 0 of byte 0 is zero in a valid set.
type Set [32]byte

// SetOf returns the set of the given members. Index 0 is not a member and is
// ignored.
func SetOf(members ...uint8) Set {
	var s Set
	for _, m := range members {
		s = s.With(m)
	}
	return s
}

// Has reports whether member i is in the set.
func (s Set) Has(i uint8) bool { return s[i/8]>>(i%8)&1 == 1 }

// With returns the set with member i; index 0 is ignored.
func (s Set) With(i uint8) Set {
	if i != 0 {
		s[i/8] |= 1 << (i % 8)
	}
	return s
}

// Without returns the set without member i.
func (s Set) Without(i uint8) Set {
	s[i/8] &^= 1 << (i % 8)
	return s
}

// Len returns the number of members.
func (s Set) Len() (n int) {
	for _, b := range s {
		n += bits.OnesCount8(b)
	}
	return n
}

// Members returns the indexes in ascending order.
func (s Set) Members() []uint8 {
	m := make([]uint8, 0, s.Len())
	for i, b := range s {
		for ; b != 0; b &= b - 1 {
			m = append(m, uint8(8*i+bits.TrailingZeros8(b)))
		}
	}
	return m
}

// SubsetOf reports whether every member of s is in t.
func (s Set) SubsetOf(t Set) bool {
	for i := range s {
		if s[i]&^t[i] != 0 {
			return false
		}
	}
	return true
}

// Minus returns the members of s that are not in t.
func (s Set) Minus(t Set) Set {
	for i := range s {
		s[i] &^= t[i]
	}
	return s
}

// Union returns the members of s or t.
func (s Set) Union(t Set) Set {
	for i := range s {
		s[i] |= t[i]
	}
	return s
}

// Intersect returns the members of both s and t.
func (s Set) Intersect(t Set) Set {
	for i := range s {
		s[i] &= t[i]
	}
	return s
}

// String lists the members, as in {1 2 5}.
func (s Set) String() string {
	return "{" + strings.Trim(fmt.Sprint(s.ints()), "[]") + "}"
}

func (s Set) ints() (v []int) {
	for _, m := range s.Members() {
		v = append(v, int(m))
	}
	return v
}

func (s Set) valid() bool { return s[0]&1 == 0 }

// Finest returns the size of the smallest group of members whom the sets tell
// apart from all others: who are in the same of them, and in at least one. No
// linear combination of sums over the sets shows less than such a group. Without
// a member it is 0.
func Finest(sets ...Set) int {
	groups := map[string]int{}
	for m := range 256 {
		pattern, in := make([]byte, len(sets)), false
		for i, s := range sets {
			if s.Has(uint8(m)) {
				pattern[i], in = 1, true
			}
		}
		if in {
			groups[string(pattern)]++
		}
	}
	least := 0
	for _, n := range groups {
		if least == 0 || n < least {
			least = n
		}
	}
	return least
}
