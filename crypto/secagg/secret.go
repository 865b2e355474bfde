package secagg

// secrets is 32 bytes for each sum of a batch. They must not be printed,
// compared with == or left behind.
type secrets struct {
	_ [0]func()
	b [][32]byte
}

func (*secrets) String() string   { return "redacted" }
func (*secrets) GoString() string { return "redacted" }

// newSecrets makes room for the sums 1…m.
func newSecrets(m int) *secrets { return &secrets{b: make([][32]byte, m)} }

// at returns the secret of sum k.
func (s *secrets) at(k uint16) *[32]byte { return &s.b[k-1] }

func (s *secrets) wipe() { clear(s.b) }

func (s *secrets) wipeSum(k uint16) { clear(s.b[k-1 : k]) }
