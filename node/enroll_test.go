package node_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/identity"
	"github.com/koinon-eu/koinon/node"
	"github.com/koinon-eu/koinon/node/egress"
	"github.com/koinon-eu/koinon/node/link"
)

// invite makes the one invite that the fake takes.
func (f *fake) invite(t testing.TB, member string) identity.Invite {
	secret, err := identity.NewSecret(randomReader{})
	require.NoError(t, err)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.secret, f.spent = secret, false
	return identity.Invite{
		Federation: "eu-documents", Member: member, Server: f.address, Root: identity.FingerprintOf(f.trust.Root),
		Secret: secret, Expires: time.Now().Add(time.Hour).Truncate(time.Second),
	}
}

func TestEnroll(t *testing.T) {
	f, _ := newFake(t, members)
	d := node.Dir(filepath.Join(t.TempDir(), "node"))
	invite := f.invite(t, "RO")
	done, err := node.Enroll(t.Context(), d, invite, node.File{Data: "table.csv", Tick: time.Second}, time.Now())
	require.NoError(t, err)
	require.Equal(t, uint8(6), done.Index)
	require.False(t, done.Already)
	file, err := d.LoadFile()
	require.NoError(t, err)
	require.Equal(t, f.address, file.Coordinator)
	require.Equal(t, "table.csv", file.Data)
	require.Equal(t, time.Second, file.Tick)
	for _, name := range []string{"keys/identity.pem", "certs/node.pem"} {
		info, err := os.Stat(d.Path(name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}

	// Run again it changes nothing and asks nobody.
	before, err := os.ReadFile(d.Path("certs/node.pem"))
	require.NoError(t, err)
	again, err := node.Enroll(t.Context(), d, invite, node.File{}, time.Now())
	require.NoError(t, err)
	require.True(t, again.Already)
	after, err := os.ReadFile(d.Path("certs/node.pem"))
	require.NoError(t, err)
	require.Equal(t, before, after)

	// An invite of another member is not for this directory.
	other := invite
	other.Member = "BG"
	_, err = node.Enroll(t.Context(), d, other, node.File{}, time.Now())
	require.ErrorIs(t, err, node.ErrOtherMember)

	// The request is in the operator's egress record.
	_, path := d.EgressPaths()
	var types []string
	_, err = egress.List(path, func(e egress.Entry) error { types = append(types, e.Type); return nil })
	require.NoError(t, err)
	require.Equal(t, []string{"enroll"}, types)
}

func TestEnrollRefused(t *testing.T) {
	f, _ := newFake(t, members)
	t.Run("second use", func(t *testing.T) {
		invite := f.invite(t, "RO")
		_, err := node.Enroll(t.Context(), node.Dir(t.TempDir()), invite, node.File{}, time.Now())
		require.NoError(t, err)
		_, err = node.Enroll(t.Context(), node.Dir(t.TempDir()), invite, node.File{}, time.Now())
		var remote *link.RemoteError
		require.ErrorAs(t, err, &remote)
		require.True(t, remote.Denied)
	})
	t.Run("wrong fingerprint", func(t *testing.T) {
		invite := f.invite(t, "BG")
		invite.Root[0] ^= 1
		d := node.Dir(t.TempDir())
		_, err := node.Enroll(t.Context(), d, invite, node.File{}, time.Now())
		require.ErrorIs(t, err, identity.ErrFingerprint)
		require.False(t, f.spent) // the secret was never sent
		require.NoFileExists(t, d.Path("certs/node.pem"))
	})
	t.Run("expired", func(t *testing.T) {
		invite := f.invite(t, "BG")
		_, err := node.Enroll(t.Context(), node.Dir(t.TempDir()), invite, node.File{}, invite.Expires)
		require.ErrorIs(t, err, identity.ErrInvite)
		require.False(t, f.spent)
	})
	t.Run("nobody there", func(t *testing.T) {
		invite := f.invite(t, "BG")
		invite.Server = "127.0.0.1:1"
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := node.Enroll(ctx, node.Dir(t.TempDir()), invite, node.File{}, time.Now())
		var remote *link.RemoteError
		require.ErrorAs(t, err, &remote)
		require.True(t, remote.Unreachable)
	})
	t.Run("other federation", func(t *testing.T) {
		invite := f.invite(t, "BG")
		invite.Federation = "other"
		_, err := node.Enroll(t.Context(), node.Dir(t.TempDir()), invite, node.File{}, time.Now())
		require.ErrorIs(t, err, identity.ErrFederation)
		require.False(t, f.spent)
	})
}
