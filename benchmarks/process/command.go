package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// CommandError is a command that ended with another code than 0.
type CommandError struct {
	Command string // as it was typed
	Code    int
	Stderr  string // "error: …" and "hint: …" as a person sees them
}

func (e *CommandError) Error() string {
	return fmt.Sprintf("%s: exit code %d\n%s", e.Command, e.Code, e.Stderr)
}

// run runs a command to its end and returns what it printed.
func run(ctx context.Context, stdin string, path string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, path, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Stdin, cmd.Env = &stdout, &stderr, strings.NewReader(stdin), environment()
	cmd.WaitDelay = time.Second
	if err := start(cmd); err != nil {
		return nil, err
	}
	err := cmd.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, &CommandError{Command: line(path, args), Code: exit.ExitCode(), Stderr: strings.TrimSpace(stderr.String())}
	}
	return stdout.Bytes(), err
}

// runJSON runs a command with --json and reads what it printed into out.
func runJSON(ctx context.Context, out any, stdin string, path string, args ...string) error {
	text, err := run(ctx, stdin, path, append(args, "--json")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("%s printed no JSON that fits: %w", line(path, args), err)
	}
	return nil
}

// line is a command as it was typed, without the folder of the program.
func line(path string, args []string) string {
	words := []string{path[strings.LastIndexAny(path, `/\`)+1:]}
	for _, a := range args {
		if strings.ContainsAny(a, " \t\"'") {
			a = fmt.Sprintf("%q", a)
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}
