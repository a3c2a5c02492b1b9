// Package postgres keeps a loopstore.Loop's state in a PostgreSQL database: a
// [journal.Engine] on github.com/jackc/pgx/v5. It works with PostgreSQL 13 and
// later.
//
//	config, err := pgxpool.ParseConfig("host=db dbname=agents target_session_attrs=read-write")
//	…
//	pool, err := postgres.NewPool(ctx, config)
//	…
//	engine := postgres.New(pool, postgres.Options{})
//
// Any number of processes may use one schema. Whoever opens a partition takes it
// from the owner before, who finds that out with the next Append. Fenced returns
// nil: Append alone looks.
//
// A [Directory] is one document beside the partitions, which is replaced under
// the condition of its revision. [Diagnose] looks at the server's settings.
//
// # Format
//
// A schema has four tables, which the first use makes. Its role may create them
// then; later it need only read and write them.
//
//   - format has one row, the version of what is described here, 1.
//   - partition has a row for each partition: its id, the first 16 bytes of the
//     SHA-256 of its name; the name; epoch and idx, see [journal.Position]; owner
//     and previous, random numbers of this owner and of the one before; began,
//     the idx at which this owner came; batch, the ID of the last batch; keys and
//     digest, see [journal.Head], the digest as four numbers of 8 bytes, the lowest
//     first, each little-endian.
//   - record has a row for each key that stands, with the id of its partition.
//   - document has a row for each document: its id, which is like a partition's,
//     its name, its revision and its bytes.
//
// # What is promised
//
// A batch is one transaction. It begins by changing the row of the partition, on
// the condition that owner and idx are as this journal has left them, and is
// committed with synchronous_commit at least on, whatever the default is. When
// Append returns nil, the server has said that it is committed, without a
// warning. So it is on the server's disk, and on those of the standbys that
// synchronous_standby_names asks for.
//
// When the connection is lost, a deadline ends, or the server fails, the engine
// finds out: it does the same again on another connection, for as long as
// Options.Patience says. All tries have the same condition, so one of them is
// stored at most, and one that comes late changes nothing. A try whose condition
// does not hold looks at the row, which then says one of these:
//
//   - idx is one more, and batch is this one: it is stored.
//   - There is another owner, who began at the idx at which this one was: the
//     batch is not stored, and never will be. That is journal.ErrFenced.
//   - The other owner began at the next idx, and came just after this one: the
//     batch is stored.
//   - There were more owners since, and more batches: journal.ErrAmbiguous.
//   - Neither: the server has lost what it had acknowledged, or somebody has
//     changed it. That is journal.ErrCorrupt, and what came of this batch is not
//     known.
//
// If patience ends first it is journal.ErrAmbiguous, also where the cause says
// that the last try was not stored: a disk that is full, a lock that is held. The
// next Open tells.
//
// An operator who cancels a commit that waits for a standby leaves it committed
// on the server alone, where all can see it. The server says so by no more than a
// warning. Each warning within a transaction of this package counts as such:
// nothing is acknowledged by it, and what it left is believed only when a later
// commit, which the standby has too, has seen it. Open waits for such a commit
// before it reads anything.
//
// Open reads one moment, in which the partition is its own, and compares all
// that it has emitted with the number and the digest of the partition's row. A
// record that is altered, lost, added, or older than the others is found. That
// is journal.ErrCorrupt. A row of a partition that is lost is found if it had
// records.
//
// # What the server must be set to
//
// Commits must be durable: fsync and full_page_writes on, and a disk that does
// not lose what was synced. To outlive the server, name a standby in
// synchronous_standby_names, and promote no other one. An asynchronous standby
// lacks the last batches: the owner then gets ErrCorrupt, and the next one begins
// with what is there. Restoring a backup is the same.
//
// Checksums of pages (initdb --data-checksums) find damage before Open does.
// autovacuum must be on. The server's timeouts for statements, locks and
// transactions may be set; what they end is tried again, but Open's reading,
// which no statement_timeout ends. An owner whose machine vanishes in the middle
// of an append keeps the partition locked, and the next Open fails after its
// Timeout, until the server sees that the connection is dead: set
// tcp_keepalives_idle, tcp_keepalives_interval and tcp_keepalives_count to some
// seconds.
//
// A pooler between must keep a transaction on one connection of the server and
// pass on warnings; pgx must use one of its modes with prepared or described
// statements (default_query_exec_mode), which are the default.
//
// # What is not protected
//
// An old copy of the whole database in its place is right in itself, and so is
// one in which all rows of a partition are lost. Digests find accidents; they do
// not keep out somebody who can write the tables. A commit that is durable on
// nothing but a server which lies about it is lost with it.
//
// # What it costs
//
// Append is one round trip, and one wait for the disk; a batch of more than 8 MiB
// is one for each 8 MiB. The journal keeps in memory the digest of each record, of
// 48 bytes with that of its key, so that it need not read from the server what it
// replaces. Open is four round trips, and reads all records in the order of their
// keys, which on a cold disk is not the order of the pages. What is replaced is
// garbage until a vacuum; Compact does nothing.
package postgres
