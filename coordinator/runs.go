package coordinator

import (
	"context"
	"crypto/rand"
	"encoding/json"

	"github.com/koinon-eu/koinon/coordinator/admin"
	"github.com/koinon-eu/koinon/coordinator/journal"
)

func (c *Coordinator) addRun(r *run) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.runs[r.id] = r
	c.order = append(c.order, r.id)
}

// eachRun visits every run that is not over.
func (c *Coordinator) eachRun(visit func(*run)) {
	c.mu.Lock()
	var open []*run
	for _, id := range c.order {
		if r := c.runs[id]; !r.over() {
			open = append(open, r)
		}
	}
	c.mu.Unlock()
	for _, r := range open {
		visit(r)
	}
}

// launch starts the goroutine of a run that is not over.
func (c *Coordinator) launch(r *run) {
	c.live.Add(1)
	c.metrics.runs.Add(1)
	go func() {
		defer c.live.Done()
		defer c.metrics.runs.Add(-1)
		defer close(r.done)
		if err := r.loop(c.ctx); err != nil && c.ctx.Err() == nil {
			c.cfg.Log.Error("run stopped by an error", "run", runName(r.id), "error", err)
			r.setReason(Waiting, err.Error())
		}
	}()
}

// newRunID draws the name of a run.
func newRunID() (id [16]byte, err error) {
	_, err = rand.Read(id[:])
	return id, err
}

// startRun journals a new run and starts it.
func (c *Coordinator) startRun(ctx context.Context, by string, plan admin.Plan) (*run, error) {
	if err := c.checkStart(plan.Plan); err != nil { // perhaps revoked since it was submitted
		return nil, err
	}
	id, err := newRunID()
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(started{Plan: plan.Digest, By: by})
	if err != nil {
		return nil, err
	}
	now := c.cfg.Now().Unix()
	entry := journal.Entry{Time: now, Run: runName(id), Kind: kindStarted, Body: body}
	if _, err := c.cfg.Journal.Append(ctx, entry); err != nil {
		return nil, err
	}
	r := newRun(c, id, plan, now)
	c.addRun(r)
	c.cfg.Log.Info("run started", "run", runName(id), "plan", plan.Plan.Name, "by", by)
	c.launch(r)
	c.touch()
	return r, nil
}
