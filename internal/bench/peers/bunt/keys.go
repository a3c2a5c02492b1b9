package bunt

import (
	"encoding/binary"
	"strings"

	"github.com/loopstore/loopstore/store"
)

// The kinds of keys. A key is its kind, the runtime, and what the kind's comment says.
const (
	stateKind   = 's' // nothing more; the value is the runtime's state
	sessionKind = 'd' // nothing more; the value is the snapshot
	formatKind  = 'f' // nothing more; the value is the snapshot's format and 8 bytes, how many messages; only if it may be appended to
	inputKind   = 'i' // the input; the value is its place, 8 bytes
	placeKind   = 'p' // a place; the value is the state of the input
	receiptKind = 'r' // the run and the sequence; the value is the receipt's JSON
)

// keyOf returns a key, or a prefix of the keys of a kind and runtime. The length in front
// of the runtime keeps it from being a prefix of another runtime.
func keyOf(kind byte, id store.RuntimeID, below ...byte) string {
	key := make([]byte, 0, len(id)+len(below)+16)
	key = binary.AppendUvarint(append(key, kind), uint64(len(id)))
	return string(append(append(key, id...), below...))
}

// number returns bytes that sort as n does, over all 64 bits.
func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func numberOf(text string) uint64 { return binary.BigEndian.Uint64([]byte(text)) }

// valueOf returns the value of a valid input state: its JSON without the payload, and the
// payload as it is on the lines below. JSON that is written inside JSON would lose its white
// space, and would have to be parsed again.
func valueOf(state store.InputState) (string, error) {
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

func stateOf(value string) (state store.InputState, err error) {
	text, payload, found := strings.Cut(value, "\n")
	if err := state.UnmarshalJSON([]byte(text)); err != nil {
		return state, err
	}
	if found {
		state.PersistedInput = []byte(payload)
	}
	return state, nil
}
