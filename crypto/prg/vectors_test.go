package prg

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/koinon-eu/koinon/crypto/ring"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

// slowBlock is one block of the key stream: the cipher applied to a counter
// block, 128 bits big-endian.
func slowBlock(t require.TestingT, key []byte, high, low uint64) []byte {
	block, err := aes.NewCipher(key)
	require.NoError(t, err)
	b := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, high), low)
	block.Encrypt(b, b)
	return b
}

// slowWords is the definition of S16: word w is bytes 8w…8w+7 of the stream.
func slowWords(t require.TestingT, key [32]byte, from uint64, n int) []uint64 {
	words := make([]uint64, n)
	for i := range words {
		w := from + uint64(i)
		words[i] = binary.LittleEndian.Uint64(slowBlock(t, key[:], 0, w/2)[8*(w%2):])
	}
	return words
}

// NIST SP 800-38A, F.5.5, CTR-AES256.Encrypt: four blocks from the counter
// f0f1…ff, by the slow blocks of these tests and by the standard library.
func TestCTRKnownAnswers(t *testing.T) {
	key := unhex(t, "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
	counter := unhex(t, "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
	plain := unhex(t, "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"+
		"30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710")
	want := unhex(t, "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"+
		"2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6")
	high, low := binary.BigEndian.Uint64(counter), binary.BigEndian.Uint64(counter[8:])
	for i := range 4 {
		for at, b := range slowBlock(t, key, high, low+uint64(i)) {
			require.Equal(t, want[16*i+at], plain[16*i+at]^b)
		}
	}
	block, err := aes.NewCipher(key)
	require.NoError(t, err)
	got := make([]byte, len(plain))
	cipher.NewCTR(block, counter).XORKeyStream(got, plain)
	require.Equal(t, want, got)
}

// FIPS 197, C.3: the block cipher of the slow blocks.
func TestAESKnownAnswer(t *testing.T) {
	var key [32]byte
	for i := range key {
		key[i] = byte(i)
	}
	require.Equal(t, "8ea2b7ca516745bfeafc49904b496089", hex.EncodeToString(slowBlock(t, key[:], 0x0011223344556677, 0x8899aabbccddeeff)))
}

// S16: digests of 32 words around carries out of each byte group of the
// counter, and of 1 MiB from the start, computed with OpenSSL's AES-256-CTR.
func TestStreamDigests(t *testing.T) {
	var key [32]byte
	for i := range key {
		key[i] = byte(i)
	}
	for _, v := range []struct {
		from   uint64
		words  int
		digest string
	}{
		{0, 1 << 17, "81d2e0277e02e82905a82544e0b46f944fbb644a2287c211b3eab305b42c81a9"},
		{1<<9 - 3, 32, "d83d2d812e013456949487f2791dd96f16e9f7eb3a1b0ccb9e07caa0bf0c117a"},
		{1<<17 - 5, 32, "7b65b498db9c091cf33de5f3e5d5d3af273e5eac0ad6f6ac7c15ae4f3415a64f"},
		{1<<33 - 7, 32, "e539c3704524eae37317ac098476da9c7c32cce2db37240450d28af33c48b369"},
		{1<<63 + 1, 32, "faad581c291b5882357828c59f59065f0c66c1744a4c79dc874c9b2eb4ffea45"},
		{math.MaxUint64 - 39, 32, "e264cc2bacbbf48726cc3824539218cc27df7f3c3b85e7400596849a0ac2958f"},
	} {
		w := make([]uint64, v.words)
		AddAt(w, key, v.from, false)
		digest := sha256.Sum256(ring.AppendLE(nil, w))
		require.Equal(t, v.digest, hex.EncodeToString(digest[:]), "from word %d", v.from)
	}
}

// S16: every word at every offset is the definition's, also where the block
// counter carries from byte to byte.
func TestWordsAgainstDefinition(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		key := [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(r, "key"))
		n := rapid.IntRange(0, 40).Draw(r, "words")
		from := rapid.Uint64Max(math.MaxUint64-64).Draw(r, "from")
		if rapid.Bool().Draw(r, "at a carry") {
			bits := rapid.IntRange(1, 63).Draw(r, "bits")
			from = uint64(1)<<bits - rapid.Uint64Range(0, min(20, uint64(1)<<bits)).Draw(r, "before")
		}
		base := rapid.SliceOfN(rapid.Uint64(), n, n).Draw(r, "base")
		negative := rapid.Bool().Draw(r, "negative")
		got := append([]uint64{}, base...)
		AddAt(got, key, from, negative)
		for i, m := range slowWords(r, key, from, n) {
			if negative {
				m = -m
			}
			require.Equal(r, base[i]+m, got[i])
		}
	})
}

// S16: a vector worked on in parts, cut anywhere, is the vector worked on whole.
func TestPartsMakeTheWhole(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(1, 5000).Draw(r, "words")
		cuts := rapid.SliceOfN(rapid.IntRange(0, n), 0, 6).Draw(r, "cuts")
		from := rapid.Uint64Range(0, 1<<40).Draw(r, "from")
		streams := make([]Stream, rapid.IntRange(0, 5).Draw(r, "streams"))
		for i := range streams {
			streams[i] = Stream{Key: [32]byte{byte(i), rapid.Byte().Draw(r, "key")}, Negative: rapid.Bool().Draw(r, "negative")}
		}
		whole, parts := make([]uint64, n), make([]uint64, n)
		Apply(whole, from, streams)
		at := 0
		for at < n {
			next := n
			for _, c := range cuts {
				if c > at && c < next {
					next = c
				}
			}
			Apply(parts[at:next], from+uint64(at), streams)
			at = next
		}
		require.Equal(r, whole, parts)
	})
}
