package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// WithSignals returns a context that ends on SIGINT or SIGTERM. A second
// signal kills the process, so an operator is never locked in.
func WithSignals(parent context.Context) context.Context {
	ctx, stop := signal.NotifyContext(parent, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx
}

// Group runs goroutines that end together: the first to return an error ends
// the context of all.
type Group struct {
	ctx    context.Context
	cancel context.CancelFunc
	wait   sync.WaitGroup
	once   sync.Once
	err    error
}

// NewGroup returns a group under parent, and the context its members share.
func NewGroup(parent context.Context) (*Group, context.Context) {
	ctx, cancel := context.WithCancel(parent)
	return &Group{ctx: ctx, cancel: cancel}, ctx
}

// Go runs fn. Its error is reported under name. A cancellation that fn passes
// on because the group was already ending is not an error.
func (g *Group) Go(name string, fn func(ctx context.Context) error) {
	g.wait.Go(func() {
		err := fn(g.ctx)
		if err == nil || (g.ctx.Err() != nil && errors.Is(err, context.Canceled)) {
			return
		}
		g.once.Do(func() {
			g.err = fmt.Errorf("%s: %w", name, err)
			g.cancel()
		})
	})
}

// Stop ends the group's context without an error.
func (g *Group) Stop() { g.cancel() }

// Wait returns when every goroutine has, with the first error.
func (g *Group) Wait() error {
	g.wait.Wait()
	g.cancel()
	return g.err
}
