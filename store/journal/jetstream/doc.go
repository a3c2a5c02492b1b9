// Package jetstream keeps partitions in NATS JetStream: a [journal.Engine] whose
// journal is replicated by a cluster of servers, so that another owner, on another
// machine, goes on where the last one stopped.
//
//	conn, err := nats.Connect(urls, nats.MaxReconnects(-1))
//	…
//	engine, err := jetstream.New(conn, jetstream.Options{})
//	…
//	loop, err := loopstore.Open(ctx, engine, "agents/7", loopstore.Options{})
//
// It needs servers of version 2.12 or later. Each partition is a stream of its own,
// in files, on three servers. An engine makes the stream that it needs; one that is
// there with settings that lose records is refused.
//
// # How one owner is kept from another's way
//
// Every record is published with the sequence of the record before it, and the
// servers take it only directly behind that one. So at most one record follows
// another, whoever publishes, however late a message arrives. Open writes a record
// of a new epoch in that way, and only then reads what is before it: every earlier
// owner's next record is refused from that moment on, which is journal.ErrFenced. No
// clock, lease or lock takes part in this. An owner hears from its successor, and
// stops: one that is busy would be first with every record. It need not, to be safe.
//
// # When it is not clear what came of an append
//
// When the servers do not answer in time, or the connection breaks, or they speak
// of a conflict while their leader changes (codes 10071 and 10164), Append reads
// what is at the sequence that its record must have. Its own batch there means that
// it is stored; another's, that it is not, and never will be. As long as nothing is
// there it publishes the record again, which is harmless. So callers feel a change
// of the leader as a slow call. Only what is open after Options.Patience is
// journal.ErrAmbiguous, and the next Open will tell. A batch that is too large, or for
// which a limit of the stream leaves no room, is journal.ErrRejected, and the journal
// goes on.
//
// # Large batches
//
// A batch that fits into one message of the servers' max_payload is one. A larger
// one, up to 72 MiB or 1,000 messages, is published as an atomic batch, of which the
// servers store all messages or none.
//
// # What is found at Open
//
// Every record has its own checksum, its epoch and index, and the SHA-256 of the
// record before it, and says from which sequence on records are needed. A record
// that is missing, though servers may drop a damaged one without a word, altered,
// or from another history is journal.ErrCorrupt, unless the stream's leader still
// has it whole. So it may help to let another server lead. The last records are compared with nothing but the last sequence that
// the leader of the stream knows.
//
// # What is promised, and when
//
// With three servers and sync_interval: always, an acknowledged batch is on the
// disks of two of them at least.
//
//   - An owner is killed, at any moment: the next has all that was acknowledged.
//   - An owner is paused or cut off, and comes back: it appends nothing more. Until
//     it hears or appends it may answer loads from its last state.
//   - A server is killed, the leader too: calls take longer, usually a second or
//     less, up to ten where it did not end in good order, and none fails.
//   - Two of three servers are away: nothing is acknowledged. Calls fail after
//     Options.Patience, those under way with store.ErrOutcomeUnknown, and Open waits.
//   - The network is slow or breaks: as above.
//   - Power fails everywhere at once: nothing acknowledged is lost.
//   - A disk returns something else than was written: Open says so, or reads what
//     another server has.
//
// # What is not
//
//   - sync_interval is two minutes unless the servers' configuration says otherwise.
//     Then they acknowledge what is not on any disk, and power failing at most of
//     them loses it: also the end of a log, which no checksum shows. An engine cannot
//     ask for that setting without a user of the system account; [Engine.Diagnose]
//     does, with one.
//   - If a majority of servers loses its disks, or is restored from older copies, the
//     end of the log is gone and nobody can tell.
//   - One who may publish to the stream's subject can write records of any content, as
//     one who may purge or delete it can destroy it. Give those rights to members
//     alone. An owner of a stream that was deleted and made again may append to the new
//     one, if its sequence fits, which makes that one corrupt.
//   - A stream on one server (Options.Replicas 1) is as good as that server's disk.
//
// # Costs
//
// An append is one round trip and the servers' syncs. Open reads all records since
// the last Compact, and needs memory for what stands. Nothing is removed but by
// Compact: see [journal.Journal]. It writes again what stands, once more than half
// of the stream is of no use, and blocks the loop for as long. Call it from time to
// time: otherwise streams grow with every write, until the servers refuse more. An
// engine takes one subscription and, for each journal, a goroutine of the client.
package jetstream
