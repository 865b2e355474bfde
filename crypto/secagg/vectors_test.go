package secagg

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// RFC 6962 §2.1: roots over the leaves that certificate transparency tests
// with, written as hex.
func TestMerkleKnownRoots(t *testing.T) {
	inputs := []string{"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"}
	roots := []string{
		"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
		"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
		"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
		"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
		"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
		"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
	}
	var leaves [][32]byte
	for i, in := range inputs {
		b, err := hex.DecodeString(in)
		require.NoError(t, err)
		leaves = append(leaves, leafHash(b))
		root := MerkleRoot(leaves)
		require.Equal(t, roots[i], hex.EncodeToString(root[:]))
	}
	require.Panics(t, func() { MerkleRoot(nil) }) // S4
}

// S4: the path of every leaf leads to the root, and to no other place.
func TestMerklePaths(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(1, 70).Draw(r, "leaves")
		leaves := make([][32]byte, n)
		for i := range leaves {
			leaves[i] = leafHash([]byte{byte(i)})
		}
		root, i := MerkleRoot(leaves), rapid.IntRange(0, n-1).Draw(r, "leaf")
		path := MerklePath(leaves, i)
		require.True(t, VerifyPath(leaves[i], i, n, path, root))
		require.False(t, VerifyPath(leaves[i], i, n, append(path, root), root))
		require.False(t, VerifyPath(leaves[i], -1, n, path, root))
		require.False(t, VerifyPath(leaves[i], n, n, path, root))
		if n > 1 {
			require.False(t, VerifyPath(leaves[i], (i+1)%n, n, path, root) && n != i)
			require.False(t, VerifyPath(leaves[(i+1)%n], i, n, path, root))
			require.False(t, VerifyPath(leaves[i], i, n, path[1:], root))
		}
	})
}

// S1, S13: values computed with Python's hashlib and hmac.
func TestKnownDigests(t *testing.T) {
	hexOf := func(d [32]byte) string { return hex.EncodeToString(d[:]) }
	require.Equal(t, "213748787bcc2fa6d2f0aa0734666232b7dfe510d823884d4361ef038d610807", hexOf(hash("h1", []byte("a"), nil, []byte("bc"))))
	require.Equal(t, "e295bb21ba1fbb1efbf0d01de50166d6d3735fb3a52e26d07466a179b0108e62", hexOf(derive([32]byte{1}, [32]byte{2}, "seed/pair", 0, 1, 9)))
	require.Equal(t, "e79b0f8f46b8279029faa16c6c96423f5083c4d51834d33314373a65ed635657", hexOf(StepDigest([32]byte{1}, [32]byte{2}, Sum{Kind: 2, Step: 258, Query: [32]byte{3}, State: [32]byte{4}, Model: [32]byte{5}})))
	require.Equal(t, "9280bc8456bc5e8918ecd5c6dbb29496235599456088b2b6dcb67a626ab3433a", hexOf(InitialState([32]byte{1}, [32]byte{2})))
	require.Equal(t, "0619f4a3b97f4e9d71e232566c2b30bfaace319107693108aaa87bbc0f7d2de5", hexOf(NextState([32]byte{1}, [32]byte{2}, [32]byte{3}, [32]byte{4}, [32]byte{5})))
	require.Equal(t, "ad2b4ca0753baa083fa0c6d1cf0253cb398ab265a56fc278b4b3b0e7c84f925c", hexOf(pairID(9, 4).leaf([32]byte{1}, 1, [32]byte{2})))
	require.Equal(t, "0139263acaf949a817da8a21fa1f7f653513a03da1e8b09d67a680251aa0068b", hexOf(pairID(9, 4).shareLeaf([32]byte{1}, 1, 7, [32]byte{2})))
	require.Equal(t, "6b23d6e27f41674e07ff860d7c74f0041c07ac9a1c8f0f7c22bf2d06cacd9d31", hexOf(ChunkHash(258, []byte("data"))))
}

// S2, S14, S20: sets and dealers.
func TestSetsAndDealers(t *testing.T) {
	s := SetOf(1, 9, 255, 0)
	require.Equal(t, Set{0: 2, 1: 2, 31: 128}, s)
	require.Equal(t, []uint8{1, 9, 255}, s.Members())
	require.Equal(t, "{1 9 255}", s.String())
	require.Equal(t, 3, s.Len())
	require.True(t, s.Has(9) && !s.Has(8) && !s.Has(0))
	require.Equal(t, SetOf(1, 255), s.Without(9))
	require.Equal(t, SetOf(9), s.Minus(SetOf(1, 255)))
	require.Equal(t, SetOf(1, 2, 9, 255), s.Union(SetOf(2)))
	require.True(t, SetOf(9).SubsetOf(s) && !SetOf(9, 2).SubsetOf(s))

	u := Set{}
	for i := uint8(1); i <= 30; i++ {
		u = u.With(i)
	}
	total := 0
	for _, i := range u.Members() {
		ids := dealt(i, u)
		require.InDelta(t, 15.5, len(ids), 0.5) // §19
		total += len(ids)
		for n, id := range ids {
			require.Equal(t, i, id.dealer())
			require.True(t, n == 0 == (id.kind == kindSelf))
		}
	}
	require.Equal(t, 30+30*29/2, total)
}

// S5: the table of §2, and the two inequalities behind it.
func TestThresholds(t *testing.T) {
	for n, want := range map[int]int{3: 3, 4: 3, 5: 4, 7: 5, 10: 7, 16: 11, 30: 21, 60: 41} {
		require.Equal(t, want, Threshold(n))
	}
	for n := MinCohort; n <= MaxCohort; n++ {
		c := n - Threshold(n)
		require.Greater(t, 2*Threshold(n), n+c)
		require.Greater(t, Threshold(n), c)
	}
}
