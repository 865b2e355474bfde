package federationpb

import (
	"fmt"
	"sync"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// Codec is gRPC's protobuf codec with buffers that fit a chunk. gRPC's own come in 32 KiB and then 1 MiB, which a chunk
// of 64 KiB with its few bytes of header falls just above: each would hold, and clear, a megabyte.
type Codec struct{}

// Name implements encoding.CodecV2.
func (Codec) Name() string { return "proto" }

// Marshal implements encoding.CodecV2.
func (Codec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("marshal %T: not a message", v)
	}
	size := proto.Size(m)
	options := proto.MarshalOptions{UseCachedSize: true} // which Size has just made
	if mem.IsBelowBufferPoolingThreshold(size) {
		b, err := options.Marshal(m)
		return mem.BufferSlice{mem.SliceBuffer(b)}, err
	}
	b := Buffers.Get(size)
	if _, err := options.MarshalAppend((*b)[:0], m); err != nil {
		Buffers.Put(b)
		return nil, err
	}
	return mem.BufferSlice{mem.NewBuffer(b, Buffers)}, nil
}

// Unmarshal implements encoding.CodecV2.
func (Codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return fmt.Errorf("unmarshal %T: not a message", v)
	}
	b := data.MaterializeToBuffer(Buffers)
	defer b.Free()
	return proto.Unmarshal(b.ReadOnlyData(), m)
}

// Buffers is the pool of Codec. A buffer holds what the message before left in it beyond its length, so whoever takes
// one fills it.
var Buffers mem.BufferPool = &buffers{}

// A buffer of the pool holds a chunk with its header; smaller and much larger ones are gRPC's.
const (
	smallest   = 32 << 10
	chunkSized = MaxChunkBytes + 4<<10
)

type buffers struct{ chunks sync.Pool }

// Get implements mem.BufferPool.
func (p *buffers) Get(n int) *[]byte {
	if n <= smallest || n > chunkSized {
		return mem.DefaultBufferPool().Get(n)
	}
	if b, ok := p.chunks.Get().(*[]byte); ok {
		*b = (*b)[:n]
		return b
	}
	b := make([]byte, n, chunkSized)
	return &b
}

// Put implements mem.BufferPool.
func (p *buffers) Put(b *[]byte) {
	if cap(*b) == chunkSized {
		p.chunks.Put(b)
		return
	}
	mem.DefaultBufferPool().Put(b)
}
