package secagg

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/sha256"
	"fmt"
	"reflect"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/leaktest"
)

// quartet is a batch of four clients of this package, driven by hand.
func quartet(t *testing.T) (clients map[uint8]*Client, server *Server) {
	t.Helper()
	key := func(i uint8) ed25519.PrivateKey {
		s := sha256.Sum256([]byte{'k', i})
		return ed25519.NewKeyFromSeed(s[:])
	}
	signer := func(i uint8) Signer {
		return func(m []byte) ([]byte, error) { return ed25519.Sign(key(i), m), nil }
	}
	r := Roster{Coordinator: key(0).Public().(ed25519.PublicKey)}
	for i := uint8(1); i <= 4; i++ {
		r.Members = append(r.Members, Member{Name: fmt.Sprint("M", i), Index: i, Key: key(i).Public().(ed25519.PublicKey)})
	}
	sum := Sum{Kind: 1, Step: 1, WeightCap: 1000, MinRows: 1, Ints: 4, IntMax: 1 << 40}
	server, err := NewServer(ServerConfig{Roster: r, Cohort: r.Set(), Sum: sum, Sign: signer(0), Spec: Spec{Round: 1, Deadlines: [5]uint32{9, 9, 9, 9, 9}}})
	require.NoError(t, err)
	clients = map[uint8]*Client{}
	for i := uint8(1); i <= 4; i++ {
		clients[i], err = NewClient(ClientConfig{
			Self: i, Roster: r, Cohort: r.Set(), MinCohort: 3, Expect: sum, Number: 1, Rows: 20, Sign: signer(i),
			Seal: seal,
			Rho:  sha256.Sum256([]byte{'r', i}),
		})
		require.NoError(t, err)
	}
	return clients, server
}

// seal is hpkeseal.Seal, which tests inside this package cannot import.
func seal(pk, info []byte) (enc, key []byte, err error) {
	public, err := hpke.MLKEM768X25519().NewPublicKey(pk)
	if err != nil {
		return nil, nil, err
	}
	enc, sender, err := hpke.NewSender(public, hpke.HKDFSHA256(), hpke.ExportOnly(), info)
	if err != nil {
		return nil, nil, err
	}
	key, err = sender.Export(ExportLabel, 32)
	return enc, key, err
}

func deliver(t *testing.T, s *Server, c *Client, p []Frame) ClientOutput {
	t.Helper()
	out, err := c.Receive(p)
	require.NoError(t, err)
	if len(out.Send) > 0 {
		require.NoError(t, s.Receive(c.cfg.Self, out.Send))
	}
	return out
}

// ready takes the batch to the point where every client holds all its secrets.
func ready(t *testing.T) (clients map[uint8]*Client, server *Server) {
	t.Helper()
	clients, server = quartet(t)
	for i := uint8(1); i <= 4; i++ {
		deliver(t, server, clients[i], server.Opening())
	}
	p, err := server.CloseAdvertise()
	require.NoError(t, err)
	for i := uint8(1); i <= 4; i++ {
		deliver(t, server, clients[i], p)
	}
	packs, err := server.CloseShare()
	require.NoError(t, err)
	for i := uint8(1); i <= 4; i++ {
		require.True(t, deliver(t, server, clients[i], packs[i]).Want)
	}
	return clients, server
}

// secretFields are the fields of a client that hold secrets.
var secretFields = []string{"seeds", "shares", "rounding"}

// holdings are the 32-byte secrets of a client by where they stand, as the memory it owns. They are
// found by reflection through whatever holds them.
func holdings(c *Client) map[string][]byte {
	found := map[string][]byte{"rho": c.cfg.Rho[:]}
	v := reflect.ValueOf(c).Elem()
	for _, name := range secretFields {
		collect(v.FieldByName(name), name, found)
	}
	return found
}

func collect(v reflect.Value, name string, found map[string][]byte) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			collect(v.Elem(), name, found)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			collect(v.MapIndex(k), fmt.Sprintf("%s %v", name, k), found)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			collect(v.Field(i), name, found)
		}
	case reflect.Slice, reflect.Array:
		if v.Kind() == reflect.Array && v.Len() == 32 && v.Type().Elem().Kind() == reflect.Uint8 {
			found[name] = unsafe.Slice((*byte)(unsafe.Pointer(v.UnsafeAddr())), 32)
			return
		}
		for i := range v.Len() {
			collect(v.Index(i), fmt.Sprintf("%s, %d", name, i), found)
		}
	}
}

// S13: no verb, handler or encoder prints what a client holds, at any state.
func TestClientNeverPrinted(t *testing.T) {
	clients, _ := quartet(t)
	before := clients[1].cfg
	var s leaktest.Scanner
	s.Add("rho", before.Rho[:])
	require.Empty(t, s.Find(leaktest.Render(before)))
	require.Empty(t, s.Find(leaktest.Render(&before)))
	require.Empty(t, s.Find(leaktest.Render(clients[1])))
	require.NotEmpty(t, s.Find(leaktest.Render(before.Rho))) // it can fail

	clients, _ = ready(t)
	var held leaktest.Scanner
	for name, b := range holdings(clients[2]) {
		if name != "rho" { // wiped once U2 is known
			held.Add(name, b)
		}
	}
	require.Greater(t, held.Len(), 10)
	require.Empty(t, held.Find(leaktest.Render(clients[2])))
	for name, b := range holdings(clients[2]) { // it can fail
		if name != "rho" {
			require.NotEmpty(t, held.Find(leaktest.Render(bytes.Clone(b))), name)
		}
	}
	mask := sha256.Sum256([]byte("mask key"))
	held.Add("mask key", mask[:])
	streams := []Stream{{Key: mask}, {Key: mask, Negative: true}}
	require.Empty(t, held.Find(leaktest.Render(streams)))
	require.Empty(t, held.Find(leaktest.Render(streams[0])))
}

// S13, §6: ρ is gone once U2 is known; after Leave, and after every error, the
// memory that held ρ, seeds, shares and rounding is zero and no reference to a
// key pair, a mask or a masked vector is left.
func TestLeaveZeroesSecrets(t *testing.T) {
	for name, leave := range map[string]func(c *Client){
		"leave": (*Client).Leave,
		"error": func(c *Client) {
			_, err := c.Receive([]Frame{{Type: TypeShare, Sender: 9}})
			require.Error(t, err)
		},
		"error of the vector": func(c *Client) {
			_, err := c.Vector(make([]uint64, 1))
			require.Error(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			clients, _ := ready(t)
			c := clients[3]
			require.Equal(t, [32]byte{}, c.cfg.Rho)
			require.Nil(t, c.sk)
			held := holdings(c)
			delete(held, "rho")
			require.Greater(t, len(held), 10)
			for what, b := range held {
				require.NotEqual(t, make([]byte, 32), b, what)
			}
			leave(c)
			require.Equal(t, "left", c.State())
			requireZero(t, c, held)
			require.Empty(t, c.answered)
			require.Empty(t, c.own)
		})
	}
}

// S13: the same after the sum is closed.
func TestCloseZeroesSecrets(t *testing.T) {
	clients, server := ready(t)
	held := map[uint8]map[string][]byte{}
	for i := uint8(1); i <= 4; i++ {
		held[i] = holdings(clients[i])
		x := []uint64{1, 2, 3, uint64(i), 20, 0, 1}
		out, err := clients[i].Vector(x)
		require.NoError(t, err)
		require.Equal(t, []uint64{1, 2, 3, uint64(i), 20, 0, 1}, x) // the caller's to wipe
		require.NoError(t, server.Receive(i, out.Send))
		require.NoError(t, server.Chunk(i, 0, out.Upload.Chunk(0)))
		require.NoError(t, server.MarkWhole(i))
		require.NoError(t, clients[i].Uploaded())
	}
	p, err := server.CloseMask()
	require.NoError(t, err)
	for i := uint8(1); i <= 4; i++ {
		deliver(t, server, clients[i], p)
	}
	p, ok := server.Certificate()
	require.True(t, ok)
	for i := uint8(1); i <= 4; i++ {
		deliver(t, server, clients[i], p)
	}
	_, err = server.Open()
	require.NoError(t, err)
	p, err = server.Result(7, [32]byte{1}, [32]byte{2}, [32]byte{3})
	require.NoError(t, err)
	for i := uint8(1); i <= 4; i++ {
		require.NotNil(t, deliver(t, server, clients[i], p).Closed)
		require.Equal(t, "closed", clients[i].State())
		requireZero(t, clients[i], held[i])
	}
}

func requireZero(t *testing.T, c *Client, held map[string][]byte) {
	t.Helper()
	for what, b := range held {
		require.Equal(t, make([]byte, len(b)), b, what)
	}
	for what, b := range holdings(c) {
		require.Equal(t, make([]byte, len(b)), b, what)
	}
	require.Nil(t, c.sk)
	require.Nil(t, c.seeds)
	require.Nil(t, c.shares)
	require.Nil(t, c.upload)
}

// Secret holders cannot be compared with ==, which is not constant-time.
func TestSecretHoldersIncomparable(t *testing.T) {
	for _, v := range []any{ClientConfig{}, Client{}, Stream{}, deal{}, contents{}} {
		require.False(t, reflect.TypeOf(v).Comparable(), "%T", v)
	}
	seeds, _ := reflect.TypeFor[Client]().FieldByName("seeds")
	require.False(t, seeds.Type.Elem().Elem().Comparable())
}
