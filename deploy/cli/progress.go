package cli

import (
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// lineEvery is the least time between two plain progress lines: a log that
// nobody watches needs no more.
const lineEvery = 5 * time.Second

// Progress shows how far long work is: a bar on a terminal, elsewhere a plain
// line every few seconds. Its methods may be called from several goroutines,
// and on a nil Progress they do nothing.
type Progress struct {
	mu    sync.Mutex
	w     io.Writer
	bar   *progressbar.ProgressBar // nil when w is no terminal
	label string
	noun  string
	unit  func(int64) string
	total int64 // ≤ 0: unknown
	done  int64
	begun time.Time
	last  time.Time // when the last plain line was written
	ended bool
}

// NewProgress shows counts ("12/60 rounds"). noun may be empty; total ≤ 0 means
// that the end is not known.
func NewProgress(w io.Writer, label, noun string, total int64) *Progress {
	p := &Progress{w: w, label: label, total: total, unit: func(n int64) string { return strconv.FormatInt(n, 10) }}
	if noun != "" {
		p.noun = " " + noun
	}
	return p.start(progressbar.OptionShowCount(), progressbar.OptionSetItsString(noun))
}

// NewByteProgress shows bytes. It is an io.Writer, for io.TeeReader and
// io.MultiWriter.
func NewByteProgress(w io.Writer, label string, total int64) *Progress {
	p := &Progress{w: w, label: label, total: total, unit: Bytes}
	return p.start(progressbar.OptionShowBytes(true))
}

func (p *Progress) start(opts ...progressbar.Option) *Progress {
	p.begun = time.Now()
	p.last = p.begun
	if !IsTerminal(p.w) {
		return p
	}
	total := p.total
	if total <= 0 {
		total = -1
	}
	p.bar = progressbar.NewOptions64(total, append([]progressbar.Option{
		progressbar.OptionSetWriter(p.w),
		progressbar.OptionSetDescription(p.label),
		progressbar.OptionSetWidth(30),
		progressbar.OptionThrottle(80 * time.Millisecond),
		progressbar.OptionSetRenderBlankState(true),
		progressbar.OptionClearOnFinish(), // Done leaves a line instead
	}, opts...)...)
	return p
}

// Add moves on by n.
func (p *Progress) Add(n int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set(p.done + n)
}

// Set says that n of the total are done.
func (p *Progress) Set(n int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set(n)
}

// Label changes the words before the figures.
func (p *Progress) Label(label string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.label = label
	if p.bar != nil {
		p.bar.Describe(label)
	}
}

// Write counts len(b).
func (p *Progress) Write(b []byte) (int, error) {
	p.Add(int64(len(b)))
	return len(b), nil
}

// Done ends the display and leaves one line that says how much was done and in
// what time. Further calls do nothing.
func (p *Progress) Done() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	p.ended = true
	if p.bar != nil {
		_ = p.bar.Clear() // a display: nothing to do if the terminal is gone
	}
	p.line(fmt.Sprintf(" in %s", time.Since(p.begun).Round(100*time.Millisecond)))
}

func (p *Progress) set(n int64) {
	if p.ended {
		return
	}
	p.done = n
	if p.bar != nil {
		_ = p.bar.Set64(n) // as in Done
		return
	}
	if now := time.Now(); now.Sub(p.last) >= lineEvery {
		p.last = now
		p.line("")
	}
}

func (p *Progress) line(end string) {
	if p.total > 0 {
		fmt.Fprintf(p.w, "%s: %s of %s%s (%d %%)%s\n",
			p.label, p.unit(p.done), p.unit(p.total), p.noun, 100*p.done/p.total, end)
		return
	}
	fmt.Fprintf(p.w, "%s: %s%s%s\n", p.label, p.unit(p.done), p.noun, end)
}
