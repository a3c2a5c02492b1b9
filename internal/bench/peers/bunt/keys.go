package bunt

import (
	"encoding/binary"
	"strings"

	"github.com/loopstore/loopstore/store"
)

// The kinds of keys. A key is its kind, the runtime, and what stands below.
const (
	stateKind   = 's' // nothing: the runtime's state
	sessionKind = 'd' // nothing: the snapshot
	inputKind   = 'i' // the input: its place, 8 bytes
	placeKind   = 'p' // a place: the input's record
	receiptKind = 'r' // the run and the sequence: the receipt's JSON
)

// keyOf returns a key, or how the keys of a kind and runtime begin. The length
// before the runtime keeps one from being the beginning of another.
func keyOf(kind byte, id store.RuntimeID, below ...byte) string {
	key := make([]byte, 0, len(id)+len(below)+16)
	key = binary.AppendUvarint(append(key, kind), uint64(len(id)))
	return string(append(append(key, id...), below...))
}

// number is order-preserving, over all 64 bits.
func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func numberOf(text string) uint64 { return binary.BigEndian.Uint64([]byte(text)) }

// record returns a valid input state as text: its JSON without the input itself,
// and that, as it is, on the lines below. JSON that is written within JSON would
// lose its white space, and have to be read again.
func record(state store.InputState) (string, error) {
	payload := state.PersistedInput
	state.PersistedInput = nil
	text, err := state.MarshalJSON()
	if err != nil {
		return "", err
	}
	if payload != nil {
		text = append(append(text, '\n'), payload...)
	}
	return string(text), nil
}

func stateOf(record string) (state store.InputState, err error) {
	text, payload, found := strings.Cut(record, "\n")
	if err := state.UnmarshalJSON([]byte(text)); err != nil {
		return state, err
	}
	if found {
		state.PersistedInput = []byte(payload)
	}
	return state, nil
}
