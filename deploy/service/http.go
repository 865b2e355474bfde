package service

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// shutdownTime is how long requests in flight may take to end.
const shutdownTime = 10 * time.Second

// maxConns is how many connections one server has open at once.
const maxConns = 1024

// HTTP is a server that is already listening, so that its address is known
// before it serves.
type HTTP struct {
	listener net.Listener
	server   *http.Server
}

// ListenHTTP listens on addr (host:port; port 0 takes a free one). conf may be
// nil for plain HTTP. Slow and idle clients are cut off, and at most 1024 are
// connected at once.
func ListenHTTP(addr string, conf *tls.Config, h http.Handler, log *slog.Logger) (*HTTP, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for http: %w", err)
	}
	listener = AtMost(listener, maxConns)
	if conf != nil {
		if len(conf.NextProtos) == 0 {
			conf = conf.Clone()
			conf.NextProtos = []string{"h2", "http/1.1"}
		}
		listener = tls.NewListener(listener, conf)
	}
	return &HTTP{listener: listener, server: &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      5 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}, nil
}

// Addr is the address it listens on, host:port.
func (s *HTTP) Addr() string { return s.listener.Addr().String() }

// Serve answers until ctx ends, then lets requests in flight finish for 10 s.
// It returns nil after such an end.
func (s *HTTP) Serve(ctx context.Context) error {
	done := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
		defer cancel()
		err := s.server.Shutdown(limit)
		if err != nil {
			err = s.server.Close()
		}
		done <- err
	})
	err := s.server.Serve(s.listener)
	if !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("serve http: %w", err)
	}
	return <-done
}
