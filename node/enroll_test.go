package node_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/identity"
	"github.com/koinon-eu/koinon/crypto/keystore"
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
	done, err := node.Enroll(t.Context(), d, invite, node.File{Data: node.Data{File: "table.csv"}, Tick: time.Second}, time.Now())
	require.NoError(t, err)
	require.Equal(t, uint8(6), done.Index)
	require.False(t, done.Already)
	file, err := d.LoadFile()
	require.NoError(t, err)
	require.Equal(t, f.address, file.Coordinator)
	require.Equal(t, "table.csv", file.Data.File)
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

// TestEnrollAgain is the cure of an expired certificate: the accepted roster stays, the newest is only offered, and a
// coordinator with another identity key is refused.
func TestEnrollAgain(t *testing.T) {
	f, _ := newFake(t, members)
	d := node.Dir(filepath.Join(t.TempDir(), "node"))
	first, err := node.Enroll(t.Context(), d, f.invite(t, "RO"), node.File{Data: node.Data{File: "table.csv"}}, time.Now())
	require.NoError(t, err)
	pinned, err := os.ReadFile(d.Path("roster.json"))
	require.NoError(t, err)
	certificate, err := os.ReadFile(d.Path("certs/node.pem"))
	require.NoError(t, err)

	swapped, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	f.roster.Members[0].Key = federation.Key(swapped) // what the operator has to see before it counts
	require.NoError(t, os.Remove(d.Path("certs/node.pem")))
	again, err := node.Enroll(t.Context(), d, f.invite(t, "RO"), node.File{}, time.Now())
	require.NoError(t, err)
	require.Equal(t, first.Identity, again.Identity)
	require.Equal(t, first.Roster, again.Roster)
	require.Equal(t, first.Roster+1, again.Offered)
	now, err := os.ReadFile(d.Path("roster.json"))
	require.NoError(t, err)
	require.Equal(t, pinned, now)
	_, offered, err := d.Offered()
	require.NoError(t, err)
	roster, err := d.Roster()
	require.NoError(t, err)
	require.Equal(t, []federation.Change{{Member: "DE", What: "identity key changed"}}, federation.Changes(roster, offered))
	fresh, err := os.ReadFile(d.Path("certs/node.pem"))
	require.NoError(t, err)
	require.NotEqual(t, certificate, fresh)

	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	f.key, f.roster.Coordinator = private, federation.Key(public)
	require.NoError(t, os.Remove(d.Path("certs/node.pem")))
	_, err = node.Enroll(t.Context(), d, f.invite(t, "RO"), node.File{}, time.Now())
	require.ErrorIs(t, err, node.ErrOtherCoordinator)
	require.NoFileExists(t, d.Path("certs/node.pem"))
	now, err = os.ReadFile(d.Path("roster.json"))
	require.NoError(t, err)
	require.Equal(t, pinned, now)

	// Another authority is refused before the secret leaves.
	other, _ := newFake(t, members)
	_, err = node.Enroll(t.Context(), d, other.invite(t, "RO"), node.File{}, time.Now())
	require.ErrorIs(t, err, node.ErrOtherCoordinator)
	require.False(t, other.spent)
}

// TestEnrollWithNodeYAML: what an operator wrote before enrolment holds, and is checked before anything is sent.
func TestEnrollWithNodeYAML(t *testing.T) {
	f, _ := newFake(t, members)
	d := node.Dir(t.TempDir())
	write := func(text string) {
		require.NoError(t, os.WriteFile(d.Path("node.yaml"), []byte(text), 0o600))
	}
	key, err := keystore.Generate(filepath.Join(t.TempDir(), "own.key"), keystore.Ed25519)
	require.NoError(t, err)
	const head = "federation: eu-documents\ncoordinator: 127.0.0.1:1\n"
	for text, want := range map[string]string{
		head + "member: BG\n":                             "node.yaml says member BG",
		head + "member: RO\nidentiy: x\n":                 "line 4: unknown key identiy",
		head + "member: RO\nidentity: file:/none.pem\n":   "identity key: ",
		head + "member: RO\nidentity: vault:transit/ro\n": "vault: no token",
	} {
		t.Setenv("VAULT_TOKEN", "")
		write(text)
		_, err := node.Enroll(t.Context(), d, f.invite(t, "RO"), node.File{}, time.Now())
		require.ErrorContains(t, err, want)
		require.False(t, f.spent)
	}
	text := head + fmt.Sprintf("member: RO\nidentity: %s\n", key)
	write(text)
	_, err = node.Enroll(t.Context(), d, f.invite(t, "RO"), node.File{Identity: "file:/other.pem"}, time.Now())
	require.ErrorContains(t, err, "says another identity")
	done, err := node.Enroll(t.Context(), d, f.invite(t, "RO"), node.File{}, time.Now())
	require.NoError(t, err)
	want, err := federation.Key(key.Public().(ed25519.PublicKey)).MarshalText()
	require.NoError(t, err)
	require.Equal(t, string(want), done.Identity)
	require.NoFileExists(t, d.Path("keys/identity.pem"))
	after, err := os.ReadFile(d.Path("node.yaml"))
	require.NoError(t, err)
	require.Equal(t, text, string(after))
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
