package identity

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func newInvite(t testing.TB) Invite {
	t.Helper()
	secret, err := NewSecret(bytes.NewReader(bytes.Repeat([]byte{7}, 32)))
	require.NoError(t, err)
	return Invite{
		Federation: federation, Member: "DE", Server: "coordinator.documents.eu:7443",
		Root: Fingerprint{1, 2, 3}, Secret: secret, Expires: time.Unix(1_800_000_000, 0).UTC(),
	}
}

func TestInvite(t *testing.T) {
	invite := newInvite(t)
	text, err := invite.Text()
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(text, "koinon-invite-v1."))
	require.NotContains(t, text, " ")
	got, err := ParseInvite("\n " + text + "\r\n")
	require.NoError(t, err)
	require.True(t, got.Secret.Matches(invite.Secret.Hash()))
	got.Secret, invite.Secret = Secret{}, Secret{}
	require.Equal(t, fmt.Sprint(invite), fmt.Sprint(got))
	require.False(t, got.Expired(invite.Expires.Add(-time.Second)))
	require.True(t, got.Expired(invite.Expires))
}

func TestInviteIsStrict(t *testing.T) {
	text, err := newInvite(t).Text()
	require.NoError(t, err)
	for name, bad := range map[string]string{
		"empty": "", "prefix alone": invitePrefix, "other version": strings.Replace(text, "v1", "v2", 1),
		"cut": text[:len(text)-1], "longer": text + "A", "padding": text + "=", "line break": text[:40] + "\n" + text[40:],
		"upper case": strings.ToUpper(text), "huge": text + strings.Repeat("A", 2000), "short": invitePrefix + "AAAA",
	} {
		_, err := ParseInvite(bad)
		require.ErrorIs(t, err, ErrInvite, name)
	}
	for i := len(invitePrefix); i < len(text); i++ {
		changed := []byte(text)
		if changed[i] = 'A'; text[i] == 'A' {
			changed[i] = 'B'
		}
		_, err := ParseInvite(string(changed))
		require.ErrorIs(t, err, ErrInvite, "one changed character at %d", i)
	}
	for name, change := range map[string]func(*Invite){
		"federation": func(i *Invite) { i.Federation = "" },
		"member":     func(i *Invite) { i.Member = "D E" },
		"no port":    func(i *Invite) { i.Server = "host" },
		"port 0":     func(i *Invite) { i.Server = "host:0" },
		"port 007":   func(i *Invite) { i.Server = "host:007" },
		"port name":  func(i *Invite) { i.Server = "host:https" },
		"bad host":   func(i *Invite) { i.Server = "ho st:1" },
		"fraction":   func(i *Invite) { i.Expires = i.Expires.Add(1) },
		"no expiry":  func(i *Invite) { i.Expires = time.Time{} },
	} {
		invite := newInvite(t)
		change(&invite)
		_, err := invite.Text()
		require.Error(t, err, name)
	}
}

func TestSecretIsKept(t *testing.T) {
	a, err := NewSecret(rand.Reader)
	require.NoError(t, err)
	b, err := NewSecret(rand.Reader)
	require.NoError(t, err)
	require.True(t, a.Matches(a.Hash()))
	require.False(t, a.Matches(b.Hash()))
	again, err := SecretFrom(a.Bytes())
	require.NoError(t, err)
	require.True(t, again.Matches(a.Hash()))
	_, err = SecretFrom(a.Bytes()[1:])
	require.ErrorIs(t, err, ErrInvite)
	_, err = NewSecret(bytes.NewReader(nil))
	require.Error(t, err)

	var log bytes.Buffer
	invite := newInvite(t)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("invite", "secret", invite.Secret, "invite", invite)
	text, err := json.Marshal(invite)
	require.NoError(t, err)
	shown := log.String() + string(text) + fmt.Sprintf("%v %+v %#v %s %q %x", invite, invite, invite.Secret, invite.Secret, invite.Secret, invite.Secret)
	require.Contains(t, shown, "[secret]")
	for _, leak := range []string{"0707", "7 7 7", `\a\a`, "0x7, 0x7", "BwcH"} {
		require.NotContains(t, shown, leak)
	}
}

func FuzzParseInvite(f *testing.F) {
	text, err := newInvite(f).Text()
	require.NoError(f, err)
	f.Add(text)
	f.Add(invitePrefix + "AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		invite, err := ParseInvite(text)
		if err != nil {
			require.ErrorIs(t, err, ErrInvite)
			return
		}
		again, err := invite.Text()
		require.NoError(t, err)
		require.Equal(t, strings.TrimSpace(text), again)
	})
}
