package secagg

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/koinon-eu/koinon/coordinator/spool"
	"github.com/koinon-eu/koinon/crypto/secagg"

	"github.com/stretchr/testify/require"
)

// window is what an upload may have sent that is not stored when its connection breaks: the window of its stream, a
// chunk at the coordinator, and the messages of the session.
const window = 256<<10 + 2*secagg.ChunkSize + 64<<10

// cutter forwards TCP to the coordinator and cuts the connection of one node once, when so many bytes of it have come.
type cutter struct {
	to    string
	limit int64
	cut   atomic.Bool
	after atomic.Int64 // bytes from the node since the cut
}

func (c *cutter) listen(t *testing.T, to string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	c.to = to
	go func() {
		for {
			node, err := l.Accept()
			if err != nil {
				return
			}
			go c.forward(node)
		}
	}()
	return l.Addr().String()
}

func (c *cutter) forward(node net.Conn) {
	defer func() { _ = node.Close() }()
	coordinator, err := net.Dial("tcp", c.to)
	if err != nil {
		return
	}
	defer func() { _ = coordinator.Close() }()
	go func() { _, _ = io.Copy(node, coordinator); _ = node.Close() }()
	if !c.cut.Load() {
		_, _ = io.CopyN(coordinator, node, c.limit)
		c.cut.Store(true)
		return
	}
	_, _ = io.Copy(coordinator, countingReader{node, &c.after})
}

type countingReader struct {
	io.Reader
	n *atomic.Int64
}

func (r countingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.n.Add(int64(n))
	return n, err
}

// S54, over the real stack: a connection that is cut at 90 % of the vector goes on there. What is sent again is what was
// on the way. Of three members every one is needed, so the round waits for it.
func TestUploadResumesAt90Percent(t *testing.T) {
	cfg := Config{Nodes: 3, Params: 2_000_000, Bits: 24, Rounds: 1, NoFsync: true, Dir: t.TempDir()}
	size := int64(8 * cfg.Layout().Words())
	c := &cutter{limit: size * 9 / 10}
	cfg.dial = func(member int, address string) string {
		if member != 2 {
			return address
		}
		return c.listen(t, address)
	}
	r, err := Run(t.Context(), cfg) // which compares the sum
	require.NoError(t, err)
	require.True(t, c.cut.Load())
	require.Equal(t, 3, r.Nodes-r.Dropouts)
	require.Less(t, c.after.Load(), size/10+window, "of %d bytes, after the cut", size)
	require.Greater(t, c.after.Load(), size/10)
}

// ledger compares what has reached the coordinator's sockets with what its spool has: the difference is in memory.
type ledger struct {
	read   atomic.Int64
	stored atomic.Int64
	most   atomic.Int64
}

func (l *ledger) note() {
	held := l.read.Load() - l.stored.Load()
	for most := l.most.Load(); held > most && !l.most.CompareAndSwap(most, held); most = l.most.Load() {
	}
}

type meteredListener struct {
	net.Listener
	ledger *ledger
}

func (l meteredListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return meteredConn{c, l.ledger}, nil
}

type meteredConn struct {
	net.Conn
	ledger *ledger
}

func (c meteredConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.ledger.read.Add(int64(n))
	c.ledger.note()
	return n, err
}

// slow is a spool on a slow disk.
type slow struct {
	spool.Store
	ledger *ledger
	pause  time.Duration
}

func (s slow) WriteAt(k spool.Key, data []byte, offset int64) error {
	if k.Member != 0 {
		time.Sleep(s.pause)
		s.ledger.stored.Add(int64(len(data)))
	}
	return s.Store.WriteAt(k, data, offset)
}

// With a disk slower than the line nodes wait: however long their vectors are, an upload has no more in the
// coordinator's memory than the window of its stream. So its memory is that of the sum and a fixed amount a node, which
// 60 nodes times the window keep below 30 MB.
func TestSlowSpoolHoldsNodesBack(t *testing.T) {
	const nodes = 4
	for _, params := range []int{500_000, 1_500_000} {
		l := &ledger{}
		cfg := Config{Nodes: nodes, Params: params, Bits: 24, Rounds: 1, NoFsync: true, Dir: t.TempDir()}
		cfg.listen = func(inner net.Listener) net.Listener { return meteredListener{inner, l} }
		cfg.store = func(s spool.Store) spool.Store { return slow{s, l, time.Millisecond} }
		_, err := Run(t.Context(), cfg)
		require.NoError(t, err)
		size := int64(8 * cfg.Layout().Words())
		require.GreaterOrEqual(t, l.stored.Load(), nodes*size)
		require.Less(t, l.most.Load(), int64(nodes*window), "held of %d bytes", nodes*size)
		require.Greater(t, l.most.Load(), int64(nodes*window/5), "the disk was not slow enough for this test to see anything")
	}
}

// failing is a spool whose uploads cannot be written for some reason other than want of room.
type failing struct {
	spool.Store
	once sync.Once
}

var errDisk = errors.New("input/output error")

func (f *failing) WriteAt(k spool.Key, data []byte, offset int64) error {
	err := error(nil)
	f.once.Do(func() { err = errDisk })
	if err != nil {
		return err
	}
	return f.Store.WriteAt(k, data, offset)
}

// A disk that fails ends the round, and the reason on record says why.
func TestFailingSpool(t *testing.T) {
	cfg := Config{Nodes: 3, Params: 1000, Bits: 24, Rounds: 1, NoFsync: true, Dir: t.TempDir()}
	cfg.store = func(s spool.Store) spool.Store { return &failing{Store: s} }
	_, err := Run(t.Context(), cfg)
	require.ErrorContains(t, err, errDisk.Error())
	left, err := os.ReadDir(cfg.Dir)
	require.NoError(t, err)
	require.Empty(t, left)
}
