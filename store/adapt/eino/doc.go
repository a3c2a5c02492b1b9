// Package eino keeps what agents of github.com/cloudwego/eino must not forget, in a store of
// loopstore: the checkpoints of their graphs, and the messages of their conversations. A run
// that waits for an approval may end its process. The next one goes on from the checkpoint.
//
//	conversation  a runtime's session in store.FormatLines: a line for each *schema.Message
//	checkpoint    a runtime of its own, by the checkpoint's id: its session in store.FormatOpaque
//
// # Checkpoints
//
// [CheckPoints] is a compose.CheckPointStore, and that of package adk's Runner. A checkpoint
// is replaced as a whole. Of several that are set at once under one id the last one stays, and
// nobody ever gets a mixture. Nothing removes one that no run needs any more: call
// [CheckPoints.Delete] when the run has ended. Runs that nobody resumes leave theirs:
// loopstore.Loop.Runtimes lists them by their prefix and by their last activity.
//
// A store whose Retention.Sessions keeps earlier versions keeps those of checkpoints too, until
// they are deleted. So a graph that writes many should have a store without.
//
// # Messages
//
// [Encode] makes lines of messages, and [Decode] messages of lines. The lines are what package
// turn's steps take, and what batch.PutSnapshot and a store.SessionDelta append. A message
// comes back with all of its fields, or is refused with a [*MessageError]. Only an empty list
// or map and an absent one are the same.
//
// A line is the message's JSON. A value of an Extra that is not a string, a bool, a float64, or
// a map[string]any or []any of those, comes back from JSON as another type. It stands in the
// line a second time, as encoding/gob writes it: in the member "gob", by its JSON Pointer. Go's
// basic types need nothing for that, and slices of them neither. Other types must be registered
// in each process, with schema.RegisterName, as for checkpoints.
//
// Lines with a member that this version of eino does not know are not read: a later one wrote
// them, or they are no messages.
//
// # What it does not do
//
// A checkpoint and a message are two writes. After a crash between them the one is there and
// the other is not. And a checkpoint says where a graph waits, not which tools it has called
// since: a graph that is resumed twice calls them twice. So record each call in the ledger of
// package turn, in the tool itself, and look there and in the conversation before making it.
// A test of this package does so, and is killed at each step.
//
// Streams of chunks are not kept: concatenate them first. Nor are documents, tools or callbacks.
//
// It does not build where an int has 32 bits: github.com/bytedance/sonic, which eino needs,
// refuses that.
package eino
