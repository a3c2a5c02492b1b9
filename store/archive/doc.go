// Package archive writes all that a store holds to a file, and reads it again.
//
// # Format
//
// A file is JSON Lines in UTF-8: on every line one object, and a line feed
// after it. This is a whole one, of one runtime (long lines are broken here, and
// ids and the hash cut short):
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
// What each line counts comes after it, in the order in which it is counted
// here and in that of the store, so there is one line that may come next, and
// what is left out is absent:
//
//   - header: format, always "loopstore". version, of the format, 1. revision,
//     of the last change. runtimes and sessions, how many come next;
//     input_states, runs, receipts and snapshots, how many of them the runtimes
//     have together.
//   - runtime: runtime_id. version, the revision of its last change.
//     runtime_state, if it has one. snapshots, 1 or 0; input_states; runs, each
//     with its receipts; dropped_runs. latest_receipt, the run_id and sequence
//     of the receipt that was stored last, if there are any.
//   - snapshot: digest, the conversation digest as receipts spell it, and
//     messages, their number, if the store has read it as a session document,
//     and neither if it has stored it as it came. Then the bytes: text, if they
//     are valid UTF-8, or else base64.
//   - input_state: state, as package store writes it. persisted_input, the text
//     of that member if it has white space between its parts: it is not in
//     state then.
//   - run: run_id. highest_sequence that a receipt of it has had, which may be
//     gone. receipts, by ascending sequence.
//   - receipt: receipt, as package store writes it.
//   - dropped_run: run_id and highest_sequence of a run that has no receipts
//     any more.
//   - session: session_id. runtime_id of the runtime that filed it. snapshot,
//     an object with the members of a snapshot's line, unless it is just the
//     snapshot that this runtime has.
//   - end: lines, how many the file has, this one included. sha256 of all
//     lines before it.
//
// Every line ends with its check: the first 16 digits of the SHA-256 of all of
// the file before this member. So an altered, lost, doubled or moved line is
// found where it stands. It is no signature: whoever means to can write another
// file that is right.
//
// There is one spelling of a file, the one that Write gives it: members in this
// order, no others, no white space between them, strings with the shortest
// escapes. Read refuses any other.
package archive
