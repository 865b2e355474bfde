package federationpb_test

import (
	"bytes"
	"testing"

	pb "github.com/koinon-eu/koinon/coordinator/federationpb"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/mem"
)

// A chunk takes a buffer of its own size, and what is decoded does not share it.
func TestCodecChunk(t *testing.T) {
	codec := pb.Codec{}
	for _, size := range []int{0, 1, 5000, 40 << 10, pb.MaxChunkBytes, 3 << 20} {
		in := &pb.UploadChunk{Run: make([]byte, 16), Round: 7, K: 1, Index: 9, Data: bytes.Repeat([]byte{0xa5}, size)}
		data, err := codec.Marshal(in)
		require.NoError(t, err)
		var out pb.UploadChunk
		half := data.Len() / 2
		raw := data.Materialize()
		parts := mem.BufferSlice{mem.SliceBuffer(raw[:half]), mem.SliceBuffer(raw[half:])}
		require.NoError(t, codec.Unmarshal(parts, &out))
		data.Free()
		for range 4 { // whoever gets the buffer next writes over it
			b := pb.Buffers.Get(max(size, 40<<10))
			clear(*b)
			pb.Buffers.Put(b)
		}
		require.True(t, bytes.Equal(in.Data, out.Data), size)
		require.Equal(t, uint32(9), out.Index)
	}
	_, err := codec.Marshal("text")
	require.Error(t, err)
	require.Error(t, codec.Unmarshal(nil, "text"))
	var out pb.UploadChunk
	require.Error(t, codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer([]byte{0xff})}, &out))
}

func TestBuffersFitChunks(t *testing.T) {
	for _, size := range []int{1, 32 << 10, 32<<10 + 1, pb.MaxChunkBytes, pb.MaxChunkBytes + 100, 1 << 20} {
		b := pb.Buffers.Get(size)
		require.Len(t, *b, size)
		if size > 32<<10 && size <= pb.MaxChunkBytes+100 {
			require.Less(t, cap(*b), 72<<10)
		}
		pb.Buffers.Put(b)
	}
}
