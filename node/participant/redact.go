package participant

import (
	"fmt"
	"io"
)

// Format hides Rho under every verb of fmt.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// MarshalText hides Rho from JSON and from the handlers of log/slog, which this package may not import.
func (c Config) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// String tells phase and round, never what the round is made of.
func (p *Participant) String() string {
	return fmt.Sprintf("participant.Participant(member %d, round %d, %s)", p.cfg.Self, p.round, p.phase)
}

// Format tells what String does under every verb.
func (p *Participant) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, p.String()) }

// MarshalText tells what String does, in JSON and logs.
func (p *Participant) MarshalText() ([]byte, error) { return []byte(p.String()), nil }
