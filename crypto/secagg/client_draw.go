package secagg

import "fmt"

// reveal is the second half of Advertised → Drawn: h1 is fixed, so this
// member's draw may be known. That it takes part is stored first (V6, V12).
func (c *Client) reveal() (ClientOutput, error) {
	if c.cfg.Drawn >= MaxDraws {
		return ClientOutput{}, fmt.Errorf("%w: %d graphs were drawn under this plan", ErrBudget, c.cfg.Drawn)
	}
	f, err := c.sign(TypeReveal, reveal{h1: c.h1, draw: derive(c.cfg.Rho, c.dspec, "draw")}.body())
	if err != nil {
		return ClientOutput{}, err
	}
	c.state = stateDrawn
	return ClientOutput{Store: []Fact{{Kind: FactDraw, Round: c.sum.Round}}, Send: []Frame{f}}, nil
}

// learn is Drawn → Shared: all reveals of U1 come in and give the graph (V6).
func (c *Client) learn(frames []Frame) (ClientOutput, error) {
	if err := c.readReveals(c.cfg.Roster, frames); err != nil {
		return ClientOutput{}, err
	}
	if err := c.graph.checkFed(SetOf(c.cfg.Self), c.u1); err != nil {
		return ClientOutput{}, err
	}
	return c.deal()
}
