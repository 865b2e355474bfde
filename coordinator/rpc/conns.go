package rpc

import (
	"context"
	"net"
	"sync"

	"google.golang.org/grpc/peer"
)

// conns knows the open TCP connections of a listener by the address of the other side, so that one can be cut. gRPC ends
// a stream by words that wait behind what was sent before: a node that reads nothing never hears them, and would hold
// its stream, and what waits on it, for as long as it likes.
type conns struct {
	mu   sync.Mutex
	open map[string]net.Conn
}

// tracked is a connection that conns forgets when it is closed.
type tracked struct {
	net.Conn
	forget func()
}

// Close closes the connection.
func (t *tracked) Close() error {
	t.forget()
	return t.Conn.Close()
}

type trackingListener struct {
	net.Listener
	conns *conns
}

// over returns a listener whose connections are known.
func (c *conns) over(l net.Listener) net.Listener { return &trackingListener{Listener: l, conns: c} }

// Accept waits for the next connection.
func (l *trackingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	name := conn.RemoteAddr().String()
	l.conns.mu.Lock()
	defer l.conns.mu.Unlock()
	l.conns.open[name] = conn
	return &tracked{Conn: conn, forget: func() { l.conns.drop(name, conn) }}, nil
}

func (c *conns) drop(name string, conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[name] == conn {
		delete(c.open, name)
	}
}

// cutter returns what closes the connection on which a call came, with every other call on it. It does so later too,
// when another connection may have the address.
func (c *conns) cutter(ctx context.Context) func() {
	p, ok := peer.FromContext(ctx)
	if !ok || p.Addr == nil {
		return func() {}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	conn := c.open[p.Addr.String()]
	if conn == nil {
		return func() {}
	}
	return func() { _ = conn.Close() } // gRPC reads the error and gives up what it has of it
}
