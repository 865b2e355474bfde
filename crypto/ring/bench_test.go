package ring

import "testing"

// BenchmarkWords runs over 10 million parameters at 24 bits, 40 MB of words;
// copy is what memory allows.
func BenchmarkWords(b *testing.B) {
	w, v := make([]uint64, 5_000_000), make([]uint64, 5_000_000)
	data := AppendLE(nil, w)
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"Add", func() { Add(w, v) }},
		{"AddLE", func() { AddLE(w, data) }},
		{"AppendLE", func() { AppendLE(data[:0], w) }},
		{"copy", func() { copy(w, v) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			c.f() // memory is given by the system when it is first touched
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				c.f()
			}
		})
	}
}
