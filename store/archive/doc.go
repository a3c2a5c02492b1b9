// Package archive writes all that a store holds to a file, and reads it back.
//
// # Format
//
// A file is JSON Lines in UTF-8: each line is one object and a line feed. This is
// a whole file, of a runtime whose session was replaced, and a fork of what it was
// before (here long lines are broken, and ids and hashes are cut short):
//
//	{"type":"header","format":"loopstore","version":2,"revision":3,"runtimes":2,"input_states":1,"runs":1,
//	    "receipts":1,"versions":3,"parts":2,"sessions":1,"check":"866c7627ba556997"}
//	{"type":"runtime","runtime_id":"agent-1","version":2,"versions":2,"input_states":1,"runs":1,
//	    "dropped_runs":0,"latest_receipt":{"run_id":"02000000-…","sequence":0},"check":"c9ce352acc748b9f"}
//	{"type":"version","number":1,"made":1773333426,"receipt":{"run_id":"02000000-…","sequence":0},"parts":1,
//	    "format":"lines","part":1,"digest":"0ab2…","messages":1,"check":"123b19c0670f96eb"}
//	{"type":"part","number":1,"text":"\"hi\"\n","check":"0871646bb29f6aa2"}
//	{"type":"version","number":2,"made":1773333426,"parts":1,"format":"unset","part":2,
//	    "check":"4189dadc57d4fb2c"}
//	{"type":"part","number":2,"text":"any bytes","check":"d6b52ac0d6682904"}
//	{"type":"input_state","state":{"input_id":"01000000-…","current_state":"accepted","attempt_count":0,
//	    "recovery_count":0,"created_at":"2026-03-12T16:37:06Z","updated_at":"2026-03-12T16:37:06Z"},
//	    "persisted_input":"{ \"input_type\": \"prompt\" }","check":"d56b70e5afe0d1c9"}
//	{"type":"run","run_id":"02000000-…","highest_sequence":0,"receipts":1,"check":"01dbc9a8e8aec1fd"}
//	{"type":"receipt","receipt":{"run_id":"02000000-…","boundary":"run_start",
//	    "contributing_input_ids":["01000000-…"],"message_count":0,"sequence":0},"check":"7602fa07ac1bf35d"}
//	{"type":"runtime","runtime_id":"agent-2","version":3,"origin":{"runtime_id":"agent-1","number":1},
//	    "versions":1,"input_states":0,"runs":0,"dropped_runs":0,"check":"a1dbbd75896ba20f"}
//	{"type":"version","number":1,"made":1773333426,"parts":0,"format":"lines","part":1,"digest":"0ab2…",
//	    "messages":1,"check":"6a0731294627ddc5"}
//	{"type":"session","session_id":"03000000-…","runtime_id":"agent-1","parts":0,"format":"lines","part":1,
//	    "digest":"0ab2…","messages":1,"check":"da41ce3934408775"}
//	{"type":"end","lines":13,"sha256":"6587…","check":"b6ecac90946080ba"}
//
// The lines that a line counts follow it: kind by kind as listed here, and within
// a kind in the store's order. So only one kind of line can come next. A member
// that has nothing to say is absent.
//
//   - header: format, always "loopstore". version, the format's: 2. revision,
//     that of the last change. runtimes and sessions, how many follow.
//     input_states, runs, receipts, versions and parts, how many of these lines
//     there are in the file.
//   - runtime: runtime_id. version, the revision of its last change.
//     runtime_state, if it has one. origin, if it is a fork: the runtime_id that it
//     was forked from, and the number of the version. versions of its session.
//     input_states. runs, each followed by its receipts. dropped_runs.
//     latest_receipt, the run_id and sequence of the receipt that was stored last, if
//     it has receipts.
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
//   - session: session_id. runtime_id, of the runtime that filed it. Then its text,
//     with the members of a version's.
//   - end: lines, the number of lines in the file, this one included. sha256, of
//     all lines before it.
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
// # Version 1
//
// A file of version 1 is read too. It has only the last version of each session, which
// is number 1 then. The header and a runtime count snapshots instead of versions and
// parts, and there are no origins. A snapshot has digest and messages, if it was read
// as a session document of Meerkat's, and all of the bytes, as text or base64. A
// session has a snapshot, an object with the same members, unless it is the same as
// that of the runtime that filed it.
package archive
