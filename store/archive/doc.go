// Package archive writes all that a store holds to a file, and reads it again.
//
// # Format
//
// A file is JSON Lines in UTF-8: on every line one object, and a line feed
// after it. This is a whole one, of one runtime (the lines are broken here, and
// the hash is cut short):
//
//	{"type":"header","format":"loopstore","version":1,"revision":3,"runtimes":1,"input_states":1,
//	    "runs":1,"receipts":1,"snapshots":1,"sessions":0,"check":"c0c24bd8c3e18a3a"}
//	{"type":"runtime","runtime_id":"agent-1","version":3,"runtime_state":"idle","snapshots":1,"input_states":1,
//	    "runs":1,"dropped_runs":0,"latest_receipt":{"run_id":"0195b1c2-…","sequence":0},"check":"5bd9ed0bd1c2b5b6"}
//	{"type":"snapshot","text":"any bytes","check":"4a3d0d5f9a1c7e52"}
//	{"type":"input_state","state":{"input_id":"0195b1c2-…",…},"check":"9b1a54c5c3f8a2d0"}
//	{"type":"run","run_id":"0195b1c2-…","highest_sequence":0,"receipts":1,"check":"7a2f0c11d4e6b893"}
//	{"type":"receipt","receipt":{"run_id":"0195b1c2-…",…},"check":"e1f7c29a40d35b68"}
//	{"type":"end","lines":7,"sha256":"2f1c…","check":"08d6a3b7f5149ec2"}
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
