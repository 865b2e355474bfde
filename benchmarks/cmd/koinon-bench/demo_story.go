package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/koinon-eu/koinon/deploy/cli"
)

// story prints what happens in numbered steps, in plain text where nobody watches a terminal.
type story struct {
	out      io.Writer
	terminal bool
	number   int
	since    time.Time // of the present step
}

func newStory(out io.Writer) *story { return &story{out: out, terminal: cli.IsTerminal(out)} }

// style sets text in a terminal's attribute.
func (s *story) style(attribute, text string) string {
	if !s.terminal {
		return text
	}
	return "\x1b[" + attribute + "m" + text + "\x1b[0m"
}

// step begins a step.
func (s *story) step(title string) {
	s.number++
	s.since = time.Now()
	fmt.Fprintf(s.out, "\n%s\n", s.style("1", fmt.Sprintf("%2d  %s", s.number, title)))
}

// say prints a sentence of the present step.
func (s *story) say(format string, args ...any) {
	fmt.Fprintf(s.out, "    %s\n", fmt.Sprintf(format, args...))
}

// typed shows the command that does it.
func (s *story) typed(command string) { s.say("%s", s.style("2", "$ "+command)) }

// done says what the step came to, and its time so far.
func (s *story) done(format string, args ...any) {
	s.say("%s %s  %s", s.style("32", "✓"), fmt.Sprintf(format, args...), s.style("2", seconds(time.Since(s.since))))
}

// attention says what did not go as it should.
func (s *story) attention(format string, args ...any) {
	s.say("%s %s", s.style("33", "!"), fmt.Sprintf(format, args...))
}

// lines prints text of several lines under the present step.
func (s *story) lines(text string) {
	for line := range strings.Lines(text) {
		s.say("%s", strings.TrimRight(line, "\n"))
	}
}

// show prints a table under the present step.
func (s *story) show(t *cli.Table) {
	var b strings.Builder
	_ = t.Print(&b) // a strings.Builder takes everything
	s.lines(b.String())
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// count writes a whole number with a comma between thousands.
func count(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// short shows the ends of a digest, as people compare it.
func short(digest string) string {
	if len(digest) < 20 {
		return digest
	}
	return digest[:8] + "…" + digest[len(digest)-8:]
}
