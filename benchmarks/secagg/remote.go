package secagg

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"time"

	"github.com/koinon-eu/koinon/deploy/service"
)

// ServeChild is the coordinator's side in a process of its own: it answers the calls that come on in, one JSON value a
// line, until in ends.
func ServeChild(ctx context.Context, in io.Reader, out io.Writer, log *slog.Logger) error {
	defer service.Collect()() // as the coordinator's program does
	h := newHub(Config{Log: log})
	decoder, encoder := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var r request
		err := decoder.Decode(&r)
		if errors.Is(err, io.EOF) || ctx.Err() != nil {
			return h.close()
		}
		if err != nil {
			return errors.Join(err, h.close())
		}
		var answer reply
		result, err := h.answer(ctx, r)
		if err == nil {
			answer.Result, err = json.Marshal(result)
		}
		if err != nil {
			answer.Error = err.Error()
		}
		if err := encoder.Encode(answer); err != nil {
			return errors.Join(err, h.close())
		}
	}
}

// answer makes one call.
func (h *hub) answer(ctx context.Context, r request) (any, error) {
	switch r.Call {
	case "open":
		return called(r, func(o opening) (opened, error) { return h.open(ctx, o) })
	case "submit":
		return called(r, func(plan []byte) (struct{}, error) { return struct{}{}, h.submit(ctx, plan) })
	case "wait":
		return called(r, func(plan [32]byte) (measured, error) { return h.wait(ctx, plan) })
	case "plain":
		return called(r, func(p plainRound) (measured, error) { return h.plain(ctx, p) })
	case "used":
		return called(r, func(t [2]time.Time) (usage, error) { return h.used(ctx, t[0], t[1]) })
	case "forget":
		return struct{}{}, h.forget(ctx)
	}
	return nil, fmt.Errorf("unknown call %q", r.Call)
}

func called[Args, Result any](r request, f func(Args) (Result, error)) (Result, error) {
	var args Args
	if err := json.Unmarshal(r.Args, &args); err != nil {
		var none Result
		return none, err
	}
	return f(args)
}

// remote is a coordinator's side in another process. One call at a time.
type remote struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

var _ side = (*remote)(nil)

// startRemote starts a program that calls ServeChild.
func startRemote(command []string) (*remote, error) {
	r := &remote{cmd: exec.Command(command[0], command[1:]...)}
	r.cmd.Stderr = os.Stderr
	var err error
	if r.in, err = r.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	r.out = json.NewDecoder(bufio.NewReader(out))
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the coordinator's process: %w", err)
	}
	return r, nil
}

// ask makes one call in the other process; when ctx ends first, that process ends too.
func ask[Result any](ctx context.Context, r *remote, call string, args any) (result Result, err error) {
	stop := context.AfterFunc(ctx, func() { _ = r.cmd.Process.Kill() })
	defer stop()
	body, err := json.Marshal(args)
	if err != nil {
		return result, err
	}
	var answer reply
	if err = json.NewEncoder(r.in).Encode(request{Call: call, Args: body}); err == nil {
		err = r.out.Decode(&answer)
	}
	switch {
	case ctx.Err() != nil:
		return result, ctx.Err()
	case err != nil:
		return result, fmt.Errorf("the coordinator's process has ended: %w", err)
	case answer.Error != "":
		return result, errors.New(answer.Error)
	}
	return result, json.Unmarshal(answer.Result, &result)
}

// open implements side.
func (r *remote) open(ctx context.Context, o opening) (opened, error) {
	return ask[opened](ctx, r, "open", o)
}

// submit implements side.
func (r *remote) submit(ctx context.Context, plan []byte) error {
	_, err := ask[struct{}](ctx, r, "submit", plan)
	return err
}

// wait implements side.
func (r *remote) wait(ctx context.Context, plan [32]byte) (measured, error) {
	return ask[measured](ctx, r, "wait", plan)
}

// plain implements side.
func (r *remote) plain(ctx context.Context, p plainRound) (measured, error) {
	return ask[measured](ctx, r, "plain", p)
}

// used implements side.
func (r *remote) used(ctx context.Context, from, to time.Time) (usage, error) {
	return ask[usage](ctx, r, "used", [2]time.Time{from, to})
}

// forget implements side.
func (r *remote) forget(ctx context.Context) error {
	_, err := ask[struct{}](ctx, r, "forget", nil)
	return err
}

// close implements side.
func (r *remote) close() error {
	_ = r.in.Close() // its end is what the other process waits for
	return r.cmd.Wait()
}
