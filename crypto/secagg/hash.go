package secagg

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
)

const (
	prefix  = "koinon/secagg/v1/"
	prefix2 = "koinon/secagg/v2/"
)

// hash is H of S1; the tag is given without the common prefix.
func hash(tag string, parts ...[]byte) [32]byte { return hashTag(prefix+tag, parts...) }

func hashTag(tag string, parts ...[]byte) (d [32]byte) {
	h := sha256.New()
	h.Write([]byte{uint8(len(tag))})
	h.Write([]byte(tag))
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(p))))
		h.Write(p)
	}
	h.Sum(d[:0])
	return d
}

// derive is HKDF of S13 with SHA-256 and 32 bytes out; the info is the common
// prefix, the label and the numbers after it.
func derive(secret, salt [32]byte, label string, numbers ...byte) (k [32]byte) {
	out, err := hkdf.Key(sha256.New, secret[:], salt[:], prefix+label+string(numbers), len(k))
	if err != nil {
		panic("secagg: " + err.Error()) // 32 bytes are within HKDF's limit
	}
	copy(k[:], out)
	clear(out)
	return k
}
