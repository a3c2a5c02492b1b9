package memdb

import (
	"encoding/binary"

	"github.com/hashicorp/go-memdb"

	"github.com/loopstore/loopstore/internal/bench/peers/internal/rules"
	"github.com/loopstore/loopstore/store"
)

// The rows of the tables. A row in a table never changes.
type (
	stateRow struct {
		runtime store.RuntimeID
		state   store.RuntimeState
	}
	sessionRow struct {
		runtime store.RuntimeID
		session *rules.Session
	}
	inputRow struct {
		runtime store.RuntimeID
		place   uint64 // in the order of the runtime's inputs
		state   store.InputState
	}
	receiptRow struct {
		runtime store.RuntimeID
		receipt store.RunBoundaryReceipt
	}
)

// The tables and indexes. Inputs have an index by place besides the one by id. The name of
// an index with prefix after it looks up keys by their first parts.
const (
	states   = "states"
	sessions = "sessions"
	inputs   = "inputs"
	receipts = "receipts"

	byID    = "id"
	byPlace = "place"
	prefix  = "_prefix"
)

func schema() *memdb.DBSchema {
	all := &memdb.DBSchema{Tables: make(map[string]*memdb.TableSchema)}
	add := func(table, name string, i memdb.Indexer) {
		t := all.Tables[table]
		if t == nil {
			t = &memdb.TableSchema{Name: table, Indexes: make(map[string]*memdb.IndexSchema)}
			all.Tables[table] = t
		}
		t.Indexes[name] = &memdb.IndexSchema{Name: name, Unique: true, Indexer: i}
	}
	add(states, byID, index[stateRow](func(r *stateRow) []byte { return runtimeKey(r.runtime) }))
	add(sessions, byID, index[sessionRow](func(r *sessionRow) []byte { return runtimeKey(r.runtime) }))
	add(inputs, byID, index[inputRow](func(r *inputRow) []byte { return inputKey(r.runtime, r.state.InputID) }))
	add(inputs, byPlace, index[inputRow](func(r *inputRow) []byte {
		return binary.BigEndian.AppendUint64(runtimeKey(r.runtime), r.place)
	}))
	add(receipts, byID, index[receiptRow](func(r *receiptRow) []byte {
		return receiptKey(r.runtime, r.receipt.RunID, r.receipt.Sequence)
	}))
	return all
}

// An index makes the key of a row. Look-ups pass finished keys. (The library's own
// indexers find fields by reflection, and take a string with a zero byte for two.)
type index[R any] func(*R) []byte

// FromObject returns a row's key.
func (i index[R]) FromObject(row any) (bool, []byte, error) { return true, i(row.(*R)), nil }

// FromArgs returns the key to look up.
func (i index[R]) FromArgs(args ...any) ([]byte, error) { return args[0].([]byte), nil }

// PrefixFromArgs returns the prefix of the keys to look up.
func (i index[R]) PrefixFromArgs(args ...any) ([]byte, error) { return args[0].([]byte), nil }

// runtimeKey returns a key that is not a prefix of another runtime's key.
func runtimeKey(id store.RuntimeID) []byte {
	key := make([]byte, 0, len(id)+40)
	return append(binary.AppendUvarint(key, uint64(len(id))), id...)
}

func inputKey(id store.RuntimeID, input store.InputID) []byte {
	return append(runtimeKey(id), input[:]...)
}

func runKey(id store.RuntimeID, run store.RunID) []byte { return append(runtimeKey(id), run[:]...) }

func receiptKey(id store.RuntimeID, run store.RunID, sequence uint64) []byte {
	return binary.BigEndian.AppendUint64(runKey(id, run), sequence)
}
