package leaktest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// Everything that Render prints of a value without protection is found; a
// Scanner that finds nothing would prove nothing.
func TestFindsWhatIsPrinted(t *testing.T) {
	secret := sha256.Sum256([]byte("secret"))
	var s Scanner
	s.Add("rho", secret[:])
	s.AddText("row", "file 12345678")
	require.Equal(t, 2, s.Len())
	type open struct{ Key [32]byte }
	type closed struct{ key []byte }
	for _, v := range []any{secret, secret[:], open{secret}, &open{secret}, closed{secret[:]}, string(secret[:]), fmt.Errorf("bad key %x", secret)} {
		require.NotEmpty(t, s.Find(Render(v)), "%T", v)
	}
	for _, format := range []string{"%v", "%d", "%x", "%X", "% x", "%#v", "%q", "%s"} {
		require.NotEmpty(t, s.Find(fmt.Appendf(nil, format, secret[:])), format)
		require.NotEmpty(t, s.Find(fmt.Appendf(nil, "part "+format, secret[:12])), format)
	}
	require.Equal(t, []string{"rho (hex, end)"}, s.Find(fmt.Appendf(nil, "%x", secret[20:])))
	require.Equal(t, []string{"row (text)"}, s.Find([]byte("in file 12345678.")))
	require.Empty(t, s.Find(bytes.Repeat([]byte("nothing here "), 1000)))
	require.Empty(t, s.Find(nil))
	for shift := range 3 {
		inside := append(make([]byte, shift), secret[:]...)
		require.NotEmpty(t, s.Find([]byte(base64.StdEncoding.EncodeToString(inside))))
		require.NotEmpty(t, s.Find([]byte(base64.URLEncoding.EncodeToString(inside))))
	}
	require.Panics(t, func() { s.Add("short", secret[:7]) })
	require.Panics(t, func() { s.AddText("short", "1234567") })
}
