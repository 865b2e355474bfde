package rpc

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestWords(t *testing.T) {
	require.NoError(t, words("reason", "η βαθμονόμηση άλλαξε, 5 %"))
	for _, text := range []string{"a\x1b[2J", "a\nb", "\u009b", "\u202e", "\x7f"} {
		require.Equal(t, codes.InvalidArgument, status.Code(words("reason", text)), "%q", text)
	}
	require.Equal(t, "a [2J b", cleared("a\x1b[2J\nb"))
}
