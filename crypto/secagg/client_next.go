package secagg

import "fmt"

// Expect tells the client, between two sums of a batch, what this member derived
// itself for the next one (S73): the fields of ClientConfig with the same names.
// Only then may the coordinator's packet with that sum be handed to Receive.
// Errors wrap ErrTranscript outside of state waiting and ErrPlan for number 0;
// the client stays as it is.
func (c *Client) Expect(expect Sum, number, rows uint32) error {
	switch {
	case c.state == stateLeft:
		return ErrLeft
	case c.state != stateWaiting:
		return fmt.Errorf("member %d: %w: next sum in state %s", c.cfg.Self, ErrTranscript, c.State())
	case number == 0:
		return fmt.Errorf("member %d: %w: step without its number", c.cfg.Self, ErrPlan)
	}
	c.cfg.Expect, c.cfg.Number, c.cfg.Rows = expect, number, rows
	return nil
}

// Done reports whether the batch is over for this member: its last sum is
// closed, or the client has left.
func (c *Client) Done() bool { return c.state == stateClosed || c.state == stateLeft }
