// Package secaggtest runs a whole batch of secure aggregation in memory, for
// tests: real clients and a real server, with hooks between them where a test
// can make either side lie.
package secaggtest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/prg"
	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/hpkeseal"
)

// Options of a batch; the zero value of each field has a default.
type Options struct {
	Members []uint8 // indexes of roster and cohort; default 1…5
	Seed    byte    // keys, ρ and vectors follow from it
	Round   uint32  // default 1
	Run     [16]byte
	Sum     secagg.Sum                                 // the first one; default DefaultSum
	Sums    uint16                                     // of the batch; default Sums
	Seal    func(dealer uint8) secagg.Seal             // default hpkeseal.Seal
	Client  func(i uint8, cfg *secagg.ClientConfig)    // last word on a client's configuration
	Server  func(cfg *secagg.ServerConfig)             // last word on the server's
	Vector  func(i uint8, layout ring.Layout) []uint64 // default Vector
}

// Sums is the default of Options.Sums, and with Lead set the first sum of every
// batch is run before a test gets to see Mask: what it tests is then the second
// one. A test that runs others over batches sets both for that time.
var (
	Sums uint16 = 1
	Lead bool
)

// Batch is one batch under test.
type Batch struct {
	T       testing.TB
	Opt     Options
	Roster  secagg.Roster
	Keys    map[uint8]ed25519.PrivateKey // 0 is the coordinator
	Server  *secagg.Server
	Clients map[uint8]*secagg.Client
	Configs map[uint8]secagg.ClientConfig

	Vectors map[uint8][]uint64                                // plain, as given to the clients
	Uploads map[uint8]*secagg.Upload                          // as the server spooled them
	Facts   map[uint8][]secagg.Fact                           // stored by each client
	Errors  map[uint8]error                                   // why a client left
	Refused map[uint8]error                                   // why the server refused a member's last packet
	Closed  map[uint8]*secagg.Closed                          // results verified by each client, of the last sum
	Ended   map[uint8]*secagg.AbortError                      // last abort of one sum
	Sent    map[uint8][][]secagg.Frame                        // every packet of each client but its reveal
	Reveals map[uint8][]secagg.Frame                          // the reveal of each client, in version 2
	Streams []secagg.Stream                                   // after Publish
	Result  []uint64                                          // the sum, after Publish
	ToNode  func(to uint8, p []secagg.Frame) []secagg.Frame   // alters the coordinator's packets; nil result: lost
	ToCoord func(from uint8, p []secagg.Frame) []secagg.Frame // alters the members' packets; nil result: lost
	Packet  []secagg.Frame                                    // the last sum announced by Next

	hookReveals  bool // ToCoord gets to see reveals
	lead         bool // the first sum is still to be run
	leadRequire  *secagg.Set
	leadEvidence [][]byte
}

// Digest makes a recognisable 32-byte value.
func Digest(name string) [32]byte { return sha256.Sum256([]byte(name)) }

// DefaultSum is a small step with parameters in two lanes and two integers.
func DefaultSum() secagg.Sum {
	return secagg.Sum{
		Kind: 1, Step: 7, Query: Digest("query"), State: Digest("state"), Model: Digest("model"),
		Params: 5, Lanes: 2, Bits: 24, ClipL2: 1, ClipInf: 0.5, WeightCap: 1 << 20, WeightBits: 4,
		MinRows: 20, Ints: 2, IntMax: 1 << 40,
	}
}

// Key returns the identity key of a member under a seed; 0 is the coordinator.
func Key(seed, i byte) ed25519.PrivateKey {
	s := sha256.Sum256([]byte{'k', seed, i})
	return ed25519.NewKeyFromSeed(s[:])
}

// NewRoster returns a roster of the given members and all private keys.
func NewRoster(seed byte, members []uint8) (secagg.Roster, map[uint8]ed25519.PrivateKey) {
	keys := map[uint8]ed25519.PrivateKey{0: Key(seed, 0)}
	r := secagg.Roster{Coordinator: keys[0].Public().(ed25519.PublicKey)}
	for _, i := range members {
		keys[i] = Key(seed, i)
		r.Members = append(r.Members, secagg.Member{Name: fmt.Sprintf("M%d", i), Index: i, Key: keys[i].Public().(ed25519.PublicKey)})
	}
	return r, keys
}

// Indexes returns 1…n.
func Indexes(n int) []uint8 {
	l := make([]uint8, n)
	for i := range l {
		l[i] = uint8(i + 1)
	}
	return l
}

// Vector returns a plain vector of a layout that passes every range check.
func Vector(i uint8, seed byte, l ring.Layout) []uint64 {
	raw := make([]uint64, l.Words())
	key := sha256.Sum256([]byte{'v', seed, i})
	prg.AddAt(raw, key, 0, false)
	at := l.ParamWords()
	for w := range raw[:at] {
		v := uint64(0)
		for lane := range l.Lanes {
			if w*l.Lanes+lane < l.Params {
				v |= raw[w] >> (lane * l.LaneBits()) & (1<<l.Bits - 1) << (lane * l.LaneBits())
			}
		}
		raw[w] = v
	}
	for w := at; w < at+l.Ints; w++ {
		raw[w] = uint64(int64(raw[w]) >> 24) // in ±2^39
	}
	copy(raw[at+l.Ints:], []uint64{uint64(i) + 20, 1 & uint64(i) * uint64(min(l.Params, 1)), 1})
	return raw
}

// New makes server and clients of a batch; nothing is sent yet.
func New(t testing.TB, o Options) *Batch {
	t.Helper()
	if o.Members == nil {
		o.Members = Indexes(5)
	}
	if o.Round == 0 {
		o.Round = 1
	}
	if o.Sum.Kind == 0 {
		o.Sum = DefaultSum()
	}
	if o.Seal == nil {
		o.Seal = func(uint8) secagg.Seal { return hpkeseal.Seal }
	}
	if o.Sums == 0 {
		o.Sums = Sums
	}
	b := &Batch{
		T: t, Opt: o, Clients: map[uint8]*secagg.Client{}, Configs: map[uint8]secagg.ClientConfig{},
		Vectors: map[uint8][]uint64{}, Uploads: map[uint8]*secagg.Upload{}, Facts: map[uint8][]secagg.Fact{},
		Errors: map[uint8]error{}, Refused: map[uint8]error{}, Closed: map[uint8]*secagg.Closed{},
		Sent: map[uint8][][]secagg.Frame{}, Reveals: map[uint8][]secagg.Frame{}, Ended: map[uint8]*secagg.AbortError{},
	}
	if o.Vector == nil {
		b.Opt.Vector = func(i uint8, l ring.Layout) []uint64 { return Vector(i, o.Seed+byte(b.Server.Sum().K)-1, l) }
	}
	b.Roster, b.Keys = NewRoster(o.Seed, o.Members)
	for _, i := range o.Members {
		cfg := b.clientConfig(i)
		c, err := secagg.NewClient(cfg)
		require.NoError(t, err)
		b.Clients[i], b.Configs[i] = c, cfg
	}
	s, err := secagg.NewServer(b.ServerConfig())
	require.NoError(t, err)
	b.Server = s
	return b
}

// Sign returns the signer of a member; 0 is the coordinator.
func (b *Batch) Sign(i uint8) secagg.Signer {
	return func(m []byte) ([]byte, error) { return ed25519.Sign(b.Keys[i], m), nil }
}

// Cohort returns all members.
func (b *Batch) Cohort() secagg.Set { return secagg.SetOf(b.Opt.Members...) }

// ServerConfig returns the configuration a server of this batch gets.
func (b *Batch) ServerConfig() secagg.ServerConfig {
	cfg := secagg.ServerConfig{
		Roster: b.Roster, RosterDigest: Digest("roster"), Federation: Digest("federation"), Plan: Digest("plan"),
		Cohort: b.Cohort(), Sum: b.Opt.Sum, Sign: b.Sign(0),
		Spec: secagg.Spec{Run: b.Opt.Run, Round: b.Opt.Round, Sums: b.Opt.Sums, Nonce: sha256.Sum256([]byte{'n', b.Opt.Seed}), Deadlines: [5]uint32{30, 30, 60, 30, 30}},
	}
	if b.Opt.Server != nil {
		b.Opt.Server(&cfg)
	}
	b.lead, b.leadRequire, b.leadEvidence = Lead, cfg.Require, cfg.Evidence
	if Lead {
		cfg.Sum.Step += leadStep
		cfg.Require, cfg.Evidence = nil, nil
	}
	return cfg
}

// leadStep takes the first sum that Lead runs to a place that no test looks at.
const leadStep = 1000

func (b *Batch) clientConfig(i uint8) secagg.ClientConfig {
	cfg := secagg.ClientConfig{
		Self: i, Federation: Digest("federation"), RosterDigest: Digest("roster"), Plan: Digest("plan"),
		Roster: b.Roster, Cohort: b.Cohort(), Run: b.Opt.Run, LastRound: b.Opt.Round - 1, MinCohort: 3, MaxSums: b.Opt.Sums,
		Expect: b.Opt.Sum, Number: b.Opt.Sum.Step, Rows: uint32(i) + 20, Sign: b.Sign(i), Seal: b.Opt.Seal(i),
		Rho: sha256.Sum256([]byte{'r', b.Opt.Seed, i}),
	}
	if Lead {
		cfg.Expect.Step += leadStep
		cfg.Number += leadStep
	}
	if b.Opt.Client != nil {
		b.Opt.Client(i, &cfg)
	}
	return cfg
}

// Step returns the sum that all derive for sum k of the batch, the one after the
// sum before.
func (b *Batch) Step(k uint16) secagg.Sum {
	s := b.Opt.Sum
	s.Step += uint32(k) - 1
	if k > 1 {
		s.State = sha256.Sum256([]byte{'s', byte(k)})
	}
	return s
}

// Verify returns the configuration of someone who verifies the present sum's round later.
func (b *Batch) Verify() secagg.VerifyConfig {
	return secagg.VerifyConfig{
		Federation: Digest("federation"), RosterDigest: Digest("roster"), Plan: Digest("plan"),
		Roster: b.Roster, Cohort: b.Cohort(), Run: b.Opt.Run, Expect: b.Server.Sum(),
	}
}
