// Package jetstream keeps partitions in NATS JetStream: a [journal.Engine] whose
// journal is replicated by a cluster of servers. So another process, on another
// machine, can go on where the last holder stopped.
//
//	conn, err := jetstream.Connect(urls)
//	…
//	engine, err := jetstream.New(conn, jetstream.Options{})
//
// It needs servers of version 2.12 or later. Each partition is a stream of its own,
// in files, on three servers. The engine creates the stream; it refuses an existing
// one whose settings can lose, add, reorder, alter or refuse entries. [Engine.Diagnose]
// names every setting that differs, also one that this version does not know. While a
// journal is open, Options.Logger is told within a minute of what has changed, or that
// the stream was deleted.
//
// # Names
//
// The stream of partition agents/0 is loopstore=agents=2f0: the prefix, an =, and the
// partition, in which = and two digits stand for each byte but lower-case letters,
// digits, - and _. A prefix has only those, so every name is one prefix and one
// partition, on any file system. Its subjects are the stream's name, the JetStream domain
// if there is one, and record or owner: loopstore=agents=2f0.hub.record. Directories are
// keys of the bucket loopstore, or loopstore-AT-hub in a domain. A name that is too long,
// or has other characters, is a [*NameError].
//
// The domain is Options.Domain, or that of the connection's server. Every question goes
// to the API of that domain ($JS.hub.API, or $JS.API without one), which the user needs
// the rights for, and an acknowledgement counts only if its domain, stream and sequence
// are right. So domains that leaf nodes join do not meet.
//
// Each entry says whose it is. A stream with another's entries is [ErrForeign] before
// anything is written. A stream under a former name, loopstore-agents=2f0, with entries
// in the first format is [ErrFormer]. [Engine.Carry] makes either the partition's.
//
// # How a later holder fences the earlier ones
//
// Every entry is published with the sequence of the entry before it, and the
// servers accept it only directly behind that one. So at most one entry follows
// another, whoever publishes it, and however late it arrives. Open writes the entry
// of a new epoch in this way, and only then reads the entries before it. From then
// on the next entry of every earlier holder is refused, which is journal.ErrFenced.
// No clock, lease or lock is involved. A busy holder would always be first with the
// next entry, so a later one announces itself and the earlier one stops. Safety
// does not need that.
//
// # When the outcome of an append is unknown
//
// Servers may not answer in time, the connection may break, or servers may report a
// conflict while their leader changes (codes 10071 and 10164). Then Append reads
// what is at the sequence that its entry must have. If that is its own batch, the
// batch is stored; if it is another entry, the batch is not stored and never will
// be. As long as nothing is there, Append publishes the entry again, which does no
// harm. So callers notice a change of the leader as a slow call. What is still
// unknown after Options.Patience is journal.ErrAmbiguous, and the next Open tells.
// A batch that is too large, or for which there is too little room, is
// journal.ErrRejected, and the journal goes on.
//
// # Large batches
//
// A batch that fits into one message of the servers' max_payload is one message. A
// larger one, up to 72 MiB or 1,000 messages, is published as an atomic batch: the
// servers store all its messages or none.
//
// # What Open checks
//
// Every entry has a checksum, its epoch and index, the SHA-256 of the entry before
// it, and the sequence from which on entries are needed. An entry that is altered,
// missing (servers may drop a damaged one silently) or from another history is
// journal.ErrCorrupt, unless the stream's leader has it whole. So moving the leader
// to another server may help. The end of the log can only be compared with the last
// sequence that the leader knows.
//
// # What is promised, and when
//
// With three servers and sync_interval: always, an acknowledged batch is on the
// disks of at least two of them.
//
//   - A holder is killed, at any moment: the next one has all that was
//     acknowledged.
//   - A holder is paused or cut off, and comes back: it appends nothing more. Until
//     it hears of its successor, or appends, it may answer loads from its last
//     state.
//   - A server is killed, hangs, or is silent in one direction: calls take longer,
//     and none fails. See below.
//   - Two of three servers are down: nothing is acknowledged. Calls fail after
//     Options.Patience, those under way with store.ErrOutcomeUnknown, and Open
//     waits.
//   - The network is slow or breaks: the same.
//   - Power fails everywhere at once: nothing acknowledged is lost.
//   - A disk returns something else than was written: Open fails, or reads what
//     another server has.
//
// # Servers that fall silent
//
// A server that hangs, or whose network swallows what is sent in one direction, keeps
// its connections open. The client would stay with it for minutes. So whenever a
// question or an append has had no answer within Options.Timeout, or within a shorter
// context of a [Directory]'s caller, the engine pings its server. If that does not
// answer within half of Options.Timeout either, the engine makes the client go to the
// next server. A connection that is shared with other traffic reconnects too. What
// was under way is looked up, as after any other break. With the defaults this takes 3
// seconds. If no server answers, the client tries one after another, as slowly as its
// options say.
//
// [Connect] also bounds a write that the system does not take, for example of a large
// batch to a server that hangs. With the client's own default, a minute, nothing
// else can be done over the connection meanwhile.
//
// Where the silent or killed server led the stream, the other two elect a new leader
// first. That takes 4 to 9 seconds and cannot be set. A leader that hears nobody, and is
// still heard, stays the leader until its routes have closed, which ping_interval in
// the servers' cluster block decides: set it to 1s. With the default a partition may be
// without service for half a minute. docs/cluster.md has measurements.
//
// # What is not
//
//   - By default sync_interval is two minutes. Then servers acknowledge what is on
//     no disk yet, and a power failure at most of them loses it: even the end of
//     the log, which no checksum shows. Only a user of the system account can ask
//     for that setting: [Engine.Diagnose] does, if it gets one.
//   - If a majority of the servers loses its disks, or is restored from older
//     copies, the end of the log is gone, and nothing shows it.
//   - Whoever may publish to the stream's subject can write any entry; whoever may
//     purge or delete the stream can destroy it. Give these rights to members
//     alone. If a stream is deleted and created again, a holder of the old one may
//     append to the new one, where its sequence fits, and corrupt it. The logger is told.
//   - A stream on one server (Options.Replicas 1) is as good as that server's disk.
//
// # Compacting
//
// A journal compacts itself, beside its holder's other calls, once more of its stream is
// waste than stands, and at least 8 MiB. It looks at Open and after each append. It reads
// the entries from the oldest on, writes again what stands in them, in copies of up to 256
// KiB, and lets the servers remove what is before. An append waits for one copy at most.
// The copies follow the other entries by the same rules, so a later holder fences them
// too, and wherever a compaction ends, everything stands. After one that fails, which
// Options.Logger is told, the next one waits for a minute. Where the servers do not remove
// anything, nothing is copied again. CompactBeside compacts at once, if a fifth of the
// stream is waste.
//
// # When a limit is reached
//
// Limits of the stream (max_bytes, max_msgs) and of the account's storage are kept to
// before the servers refuse anything, with room to spare: for entries of epochs, for a
// copy of the largest batch since the last compaction, and for deleting. A batch that
// would take that room is a [*FullError], which is journal.ErrRejected and says by how much
// the limit must be raised. A batch that only deletes, or gives back what it takes, may use
// some of it. So a full journal can be opened, read, exported, deleted from and compacted,
// and it compacts itself then, at most once a minute, or behind what only deletes. Where a
// large batch stands, as much again must be free.
//
// Limits may change while the journal is open; that is noticed within a minute, or when a
// batch is refused. The account's storage is shared: the servers take a second or two to
// tell each other what was stored, and other connections may use up what was kept free. A
// user who may not ask for the account ($JS.API.INFO) is not kept from reaching its limit.
//
// A stream in which not even the entry of an epoch fits is not opened, also not for
// reading, because no earlier holder could be fenced. If a compaction has left something
// to remove, that is removed first. Otherwise raise the limit by what the FullError says.
//
// # Costs
//
// An append is one round trip and the servers' syncs. Open reads all entries since the
// last compaction, and needs memory for all that stands. An open journal keeps 40 to 67
// bytes in memory for each record that stands, to know what is waste. A stream needs about
// twice the bytes that stand, and 8 MiB. An engine has one subscription and, for each
// journal, a goroutine of the client, and one of its own while that is compacted.
package jetstream
