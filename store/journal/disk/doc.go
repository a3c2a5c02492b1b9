// Package bolt keeps a loopstore.Loop's state in one file: a [journal.Engine] on
// go.etcd.io/bbolt.
//
//	engine := bolt.New("/var/lib/agents/state", bolt.Options{})
//
// One process at a time holds the file, by a lock on it (flock); for any other it
// is journal.ErrInUse. The engine takes no partition away, so Fenced returns nil.
//
// # Format
//
// The file is a bbolt file, in version 2 of bbolt's format, with pages of 4096
// bytes and without a stored list of free pages. What bbolt writes is in the
// machine's byte order; what this package adds is little-endian. A sum is a CRC32C
// (Castagnoli). The file has these buckets and no others:
//
//   - heads. Under the key format: the version of the format described here, 2, in
//     4 bytes, and the sum of that key and the version. Under p and a partition's
//     name, the partition's head: the sum of that key and of what follows; epoch,
//     index and number of keys, 8 bytes each; and the digest, four numbers of 8
//     bytes, the lowest first (see [journal.Head] and [journal.Digest]). Under the
//     key tx, the stamp: the sum of that key and of what follows; the number of the
//     transaction, 8 bytes; and the digest of all heads, each under its key in this
//     bucket. Every transaction writes it anew.
//   - p and a partition's name: the partition's records. The key is k and the key
//     of the record. The value is the sum of both, in 4 bytes, and the value.
//
// In addition, each of the two meta pages may have a seal at byte 512, which bbolt
// leaves zero: the text loopseal, the number of a transaction in 8 bytes, the sum of
// both, the version of the format in 4 bytes, and the sum of all before. The seal says
// that this transaction wrote the other meta page whole, and in which version.
// It is written after the transaction is durable and before its batch is
// acknowledged. It becomes durable itself with the next transaction or with Close,
// at the latest.
//
// Version 1 has no stamp, and its seal ends with the first sum. Such a file is read
// as it is; the first write, which is Open's, makes it one of version 2. A program
// that knows only version 1 refuses that with journal.ErrNewerFormat.
//
// A new or compacted file is first written under the name with .new appended (of a name
// that leaves no room for that, a part and a sum of it), and renamed into place when it
// is whole. So a file in place is never unfinished. A .new file that was left behind is
// removed by the next Open, and a link of that name is not followed. A compacted file
// has the owner and the mode of the one that it replaces, or replaces none.
//
// # What is promised
//
// A batch is one transaction. When Append returns nil, bbolt has synced its pages
// and then its meta page. Whatever ends the process, every acknowledged batch is
// there, one more may be, and none is there in part.
//
// What a killed process has written last may be in the system's memory alone, and what
// is written next builds on it. So an Open that takes a partition over first syncs the
// file, and the directory for its name. After each batch, before it is acknowledged, the
// file must still be at its path: in one that was removed, moved or replaced, nothing
// would be found again. Such a batch is journal.ErrAmbiguous, and a Compact does not
// replace another's file.
//
// After a write or a sync fails, nothing is tried again. That call and all later
// ones, of all journals of the file, return journal.ErrAmbiguous with the cause.
// This holds for a full disk too, although a batch that does not fit is not stored:
// open the file again when there is room.
//
// Before bbolt may map the file, Open reads it and checks that its length is what
// the newest meta page says, and that all pages in use are what they claim to be,
// within their bounds, in order, and used once. It checks that the heads of all
// partitions are those that the transaction of the newest meta page left, by the
// stamp. Then, before it emits the first record, it compares every record of the
// partition with its sum, and all of them with the head. So
//
//   - a record that is altered, lost, doubled or older than the head is found;
//   - a page that is older than the newest meta page is found, wherever it is on the
//     way to what is read, unless it leads to the same heads and records;
//   - a file that was cut off is found, unless only unused room is missing;
//   - damage to unused room is harmless, and not looked for.
//
// When a meta page is damaged, bbolt falls back to the transaction before. That is
// right only if the newest meta page was being written when the process ended, and
// its batch was never acknowledged. The seal tells the two cases apart: Open
// refuses a file that has a seal of a later transaction than its newest valid meta
// page. So Open finds a newest meta page that is damaged, stale or missing, as long
// as its seal is there. It misses the damage if power fails before the seal has
// reached the disk (the system writes it within seconds, the next batch or Close at
// once) and damages just this page, or if the seal is damaged as well.
//
// A file of version 1 has no stamp, so Open and the readers can miss an older page of
// its root bucket. Once it is of version 2 they find a page from before as well, by
// the version in the seal, and miss it only if the seal is not there.
//
// All these findings are journal.ErrCorrupt. Append checks the sums of the values
// that a batch replaces, too.
//
// # What the disk must do
//
// The file system must be local and honour fsync and flock, and the disk must not
// lose what was synced. The directory must be writable, because new files are
// created in it.
//
// # What is not protected
//
// An old copy of the whole file looks right. Digests and sums find accidents; they
// do not keep out somebody who can write the file. Damage that comes while the file
// is open is found when the damaged part is read again, and by the next Open. A
// mapped page that a failing disk cannot read is an error where this package reads
// it; it ends the process where bbolt reads it on a goroutine of its own, as it
// does after a failed transaction. After a failed sync, the system may show what
// the disk does not have, until it is restarted.
//
// # What it costs
//
// Append is two syncs. bbolt writes whole pages: a small change writes one page at
// each level of the tree, together with all that shares the page. Up to four large
// values with neighbouring keys can share one. Compact rewrites the whole file, if
// at least a quarter of it is free; the file's other partitions wait meanwhile.
// Open reads all pages in use, and then all records of its partition again.
package disk
