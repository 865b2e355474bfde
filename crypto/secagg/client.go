package secagg

import (
	"fmt"

	"github.com/koinon-eu/koinon/crypto/ring"
)

// FactKind names a fact a client must not forget (S33, S63).
type FactKind uint8

// The facts of §13.
const (
	FactRound  FactKind = 1 + iota // a round was joined; older ones are stale
	FactMasked                     // a vector leaves: the step's budget is spent (S36)
	FactLock                       // σ may be released with these survivors only (S33)
	FactDraw                       // a graph is drawn: one more under the plan (V12)
)

// Fact must be durable before anything else of the same ClientOutput happens.
type Fact struct {
	Kind      FactKind
	Round     uint32
	Sigma     [32]byte // FactMasked: σ, what the vector answers
	Lock      [32]byte // FactLock: τ, the place that is released
	Survivors Set      // FactLock
	Excused   Set      // FactLock: whom evidence proves guilty; only they may be missing from an earlier lock
	H3        [32]byte // FactLock
}

// ClientConfig is what a member's node knows by itself when a batch opens.
type ClientConfig struct {
	Self         uint8 // own index in the roster
	Federation   [32]byte
	RosterDigest [32]byte
	Plan         [32]byte // digest the operator approved
	Roster       Roster   // pinned version (S10)
	Cohort       Set      // of the plan (S5)
	Run          [16]byte
	LastRound    uint32 // last round joined in this run; older ones are stale
	MinCohort    int    // 0 means 5; below 3 is refused (S7)
	MinSurvivors int    // 0 means 3; below 3 is refused (S7)
	// Expect is the step this node derived itself (S73). Run, Round, K, Members
	// and Prev are not compared. Another State or Model is ErrModel, anything
	// else ErrPolicy. With Follow, State and Model are not compared either.
	Expect Sum
	Number uint32 // of Expect among the plan's steps of its kind, from 1: its place (S33)
	Rows   uint32 // own rows; fewer than min_rows is ErrNoData (S44)
	// MaxSums is the most sums of a batch this member takes, from the plan; 0
	// means 1. More in a spec is ErrPolicy.
	MaxSums uint16
	// Drawn is how many graphs this member has helped to draw under the plan, in
	// all runs; at MaxDraws it stops: ErrBudget (V12). Small cohorts draw none.
	Drawn  int
	Follow bool // train on the announced model without having checked it (S62)
	// Lock returns the survivors this node released for the place τ before, in
	// this run or another one of the plan (S33). Nil means none ever.
	Lock func(name [32]byte) (Set, bool)
	// Require returns the only survivors with which this member releases a sum,
	// such as the cohort of a tree; false means any that S7 allows. Nil means
	// false for every sum. Others are ErrSurvivors.
	Require func(sum Sum) (Set, bool)
	// Allow says why this member does not release a sum with these survivors, for
	// instance because of what it released before: ErrSurvivors. It is asked
	// before `agree`. Nil allows all.
	Allow func(sum Sum, survivors Set) error
	Sign  Signer
	Seal  Seal
	Rho   [32]byte // fresh from the operating system for every batch (S13)
}

// String hides Rho.
func (c ClientConfig) String() string { return fmt.Sprintf("secagg.ClientConfig(member %d)", c.Self) }

// GoString hides Rho.
func (c ClientConfig) GoString() string { return c.String() }

// Upload is the masked vector and how it is cut into chunks (S53).
type Upload struct {
	Words  []uint64 // masked
	Root   [32]byte
	Hashes [][32]byte // of each chunk
	Chunks int
}

// Chunk returns the bytes of chunk i, 65 536 or for the last one fewer.
func (u *Upload) Chunk(i int) []byte {
	part := u.Words[i*chunkWords : min((i+1)*chunkWords, len(u.Words))]
	return ring.AppendLE(make([]byte, 0, 8*len(part)), part)
}

// Closed is a result whose openings, commitments and signatures were verified.
// The driver still fetches the sum, compares SumRoot, recomputes state and
// model (ErrModel if they differ) and spot-checks (S56).
type Closed struct {
	Round     uint32
	Sigma     [32]byte
	H3        [32]byte
	SumRoot   [32]byte
	Words     int
	Survivors Set
	State     [32]byte           // as announced
	Model     [32]byte           // as announced
	Roots     map[uint8][32]byte // chunk root of each survivor's upload
	Streams   []Stream           // opened masks: Σ y with these applied is the sum
}

// ClientOutput is what the driver must do, in this order: store, then the rest.
type ClientOutput struct {
	Store  []Fact
	Send   []Frame
	Want   bool    // compute the vector for the sum and call Vector
	Upload *Upload // send after Send
	Closed *Closed
	// Ended tells that the coordinator ended this sum but not the batch: call
	// Expect for the next sum, which asks for the same step again.
	Ended *AbortError
}
