// Package archive writes all that a store holds to a file, and reads it back.
//
// # Format
//
// A file is JSON Lines in UTF-8: each line is one object and a line feed. This is
// a whole file, of one runtime (here long lines are broken, and ids and the hash
// are cut short):
//
//	{"type":"header","format":"loopstore","version":1,"revision":1,"runtimes":1,"input_states":1,"runs":1,
//	    "receipts":1,"snapshots":1,"sessions":1,"check":"63a8b94398d61063"}
//	{"type":"runtime","runtime_id":"agent-1","version":1,"snapshots":1,"input_states":1,"runs":1,
//	    "dropped_runs":0,"latest_receipt":{"run_id":"02000000-…","sequence":0},"check":"08170a03c91fcd1c"}
//	{"type":"snapshot","text":"any bytes","check":"7a7984ca008a51e3"}
//	{"type":"input_state","state":{"input_id":"01000000-…","current_state":"accepted","attempt_count":0,
//	    "recovery_count":0,"created_at":"2026-03-12T16:37:06Z","updated_at":"2026-03-12T16:37:06Z"},
//	    "persisted_input":"{ \"input_type\": \"prompt\" }","check":"ad09dab71ef0adad"}
//	{"type":"run","run_id":"02000000-…","highest_sequence":0,"receipts":1,"check":"75e0bb0514ef2bb5"}
//	{"type":"receipt","receipt":{"run_id":"02000000-…","boundary":"run_start",
//	    "contributing_input_ids":["01000000-…"],"message_count":0,"sequence":0},"check":"a0a15ae353d67d0c"}
//	{"type":"session","session_id":"03000000-…","runtime_id":"agent-1","check":"63fcd086afd8fc87"}
//	{"type":"end","lines":8,"sha256":"544c…","check":"d4852679f8e263cb"}
//
// The lines that a line counts follow it: kind by kind as listed here, and within
// a kind in the store's order. So only one kind of line can come next. A member
// that has nothing to say is absent.
//
//   - header: format, always "loopstore". version, the format's: 1. revision,
//     that of the last change. runtimes and sessions, how many follow.
//     input_states, runs, receipts and snapshots, how many the runtimes have
//     together.
//   - runtime: runtime_id. version, the revision of its last change.
//     runtime_state, if it has one. snapshots, 0 or 1. input_states. runs, each
//     followed by its receipts. dropped_runs. latest_receipt, the run_id and
//     sequence of the receipt that was stored last, if it has receipts.
//   - snapshot: for one that the store has read as a session document, digest,
//     the conversation's digest as receipts spell it, and messages, their
//     number. Then the bytes: as text if they are valid UTF-8, else as base64.
//   - input_state: state, as package store writes it. persisted_input, that
//     member's text, if it has white space between its parts: then it is here
//     and not in state.
//   - run: run_id. highest_sequence, the highest that a receipt of the run has
//     ever had. receipts, which follow by ascending sequence.
//   - receipt: receipt, as package store writes it.
//   - dropped_run: run_id and highest_sequence of a run that has no receipts
//     left.
//   - session: session_id. runtime_id, of the runtime that filed it. snapshot,
//     an object with the members of a snapshot's line; it is absent if that
//     runtime has the same snapshot.
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
package archive
