package sim

import (
	"bytes"
	"crypto/rand"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// randomTap keeps the secrets that the process draws from the operating system, by who draws them.
type randomTap struct {
	source io.Reader
	mu     sync.Mutex
	drawn  map[string][][]byte
}

// tapped names the functions whose 32 random bytes are secrets.
var tapped = map[string]string{
	"node.(*actor).config":                "rho",
	"crypto/ed25519.GenerateKey":          "identity key",
	"koinon/crypto/identity.NewSecret":    "invite",
	"crypto/internal/fips140/ed25519.Gen": "identity key",
}

// tapRandom listens at crypto/rand until the test ends.
func tapRandom(t *testing.T) *randomTap {
	tap := &randomTap{source: rand.Reader, drawn: map[string][][]byte{}}
	rand.Reader = tap
	t.Cleanup(func() { rand.Reader = tap.source })
	return tap
}

func (r *randomTap) Read(b []byte) (int, error) {
	n, err := io.ReadFull(r.source, b)
	if len(b) != 32 {
		return n, err
	}
	var pcs [16]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		for function, what := range tapped {
			if strings.Contains(f.Function, function) {
				r.mu.Lock()
				defer r.mu.Unlock()
				r.drawn[what] = append(r.drawn[what], bytes.Clone(b))
				return n, err
			}
		}
	}
	return n, err
}

// logs is a log in both forms at its most talkative.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logs) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.text.Bytes())
}

func (l *logs) logger(json bool) *slog.Logger {
	if o := (&slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}); json {
		return slog.New(slog.NewJSONHandler(l, o))
	}
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
