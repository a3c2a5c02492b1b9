// Package store is the vocabulary of loopstore: ids, values, errors and the
// [RuntimeStore] interface. Package state holds the values, package batch writes
// several of them together.
//
// The values are those of Meerkat 0.4.6, an agent runtime in Rust, and their
// JSON is what it writes: members in a fixed order, absent ones left out,
// enums in lower snake case, times in RFC 3339 with 0, 3, 6 or 9 decimals.
// Reading is as strict as there: a missing or twice named member, an unknown
// enum value or a null in the place of a member's value is an error, an unknown
// member is not. Objects are read in their own spelling only, not as arrays of
// their members' values, and enums as strings. The values implement the methods
// of encoding/json, which github.com/go-json-experiment/json uses too. An encoder
// around them may escape or space their JSON in its own way; their MarshalJSON
// methods give the exact bytes.
package store
