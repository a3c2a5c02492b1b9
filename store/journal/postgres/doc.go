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
// Any number of processes may use one schema. Open takes a partition from its
// holder, which finds that out with its next Append. Fenced returns nil: only
// Append notices.
//
// A [Directory] is one document beside the partitions, which is replaced on
// condition of its revision. [Engine.Diagnose] checks the server's settings, and what
// keeps the tables from being tidied.
//
// # Format
//
// A schema has four tables, which the first use creates: see Rights. Its name is taken
// as it is, or refused with ErrName: it has at most 63 bytes, no NUL, does not begin
// with pg_, and is ASCII if texts are converted on their way.
//
//   - format has one row: the version of the format described here, 1.
//   - partition has a row for each partition: its id, the first 16 bytes of the
//     SHA-256 of its name; the name; epoch and idx, see [journal.Position]; owner
//     and previous, random numbers of its holder and of the holder before; began,
//     the idx at which the holder came; batch, the ID of the last batch; keys and
//     digest, see [journal.Head], the digest as four little-endian numbers of 8
//     bytes, the lowest first.
//   - record has a row for each key that stands, with the id of its partition.
//   - document has a row for each document: its id, made like a partition's, its
//     name, its revision and its bytes.
//
// A row whose name is not the one that was asked for is journal.ErrCorrupt, and is not
// changed. Tables of these names that somebody else has made are left alone.
//
// # Rights
//
// [Schema] returns the SQL by which an administrator creates the schema and the tables,
// word for word what the first use would execute, and grants to a role what it needs:
// usage of the schema; select on format; select, insert and update on partition and
// document; select, insert, update and delete on record. Nothing else is needed, and
// the database's right to connect. A role that shall create the tables itself needs
// usage and create on the schema, and create on the database only if there is no
// schema yet. Open names a right that is missing, with ErrRights. It also refuses
// unlogged tables, and row-level security that applies to the role.
//
// # What is promised
//
// A batch is one transaction. It first changes the row of the partition, on
// condition that owner and idx are as this journal left them. It is committed with
// synchronous_commit at least on, whatever the default is. When Append returns nil,
// the server has reported the commit, without a warning. So the batch is on the
// server's disk, and on those of the standbys that synchronous_standby_names asks
// for.
//
// When the connection is lost, a deadline ends, or the server fails, Append finds
// out what came of the batch. It tries again on another connection, for as long as
// Options.Patience. All tries have the same condition, so at most one is stored,
// and a late one changes nothing. A try whose condition does not hold reads the
// row, which then says one of these:
//
//   - idx is one more, and batch is this one: it is stored.
//   - Another holder began at the idx that this journal left: the batch is not
//     stored, and never will be. That is journal.ErrFenced.
//   - Another holder began at the next idx, directly after this journal: it is
//     stored.
//   - Several holders have come and appended since: that is journal.ErrAmbiguous.
//   - None of these: the server has lost what it acknowledged, or somebody has
//     changed it. That is journal.ErrCorrupt, and whether the batch was stored is
//     unknown.
//
// If patience ends first, it is journal.ErrAmbiguous, even if the cause (a held lock)
// says that the last try was not stored. The next Open tells.
//
// What the server refuses for want of room (a full disk), or because of what the batch
// brings, is not tried again: if no try before is uncertain it is journal.ErrRejected,
// nothing was stored, and the journal goes on. On a disk that is full to the last block
// a partition that is there opens and is read, and what takes no new page is stored: a deletion.
// If the server's own log (pg_wal) finds no room, the server stops: keep it apart.
//
// An operator who cancels a commit that waits for a standby leaves it committed on
// the server alone, where everybody can see it. The server reports that by a mere
// warning. So every warning in a transaction of this package counts as such a case:
// nothing is acknowledged, and what was written is believed only after a later
// commit, which the standby has too, has seen it. Open waits for such a commit
// before it reads anything.
//
// Open reads one moment, at which it holds the partition, and compares all that it
// has emitted with the number and the digest in the partition's row. So it finds a
// record that is altered, lost, added or outdated: that is journal.ErrCorrupt. It
// finds a lost partition row if the partition had records.
//
// # What the server must be set to
//
// Commits must be durable: fsync and full_page_writes on, and a disk that does not
// lose what was synced. To outlive the server, name a standby in
// synchronous_standby_names, and promote no other. With two, as in ANY 1 (a, b), an
// append does not wait for one that hangs. An asynchronous standby lacks
// the last batches: the holder then gets ErrCorrupt, and the next one begins with
// what is there. Restoring a backup has the same effect.
//
// Checksums of pages (initdb --data-checksums) find damage before Open does.
// autovacuum must be on. The server's timeouts for statements, locks and
// transactions may be set: what they end is tried again. They do not help Open's
// reading, which has no statement_timeout. An engine sets some of them itself, for
// its own transactions: a holder whose machine vanishes in the middle of an append
// keeps the partition locked until the server sees that the connection is dead, which
// takes Options.Timeout (tcp_keepalives_idle, tcp_keepalives_interval,
// tcp_keepalives_count, idle_in_transaction_session_timeout). Whoever waits for that is
// told after three quarters of his own Timeout (lock_timeout). On a server that cannot
// set keepalives, and where a pooler or a proxy stays connected for a client that is
// gone, set transaction_timeout (PostgreSQL 17), or the pooler's own timeouts.
//
// # Silent servers
//
// A call that has no answer within Options.Timeout closes its connection, and the idle
// ones of the pool, which lead to the same server. The next call connects again. Name
// all servers in the connection string, with target_session_attrs=read-write: each has
// its share of the timeout for connecting, so a server that hangs costs an append one
// Timeout and one share, which its patience covers. A directory's call or an Open is
// not repeated: the first one fails, the next one reaches another server.
//
// A connection that led to a standby when it was made is closed, and another one asked
// for, for as long as Timeout: the address may be another server's by then. A server
// that refuses to write is left too. Nothing is read there either, since it may be old.
//
// A pooler in between must keep a transaction on one connection, and pass warnings
// on: PgBouncer with pool_mode session or transaction. statement is refused, with
// ErrPooler. Any mode of pgx (default_query_exec_mode) will do. Statements are prepared
// under names only in cache_statement, the default, and where no pooler is: that makes
// a small append nearly twice as fast. A connection is taken to lead to a pooler if
// the server's process has another number than it was told.
//
// # What is not protected
//
// An old copy of the whole database looks right, and so does one that has lost all
// rows of a partition. Digests find accidents; they do not keep out somebody who
// can write the tables. A commit that is durable only on a server that lies about
// it is lost with that server.
//
// # What it costs
//
// Append is one round trip, and one wait for the disk; a batch of more than 8 MiB
// takes a round trip for each 8 MiB. The journal keeps 48 bytes in memory for each
// record, the digests of its key and of the record, so that Append need not read
// what it replaces. Open is four round trips, and reads all records in the order of
// their keys, which on a cold disk is not the order of the pages. Opening also looks
// at the tables and the role's rights, one more round trip.
//
// Replaced records are garbage until the server's autovacuum has been there, once a
// minute by default (autovacuum_naptime). Then new ones take their room, so the tables
// hold what stands and about as much as is written in a minute or two: some 1,000
// commits of 10 KB a second over 20 records made 1.4 GB, and no more. The table of the
// records is made with autovacuum_vacuum_scale_factor and autovacuum_vacuum_cost_limit
// of its own, also for its TOAST table. Compact does nothing.
//
// A transaction that somebody leaves open keeps all of that, in the same database or
// through a replication slot or a standby's feedback. Each append then passes all
// earlier versions of the partition's row: with appends one after the other they took
// twice as long after 5 seconds, 4 times after 25, and 5 to 9 times after 40. It is over
// when that transaction ends. Diagnose names those that are older than a minute, if
// the role may see them (pg_monitor).
package postgres
