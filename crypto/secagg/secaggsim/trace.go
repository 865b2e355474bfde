package secaggsim

import (
	"crypto/sha256"
	"fmt"
	"hash"
)

// Trace is what happened, in order: a digest of all of it and, if Print is set,
// a line for a person of each event.
type Trace struct {
	Print func(line string)
	hash  hash.Hash
}

// Note adds an event: when, who said it to whom (0 is the coordinator, below it
// the world), what, and what became of it.
func (t *Trace) Note(tick int64, from, to int, what, verdict string) {
	line := fmt.Sprintf("%4d  %-11s → %-11s  %-28s %s", tick, who(from), who(to), what, verdict)
	t.Bytes([]byte(line))
	if t.Print != nil {
		t.Print(line)
	}
}

// Bytes adds bytes to the digest alone.
func (t *Trace) Bytes(b []byte) {
	if t.hash == nil {
		t.hash = sha256.New()
	}
	t.hash.Write(b)
}

// Digest returns the digest of everything so far.
func (t *Trace) Digest() (d [32]byte) {
	if t.hash != nil {
		t.hash.Sum(d[:0])
	}
	return d
}

func who(i int) string {
	switch {
	case i < 0:
		return "world"
	case i == 0:
		return "coordinator"
	}
	return fmt.Sprintf("member %d", i)
}
