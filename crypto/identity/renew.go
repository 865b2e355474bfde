package identity

import (
	"context"
	"crypto/x509"
	"log/slog"
	"time"
)

// RenewAt is when a certificate should be renewed: after two thirds of its
// lifetime plus jitter (0 ≤ jitter < 1, drawn by the caller) times a twelfth
// of it, so that nodes enrolled on one day do not all return in one second.
func RenewAt(leaf *x509.Certificate, jitter float64) time.Time {
	lifetime := leaf.NotAfter.Sub(leaf.NotBefore)
	jitter = min(max(jitter, 0), 1)
	return leaf.NotBefore.Add(lifetime*2/3 + time.Duration(jitter*float64(lifetime/12)))
}

// Renewer keeps a Source fresh.
type Renewer struct {
	Source *Source
	// Renew gets new credentials: a fresh key, a request, the authority's
	// answer, stored before it returns.
	Renew  func(ctx context.Context, old *Credentials) (*Credentials, error)
	Jitter float64          // see RenewAt
	Now    func() time.Time // nil is time.Now
	Log    *slog.Logger     // nil is silent
}

const (
	renewFirstRetry = time.Minute
	renewLastRetry  = time.Hour
	// renewLook bounds each wait: timers stand still while a machine sleeps,
	// clocks do not.
	renewLook = time.Hour
)

// Run renews until ctx ends and then returns nil. A renewal that fails is
// tried again after a minute, then at growing intervals up to an hour; with
// short-lived certificates, a sixtieth of the lifetime at most.
func (r *Renewer) Run(ctx context.Context) error {
	retry := time.Duration(0)
	for {
		wait := r.due().Sub(r.now())
		if retry > 0 {
			wait = max(wait, retry)
		}
		if wait > 0 {
			if !sleep(ctx, min(wait, renewLook)) {
				return nil
			}
			if wait > renewLook || r.due().After(r.now()) {
				continue
			}
		}
		if r.once(ctx) && r.due().After(r.now()) {
			retry = 0
			continue
		}
		retry = min(max(2*retry, r.firstRetry()), renewLastRetry)
	}
}

func (r *Renewer) once(ctx context.Context) bool {
	old := r.Source.Current()
	fresh, err := r.Renew(ctx, old)
	if err != nil {
		if ctx.Err() == nil {
			r.log().Warn("certificate not renewed", "expires", old.Leaf().NotAfter, "error", err)
		}
		return false
	}
	r.Source.Set(fresh)
	r.log().Info("certificate renewed", "expires", fresh.Leaf().NotAfter)
	return true
}

func (r *Renewer) due() time.Time { return RenewAt(r.Source.Current().Leaf(), r.Jitter) }

func (r *Renewer) firstRetry() time.Duration {
	leaf := r.Source.Current().Leaf()
	return min(renewFirstRetry, leaf.NotAfter.Sub(leaf.NotBefore)/60)
}

func (r *Renewer) now() time.Time {
	if r.Now == nil {
		return time.Now()
	}
	return r.Now()
}

func (r *Renewer) log() *slog.Logger {
	if r.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return r.Log
}

// sleep reports whether d passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
