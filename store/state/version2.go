package state

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/loopstore/loopstore/store"
)

// inputStateOfJSON reads an input state as versions 1 and 2 of the format have it.
func (b *payloadReader) inputStateOfJSON() *store.InputState {
	state := new(store.InputState)
	if err := state.UnmarshalJSON(b.sized()); err != nil || b.bad {
		return nil
	}
	if b.flag() {
		state.PersistedInput = jsontext.Value(bytes.Clone(b.take(len(b.rest))))
		if err := state.Validate(); err != nil {
			return nil
		}
	}
	return state
}
