package secagg

// secret is 32 bytes that must not be printed, compared with == or left behind.
type secret struct {
	_ [0]func()
	b [32]byte
}

func (*secret) String() string   { return "redacted" }
func (*secret) GoString() string { return "redacted" }

func (s *secret) wipe() { clear(s.b[:]) }

func newSecret(b [32]byte) *secret { return &secret{b: b} }
