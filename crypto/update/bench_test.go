package update

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkTenMillion encodes and decodes 10 million parameters on the
// processors that GOMAXPROCS allows. The randomness is a counter mode, as a
// client's is (S13).
func BenchmarkTenMillion(b *testing.B) {
	for _, bits := range []int{24, 15} {
		e := encoding(10_000_000, 0, bits, 30)
		e.ClipL2, e.ClipInf = 1000, 1
		x := make([]float32, e.Layout.Params)
		r := rand.New(rand.NewPCG(1, 2))
		for i := range x {
			x[i] = float32(r.NormFloat64() / 2)
		}
		block, err := aes.NewCipher(make([]byte, 32))
		if err != nil {
			b.Fatal(err)
		}
		words, err := e.Encode(x, nil, 1000, stream(1))
		if err != nil {
			b.Fatal(err)
		}
		run := func(name string, f func() error) {
			b.Run(fmt.Sprintf("%s/bits=%d", name, bits), func(b *testing.B) {
				for b.Loop() {
					if err := f(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N*len(x)), "ns/param")
			})
		}
		run("encode", func() error {
			rnd := cipher.StreamReader{S: cipher.NewCTR(block, make([]byte, 16)), R: zeros{}}
			_, err := e.Encode(x, nil, 1000, rnd)
			return err
		})
		run("decode", func() error {
			_, err := e.Decode(words, 1)
			return err
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
