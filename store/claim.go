package store

import "slices"

// A Claim asks for the next input of any runtime: see loopstore.Loop.ClaimNext.
type Claim struct {
	From []InputLifecycleState // one of which the input is in; empty means all that wait
	To   InputLifecycleState   // that it is moved to, one of those that are under way
	At   Time                  // of the move; the zero Time means when that is done
}

// Validate returns a *ValueError if a state is none, or if To ends an input.
func (c Claim) Validate() error {
	for _, s := range c.From {
		if err := s.Validate(); err != nil {
			return InField("from", err)
		}
	}
	if err := c.To.Validate(); err != nil {
		return InField("to", err)
	}
	if c.To.IsTerminal() {
		return &ValueError{Field: "to", Reason: "a state that ends an input"}
	}
	return InField("at", c.At.Validate())
}

// Detach returns a copy that shares nothing with c.
func (c Claim) Detach() Claim {
	return Claim{slices.Clone(c.From), constant(inputStates, c.To), c.At}
}
