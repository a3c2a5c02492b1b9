// Package archive writes all that a store holds to a file, and reads it back.
//
// # Format
//
// A file is JSON Lines in UTF-8: each line is one object and a line feed. This is
// a whole file, of a runtime whose session was replaced, and a fork of what it was
// before (here long lines are broken, and ids and hashes are cut short):
//
//	{"type":"header","format":"loopstore","version":3,"revision":3,"runtimes":2,"input_states":1,"runs":1,
//	    "receipts":1,"versions":3,"parts":2,"sessions":1,"check":"df0ddbffd361b3b2"}
//	{"type":"runtime","runtime_id":"agent-1","version":2,"made":"2026-03-12T16:37:06Z",
//	    "active":"2026-03-12T16:37:06Z","versions":2,"input_states":1,"runs":1,"dropped_runs":0,
//	    "latest_receipt":{"run_id":"02000000-…","sequence":0},"check":"3534ca9ee9929132"}
//	{"type":"version","number":1,"made":1773333426,"receipt":{"run_id":"02000000-…","sequence":0},"parts":1,
//	    "format":"lines","part":1,"digest":"0ab2…","messages":1,"check":"daa6270d3fc8816d"}
//	{"type":"part","number":1,"text":"\"hi\"\n","check":"db1679099f2115cb"}
//	{"type":"version","number":2,"made":1773333426,"parts":1,"format":"unset","part":2,
//	    "check":"90331bd6e9cdc2a5"}
//	{"type":"part","number":2,"text":"any bytes","check":"f3707c1579d40ab9"}
//	{"type":"input_state","state":{"input_id":"01000000-…","current_state":"accepted","attempt_count":0,
//	    "recovery_count":0,"created_at":"2026-03-12T16:37:06Z","updated_at":"2026-03-12T16:37:06Z"},
//	    "persisted_input":"{ \"input_type\": \"prompt\" }","check":"d82646cb88fbf6ec"}
//	{"type":"run","run_id":"02000000-…","highest_sequence":0,"receipts":1,"check":"b79aa8dbc3e82152"}
//	{"type":"receipt","receipt":{"run_id":"02000000-…","boundary":"run_start",
//	    "contributing_input_ids":["01000000-…"],"message_count":0,"sequence":0},"check":"da55f13dfd612f5a"}
//	{"type":"runtime","runtime_id":"agent-2","version":3,"made":"2026-03-12T16:37:06Z",
//	    "active":"2026-03-12T16:37:06Z","origin":{"runtime_id":"agent-1","number":1},
//	    "versions":1,"input_states":0,"runs":0,"dropped_runs":0,"check":"cbd9394ac79d9d3b"}
//	{"type":"version","number":1,"made":1773333426,"parts":0,"format":"lines","part":1,"digest":"0ab2…",
//	    "messages":1,"check":"03a31953a4daea9d"}
//	{"type":"session","session_id":"03000000-…","runtime_id":"agent-1","parts":0,"format":"lines","part":1,
//	    "digest":"0ab2…","messages":1,"check":"6412cb6749b98bee"}
//	{"type":"end","lines":13,"sha256":"433c…","check":"26050fd4d4a23fc7"}
//
// The lines that a line counts follow it: kind by kind as listed here, and within
// a kind in the store's order. So only one kind of line can come next. A member
// that has nothing to say is absent.
//
//   - header: format, always "loopstore". version, the format's: 3. revision,
//     that of the last change. runtimes, sessions and tombstones, how many follow.
//     input_states, runs, receipts, versions and parts, how many of these lines
//     there are in the file. keys, how many of all runtimes, not of tombstones.
//   - runtime: runtime_id. version, the revision of its last change.
//     runtime_state, if it has one. made, when it was made, and active, when it was
//     written to last, each if that is known. labels, an object whose values are
//     texts, by ascending keys, up to 16. after_sequence, if it was deleted and
//     brought back: the sequence that new runs come after. origin, if it is a
//     fork: the runtime_id that it was forked from, and the number of the version.
//     versions of its session. input_states. runs, each followed by its receipts.
//     dropped_runs. keys. latest_receipt, the run_id and sequence of the receipt that
//     was stored last, if it has receipts.
//   - version: number, from 1 and ascending; the last one is the session as it is.
//     made, when, in Unix seconds, if that was recorded. receipt, the run_id and
//     sequence that it was committed with, if it was; the receipt itself may have
//     gone. Then the text: parts, how many come with it. format, as package session
//     names it. part, the number of the part that has all of the text; it is absent
//     if the text is empty. digest, the conversation's as receipts spell it, and
//     messages, their number; both are absent if the format is unset.
//   - part: number, one more than that of the part before it in the file, from 1. The
//     bytes, up to 16 KiB: as text if they are valid UTF-8, else as base64. Or else
//     parts, the numbers of up to 64 parts whose texts are one after the other in
//     this one.
//   - input_state: state, as package store writes it. persisted_input, that
//     member's text, if it has white space between its parts: then it is here
//     and not in state.
//   - run: run_id. highest_sequence, the highest that a receipt of the run has
//     ever had. receipts, which follow by ascending sequence.
//   - receipt: receipt, as package store writes it.
//   - dropped_run: run_id and highest_sequence of a run that has no receipts
//     left.
//   - key: key, an idempotency key that is kept, of the runtime before it or of the
//     tombstone. No input of the runtime has it. input_id, of the input that had it
//     last. since, when that lost it, if that is known.
//   - session: session_id. runtime_id, of the runtime that filed it. Then its text,
//     with the members of a version's.
//   - tombstone: runtime_id, of a runtime that was deleted, and is not in the file.
//     version, the revision of that. deleted, when it was, if that is known.
//     highest_sequence of any run, if it had one. keys, which follow.
//   - end: lines, the number of lines in the file, this one included. sha256, of
//     all lines before it.
//
// Times of made, active, since and deleted are from 1970 to 2262, and no leap seconds. An
// input has no version here: an import gives it one that none had before.
//
// Every line ends with its check: the first 16 digits of the SHA-256 of all that
// is before it in the file. So a line that was altered, lost, doubled or moved is
// found where it is. The check is no signature: anybody can write another file
// with right checks.
//
// A file has only one spelling, the one that Write gives it: members in this
// order and no others, no white space between them, strings with the shortest
// escapes. Read refuses any other.
//
// # Parts
//
// Texts share parts, as they do in memory (see package session): versions of a
// session, forks, and filed sessions. A part stands in the file once, where the first
// text that has it does, so a version takes a part or two and the lists above them. A
// text has a tree of parts: all those that a list lists are lists of as many levels, up
// to 12, or are none. What comes with a text are the parts that no text before it
// has, in the order of a walk over the tree that visits a list after what it lists. The
// last of them is the part that has all of the text. A text has no part twice, and none
// is longer than the bytes of all parts that are before it in the file.
//
// # Version 2
//
// A file of version 2 is read too. It has no keys and no tombstones, and no line of it
// made, active, labels or after_sequence.
//
// # Version 1
//
// So is a file of version 1. It has only the last version of each session, which
// is number 1 then. The header and a runtime count snapshots instead of versions and
// parts, and there is nothing of what version 2 does not have, and no origins. A snapshot has digest and messages, if it was read
// as a session document of Meerkat's, and all of the bytes, as text or base64. A
// session has a snapshot, an object with the same members, unless it is the same as
// that of the runtime that filed it.
package archive
