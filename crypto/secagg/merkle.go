package secagg

import "crypto/sha256"

// maxDepth bounds a path in a tree over the members of a cohort.
const maxDepth = 8

// leafHash is the hash of one Merkle leaf (S4). What it puts together may be
// secret and is overwritten.
func leafHash(parts ...[]byte) [32]byte {
	var short [160]byte // enough for every commitment
	b := append(short[:0], 0)
	for _, p := range parts {
		b = append(b, p...)
	}
	defer clear(b)
	return sha256.Sum256(b)
}

func nodeHash(left, right [32]byte) [32]byte {
	var b [65]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[33:], right[:])
	return sha256.Sum256(b[:])
}

// split returns the largest power of two below n ≥ 2.
func split(n int) int {
	k := 1
	for 2*k < n {
		k *= 2
	}
	return k
}

// MerkleRoot returns MTH of RFC 6962 §2.1 over leaf hashes; one leaf is its own
// root. It panics without leaves (S4).
func MerkleRoot(leaves [][32]byte) [32]byte {
	switch n := len(leaves); n {
	case 0:
		panic("secagg: Merkle tree without leaves")
	case 1:
		return leaves[0]
	default:
		k := split(n)
		return nodeHash(MerkleRoot(leaves[:k]), MerkleRoot(leaves[k:]))
	}
}

// MerklePath returns the inclusion path of leaf i, from the leaf upwards
// (RFC 6962 §2.1.1). It panics when there is no such leaf.
func MerklePath(leaves [][32]byte, i int) [][32]byte {
	if i < 0 || i >= len(leaves) {
		panic("secagg: no such Merkle leaf")
	}
	if len(leaves) == 1 {
		return nil
	}
	k := split(len(leaves))
	if i < k {
		return append(MerklePath(leaves[:k], i), MerkleRoot(leaves[k:]))
	}
	return append(MerklePath(leaves[k:], i-k), MerkleRoot(leaves[:k]))
}

// VerifyPath reports whether the path leads from the hash of leaf i of n to
// root, and has exactly the length it must have.
func VerifyPath(leaf [32]byte, i, n int, path [][32]byte, root [32]byte) bool {
	if i < 0 || i >= n {
		return false
	}
	h, used := climb(leaf, i, n, path)
	return used == len(path) && h == root
}

// climb folds the path into the leaf and returns how many hashes it needed, or
// -1 when there were too few.
func climb(leaf [32]byte, i, n int, path [][32]byte) (h [32]byte, used int) {
	if n == 1 {
		return leaf, 0
	}
	k := split(n)
	left := i < k
	if left {
		h, used = climb(leaf, i, k, path)
	} else {
		h, used = climb(leaf, i-k, n-k, path)
	}
	if used < 0 || used >= len(path) {
		return h, -1
	}
	if left {
		return nodeHash(h, path[used]), used + 1
	}
	return nodeHash(path[used], h), used + 1
}

// merkleTree keeps every node of a tree, so that a path costs no hashing: its
// levels, the leaves first. A node without a right neighbour moves up as it is,
// which is the tree of RFC 6962 §2.1.
type merkleTree [][][32]byte

func newMerkleTree(leaves [][32]byte) merkleTree {
	t := merkleTree{leaves}
	for level := leaves; len(level) > 1; {
		next := make([][32]byte, (len(level)+1)/2)
		for i := range next {
			if 2*i+1 < len(level) {
				next[i] = nodeHash(level[2*i], level[2*i+1])
			} else {
				next[i] = level[2*i]
			}
		}
		t, level = append(t, next), next
	}
	return t
}

func (t merkleTree) root() [32]byte { return t[len(t)-1][0] }

// path returns the inclusion path of leaf i.
func (t merkleTree) path(i int) (p [][32]byte) {
	for _, level := range t {
		if sibling := i ^ 1; sibling < len(level) {
			p = append(p, level[sibling])
		}
		i /= 2
	}
	return p
}
