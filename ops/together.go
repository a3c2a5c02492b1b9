package ops

import (
	"strconv"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// A together is what the operations have in common that store several things together.
type together struct {
	conditions conditions
	updates    []*store.InputState
}

// prepare checks the id, the conditions and all states, and copies the states.
func (c *together) prepare(id store.RuntimeID, given []store.Condition, field string, states []store.InputState) (err error) {
	if err := validRuntime(id); err != nil {
		return err
	}
	if c.conditions, err = conditionsOf(batch.PlainConditions(given)); err != nil {
		return err
	}
	for i := range states {
		if err := states[i].Validate(); err != nil {
			return store.InField(field+"["+strconv.Itoa(i)+"]", err)
		}
	}
	c.updates = make([]*store.InputState, len(states))
	for i := range states {
		c.updates[i] = new(states[i].Detach())
	}
	return nil
}

// putUpdates stores the states in order, so the last of those with one id wins, in the
// place of the first.
func (c *together) putUpdates(s *state.State, id store.RuntimeID) {
	for _, input := range c.updates {
		s.PutInputState(id, input)
	}
}
