package archive

import (
	"bytes"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

const (
	format        = "loopstore"
	formatVersion = 3
)

// A line is the members of a line between its type and its check.
type line interface{ kind() string }

type header struct {
	Format      string `json:"format"`
	Version     uint64 `json:"version"`
	Revision    uint64 `json:"revision"`
	Runtimes    uint64 `json:"runtimes"`
	InputStates uint64 `json:"input_states"`
	Runs        uint64 `json:"runs"`
	Receipts    uint64 `json:"receipts"`
	Versions    uint64 `json:"versions"`
	Parts       uint64 `json:"parts"`
	Sessions    uint64 `json:"sessions"`
	Keys        uint64 `json:"keys,omitzero"`
	Tombstones  uint64 `json:"tombstones,omitzero"`
}

type runtime struct {
	RuntimeID     store.RuntimeID    `json:"runtime_id"`
	Version       uint64             `json:"version"`
	RuntimeState  store.RuntimeState `json:"runtime_state,omitzero"`
	Made          store.Time         `json:"made,omitzero"`
	Active        store.Time         `json:"active,omitzero"`
	Labels        labels             `json:"labels,omitzero"`
	AfterSequence *uint64            `json:"after_sequence,omitzero"`
	Origin        *state.Origin      `json:"origin,omitzero"`
	Versions      uint64             `json:"versions"`
	InputStates   uint64             `json:"input_states"`
	Runs          uint64             `json:"runs"`
	DroppedRuns   uint64             `json:"dropped_runs"`
	Keys          uint64             `json:"keys,omitzero"`
	LatestReceipt *boundary          `json:"latest_receipt,omitzero"`
}

type boundary struct {
	RunID    store.RunID `json:"run_id"`
	Sequence uint64      `json:"sequence"`
}

type inputState struct {
	State          input   `json:"state"`
	PersistedInput *string `json:"persisted_input,omitzero"`
}

// An input is a store.InputState that is written with the same text, but without
// a copy of it in between.
type input store.InputState

func (s *input) MarshalJSONTo(enc *jsontext.Encoder) error {
	if err := (*store.InputState)(s).Validate(); err != nil {
		return err
	}
	type plain input
	return json.MarshalEncode(enc, (*plain)(s))
}

func (s *input) UnmarshalJSON(text []byte) error {
	return (*store.InputState)(s).UnmarshalLater(text)
}

type run struct {
	RunID           store.RunID `json:"run_id"`
	HighestSequence uint64      `json:"highest_sequence"`
	Receipts        uint64      `json:"receipts"`
}

type receipt struct {
	Receipt boundaryReceipt `json:"receipt"`
}

// A boundaryReceipt is a store.RunBoundaryReceipt, written like an input.
type boundaryReceipt store.RunBoundaryReceipt

func (r *boundaryReceipt) MarshalJSONTo(enc *jsontext.Encoder) error {
	if err := (*store.RunBoundaryReceipt)(r).Validate(); err != nil {
		return err
	}
	type plain boundaryReceipt
	return json.MarshalEncode(enc, (*plain)(r))
}

func (r *boundaryReceipt) UnmarshalJSON(text []byte) error {
	return (*store.RunBoundaryReceipt)(r).UnmarshalJSON(text)
}

type droppedRun struct {
	RunID           store.RunID `json:"run_id"`
	HighestSequence uint64      `json:"highest_sequence"`
}

type key struct {
	Key     string        `json:"key"`
	InputID store.InputID `json:"input_id"`
	Since   store.Time    `json:"since,omitzero"`
}

type tombstone struct {
	RuntimeID       store.RuntimeID `json:"runtime_id"`
	Version         uint64          `json:"version"`
	Deleted         store.Time      `json:"deleted,omitzero"`
	HighestSequence *uint64         `json:"highest_sequence,omitzero"`
	Keys            uint64          `json:"keys,omitzero"`
}

// labels are written by ascending keys.
type labels map[string]string

func (l labels) MarshalJSONTo(enc *jsontext.Encoder) error {
	return json.MarshalEncode(enc, map[string]string(l), json.Deterministic(true))
}

type end struct {
	Lines  uint64 `json:"lines"`
	SHA256 string `json:"sha256"`
}

func (header) kind() string     { return "header" }
func (runtime) kind() string    { return "runtime" }
func (inputState) kind() string { return "input_state" }
func (run) kind() string        { return "run" }
func (receipt) kind() string    { return "receipt" }
func (droppedRun) kind() string { return "dropped_run" }
func (key) kind() string        { return "key" }
func (tombstone) kind() string  { return "tombstone" }
func (end) kind() string        { return "end" }

// headerOf returns the first line of a file that holds so much, in so many parts.
func headerOf(revision uint64, held store.Totals, parts int) header {
	return header{
		Format: format, Version: formatVersion, Revision: revision,
		Runtimes: uint64(held.Runtimes), InputStates: uint64(held.InputStates), Runs: uint64(held.Runs),
		Receipts: uint64(held.Receipts), Versions: uint64(held.Snapshots + held.Versions), Parts: uint64(parts),
		Sessions: uint64(held.Sessions), Keys: uint64(held.Keys), Tombstones: uint64(held.Tombstones),
	}
}

func inputStateOf(s store.InputState) inputState {
	l := inputState{State: input(s)}
	if text := s.PersistedInput; text != nil && !compact(text) {
		l.State.PersistedInput, l.PersistedInput = nil, new(string(text))
	}
	return l
}

// compact reports whether valid JSON has no white space between its parts. The
// encoder leaves such JSON as it is.
func compact(text jsontext.Value) bool {
	inString := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case !inString && c <= ' ':
			return false
		}
	}
	return true
}

// encode writes a line up to its check.
func encode(buf *bytes.Buffer, l line) error {
	before := opening(l.kind())
	buf.Reset()
	buf.WriteString(before[:len(before)-1])
	if err := json.MarshalWrite(buf, l, asWritten); err != nil {
		return err
	}
	buf.Bytes()[len(before)-1] = ',' // for the members' opening brace
	buf.Truncate(buf.Len() - 1)      // their closing brace
	return nil
}

// decode reads the members of a line that has its check. The line is unchanged
// afterwards.
func decode(text []byte, l line) error {
	from, to := len(opening(l.kind()))-1, len(text)-sealLength
	defer func() { text[from], text[to] = ',', ',' }()
	text[from], text[to] = '{', '}'
	return json.Unmarshal(text[from:to+1], l, asWritten)
}

// asWritten keeps a payload's JSON as it was spelled.
var asWritten = json.JoinOptions(jsontext.PreserveRawStrings(true), jsontext.AllowDuplicateNames(true))

// opening returns what a line of a kind has before its members.
func opening(kind string) string { return `{"type":"` + kind + `",` }
