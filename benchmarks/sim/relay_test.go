package sim

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/koinon-eu/koinon/crypto/identity"

	"github.com/stretchr/testify/require"
)

// relay stands between one node and the coordinator and ends TLS on both sides: to the node it is the coordinator,
// whose certificate it has, and to the coordinator it is the member. It keeps every byte that the node wrote into
// TLS. A node has one way to the network, Config.Dial, and the relay is behind it: there is nothing else a node could
// send on, so what the relay has is complete.
type relay struct {
	listener net.Listener
	node     *tls.Config // towards the node
	far      *tls.Config // towards the coordinator
	address  string

	mu    sync.Mutex
	dials int
	sent  []*tape // one a connection, in order
}

// tape is what one connection carried.
type tape struct {
	mu    sync.Mutex
	bytes bytes.Buffer
}

func (p *tape) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes.Write(b)
}

func (p *tape) copy() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Clone(p.bytes.Bytes())
}

// intercept puts a relay between an actor's node and the coordinator.
func (s *stage) intercept(a *actor) *relay {
	s.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(s.t, err)
	far := a.config.TLS.Clone()
	far.ServerName = "127.0.0.1"
	r := &relay{
		listener: listener, node: identity.ServerConfig(s.trust, s.source), far: far, address: a.config.Address,
	}
	a.config.Dial = r.dial
	var conns sync.WaitGroup
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { r.serve(conn) })
		}
	}()
	s.t.Cleanup(func() {
		_ = listener.Close()
		conns.Wait()
	})
	return r
}

func (r *relay) dial(ctx context.Context, _ string) (net.Conn, error) {
	r.mu.Lock()
	r.dials++
	r.mu.Unlock()
	return (&net.Dialer{}).DialContext(ctx, "tcp", r.listener.Addr().String())
}

func (r *relay) serve(conn net.Conn) {
	near := tls.Server(conn, r.node)
	defer func() { _ = near.Close() }()
	far, err := tls.Dial("tcp", r.address, r.far)
	if err != nil {
		return
	}
	defer func() { _ = far.Close() }()
	log := &tape{}
	r.mu.Lock()
	r.sent = append(r.sent, log)
	r.mu.Unlock()
	back := make(chan struct{})
	go func() {
		defer close(back)
		_, _ = io.Copy(near, far)
		_ = near.Close()
	}()
	_, _ = io.Copy(io.MultiWriter(log, far), near)
	_ = far.Close()
	<-back
}

// tapes returns what the node has written so far, one a connection.
func (r *relay) tapes() (out [][]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, log := range r.sent {
		out = append(out, log.copy())
	}
	return out
}

// transfer is one connection's HTTP/2 bytes taken apart.
type transfer struct {
	messages [][]byte // gRPC messages of all streams
	headers  [][]byte // header blocks, still compressed
	rest     []byte   // everything else: settings, pings, window updates, resets
}

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// takeApart reads the client's side of an HTTP/2 connection. What it cannot account for is an error, so that no byte
// is overlooked; a frame that is not whole yet ends it.
func takeApart(b []byte) (t transfer, err error) {
	if len(b) == 0 {
		return t, nil
	}
	if !bytes.HasPrefix(b, []byte(preface)) {
		return t, errors.New("no HTTP/2 preface")
	}
	b = b[len(preface):]
	streams := map[uint32][]byte{}
	for len(b) >= 9 {
		size := int(b[0])<<16 | int(b[1])<<8 | int(b[2])
		kind, flags, stream := b[3], b[4], binary.BigEndian.Uint32(b[5:9])
		if len(b) < 9+size {
			break
		}
		payload := b[9 : 9+size]
		b = b[9+size:]
		switch kind {
		case 0: // DATA
			if flags&0x8 != 0 {
				return t, errors.New("padded data")
			}
			streams[stream] = append(streams[stream], payload...)
		case 1, 9: // HEADERS, CONTINUATION
			t.headers = append(t.headers, payload)
		case 3, 4, 6, 7, 8: // RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE
			t.rest = append(t.rest, payload...)
		default:
			return t, errors.New("unexpected kind of frame")
		}
	}
	for _, data := range streams {
		for len(data) >= 5 {
			size := int(binary.BigEndian.Uint32(data[1:5]))
			if data[0] != 0 {
				return t, errors.New("compressed message")
			}
			if len(data) < 5+size {
				break
			}
			t.messages = append(t.messages, data[5:5+size])
			data = data[5+size:]
		}
	}
	return t, nil
}

// TestTakeApart: what is not HTTP/2 as a gRPC client speaks it is an error, not overlooked.
func TestTakeApart(t *testing.T) {
	frame := func(kind, flags byte, payload string) string {
		return string([]byte{0, 0, byte(len(payload)), kind, flags, 0, 0, 0, 1}) + payload
	}
	good := preface + frame(4, 0, "") + frame(1, 4, "head") + frame(0, 0, "\x00\x00\x00\x00\x03a") + frame(0, 1, "bc")
	got, err := takeApart([]byte(good))
	require.NoError(t, err)
	require.Equal(t, [][]byte{[]byte("abc")}, got.messages)
	require.Equal(t, [][]byte{[]byte("head")}, got.headers)
	for _, bad := range []string{"GET / HTTP/1.1", preface + frame(0, 8, "x"), preface + frame(5, 0, "x"), preface + frame(0, 0, "\x01\x00\x00\x00\x00")} {
		_, err := takeApart([]byte(bad))
		require.Error(t, err)
	}
}
