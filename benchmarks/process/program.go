package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Program is a service that is started, killed and started again. Its methods
// may be called from several goroutines.
type Program struct {
	name string // in errors and of the log file
	path string
	args []string
	log  *log
	file *os.File

	mu      sync.Mutex
	running *running
}

// running is one life of a program.
type running struct {
	cmd    *exec.Cmd
	asked  bool          // the end was asked for
	exited chan struct{} // closed when all it wrote has been read
}

// newProgram prepares a program whose log goes to dir/name.log.
func newProgram(name, dir, path string, args ...string) (*Program, error) {
	file, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	return &Program{name: name, path: path, args: args, log: newLog(file), file: file}, nil
}

// Start starts the program. It is an error if it runs already.
func (p *Program) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running != nil {
		return fmt.Errorf("%s runs already", p.name)
	}
	cmd := exec.Command(p.path, p.args...)
	cmd.Stderr, cmd.Env = p.log, environment()
	cmd.WaitDelay = time.Second
	r := &running{cmd: cmd, exited: make(chan struct{})}
	p.log.ended(nil)
	if err := start(cmd); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.running = r
	go p.wait(r)
	return nil
}

func (p *Program) wait(r *running) {
	err := r.cmd.Wait()
	p.mu.Lock()
	p.running = nil
	asked := r.asked
	p.mu.Unlock()
	if !asked {
		if err == nil {
			err = errors.New("it ended")
		}
		p.log.ended(err)
	}
	close(r.exited)
}

// Alive reports whether the program runs; one that is paused does.
func (p *Program) Alive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running != nil
}

// Kill ends the program at once, as a power cut would, and waits until it is
// gone. One that does not run is left alone.
func (p *Program) Kill() error { return p.end((*os.Process).Kill) }

// Stop asks the program to end in order, and waits for it.
func (p *Program) Stop() error { return p.end(terminate) }

func (p *Program) end(signal func(*os.Process) error) error {
	p.mu.Lock()
	r := p.running
	if r == nil {
		p.mu.Unlock()
		return nil
	}
	r.asked = true
	err := signal(r.cmd.Process)
	p.mu.Unlock()
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end %s: %w", p.name, err)
	}
	<-r.exited
	return nil
}

// Pause freezes the program where it stands; its connections stay open.
func (p *Program) Pause() error { return p.signal(pause) }

// Resume lets a paused program go on.
func (p *Program) Resume() error { return p.signal(resume) }

func (p *Program) signal(send func(*os.Process) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == nil {
		return fmt.Errorf("%s does not run", p.name)
	}
	if err := send(p.running.cmd.Process); err != nil {
		return fmt.Errorf("signal %s: %w", p.name, err)
	}
	return nil
}

// close ends the program for good.
func (p *Program) close() error { return errors.Join(p.Kill(), p.file.Close()) }

// Cursor reads a program's log from a place on, through its restarts.
type Cursor struct {
	program *Program
	at      int
}

// Follow returns a cursor behind what the program has written so far.
func (p *Program) Follow() *Cursor { return &Cursor{program: p, at: p.log.len()} }

// FromStart returns a cursor at the program's first line.
func (p *Program) FromStart() *Cursor { return &Cursor{program: p} }

// Next waits for the next entry that matches. what says in an error what was
// waited for. A program that ends by itself meanwhile is an error; one that was
// killed here is waited for, because it is about to be started again.
func (c *Cursor) Next(ctx context.Context, what string, match func(Entry) bool) (Entry, error) {
	for {
		e, next, changed, failed := c.program.log.find(c.at, match)
		c.at = next
		switch {
		case changed == nil:
			return e, nil
		case failed != nil:
			return e, fmt.Errorf("%s ended while %s was waited for: %w%s", c.program.name, what, failed, c.program.Tail())
		}
		select {
		case <-ctx.Done():
			return e, fmt.Errorf("%s was waited for in vain: %w%s", what, context.Cause(ctx), c.program.Tail())
		case <-changed:
		}
	}
}

// tailLines is how much of a log an error shows.
const tailLines = 12

// Tail returns the last lines of the program's log as they are put behind an error.
func (p *Program) Tail() string {
	text := p.log.tail(tailLines)
	if text == "" {
		return "\n(" + p.name + " wrote nothing)"
	}
	return "\nthe last lines of " + p.name + ":\n" + text
}

// environment is that of this process without settings of Koinon programs: what
// somebody has in the shell must not reach them.
func environment() []string {
	var out []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "KOINON_") {
			out = append(out, e)
		}
	}
	return out
}
