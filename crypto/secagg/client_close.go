package secagg

import "fmt"

// finish is Released → waiting, or closed after the last sum of the batch: the coordinator's result with every opened seed
// proven to be the committed one (§6). State and model stay the driver's to
// recompute.
func (c *Client) finish(frames []Frame) (ClientOutput, error) {
	closed, err := c.readResult(c.cfg.Roster, frames)
	if err != nil {
		return ClientOutput{}, err
	}
	closed.Sigma = c.sigma()
	c.end(c.sum.K, c.u3, c.h3)
	return ClientOutput{Closed: closed}, nil
}

// readResult checks result and openings against the rest of the view (S31).
func (v *transcriptView) readResult(r Roster, frames []Frame) (*Closed, error) {
	if len(frames) != 2 || frames[0].Type != TypeResult || frames[1].Type != TypeOpenings {
		return nil, fmt.Errorf("%w: packet of %d frames", ErrResult, len(frames))
	}
	if err := r.verify(frames[0], v.dspec); err != nil {
		return nil, err
	}
	m, err := parseResult(frames[0].Body)
	if err != nil {
		return nil, err
	}
	words := v.sum.Layout().Words()
	if m.k != v.sum.K || m.h3 != v.h3 || int64(m.words) != int64(words) {
		return nil, fmt.Errorf("%w: it is for other survivors or another length", ErrResult)
	}
	o, err := parseOpenings(frames[1].Body)
	if err != nil {
		return nil, err
	}
	if len(o.list) == 0 || o.root() != m.openingsRoot {
		return nil, fmt.Errorf("%w: openings are not the signed ones", ErrResult)
	}
	if err := v.checkOpenings(o.list); err != nil {
		return nil, err
	}
	return &Closed{
		Round: v.sum.Round, H3: v.h3, SumRoot: m.sumRoot, Words: words, Survivors: v.u3,
		State: m.state, Model: m.model, Roots: v.roots, Streams: undo(o.list, v.u3, v.g),
	}, nil
}

// checkOpenings wants exactly the seeds of S31, each the committed one.
func (v *transcriptView) checkOpenings(list []opening) error {
	ids := v.toOpen()
	if len(ids) != len(list) {
		return fmt.Errorf("%w: %d openings instead of %d", ErrResult, len(list), len(ids))
	}
	for i, o := range list {
		if o.secret != ids[i] {
			return fmt.Errorf("%w: opening of %d and %d", ErrResult, o.secret.a, o.secret.b)
		}
		if err := v.checkOpening(o); err != nil {
			return err
		}
	}
	return nil
}
