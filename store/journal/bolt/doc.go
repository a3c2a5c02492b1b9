// Package bolt keeps a loopstore.Loop's state in one file: a [journal.Engine] on
// go.etcd.io/bbolt.
//
//	engine := bolt.New("/var/lib/agents/state", bolt.Options{})
//
// One process at a time has the file, by a lock on it (flock); for another one it
// is journal.ErrInUse. It takes no partition away, and Fenced returns nil.
//
// # Format
//
// The file is one of bbolt's, in version 2 of its format, with pages of 4096
// bytes and no list of the free ones. What bbolt writes is in the byte order of
// the machine; what this package adds is little-endian. A sum is a CRC32C
// (Castagnoli). There are these buckets, and nothing else:
//
//   - heads. Under the key format: the version of what is described here, 1, in 4
//     bytes, and the sum of that key and the version. Under p and the name of a
//     partition, its head: the sum of this key and of what follows; epoch, index
//     and number of keys, 8 bytes each; and the digest, four numbers of 8 bytes,
//     the lowest first (see [journal.Head] and [journal.Digest]).
//   - p and the name of a partition: its records. The key is k and the key. The
//     value is the sum of both, in 4 bytes, and the value.
//
// Besides, at byte 512 of each of the two meta pages, which bbolt leaves zero,
// there may be a seal: the text loopseal, the number of a transaction in 8 bytes,
// the sum of both. The meta page that this transaction has written is the other
// one. The seal says that it was written whole: it is written after the
// transaction is durable and before its batch is acknowledged, and is durable
// itself, at the latest, with the next one or with Close.
//
// A new file, and a compacted one, is written beside under the name with .new
// appended, and put in place by renaming it when it is whole. So a file in place
// is never unfinished. One that is left beside is written anew.
//
// # What is promised
//
// A batch is one transaction. When Append returns nil, bbolt has synced its pages
// and then its meta page. Whatever ends the process, every acknowledged batch is
// there, one more may be, and none is half.
//
// After a write or a sync that failed nothing is tried again: the error, and
// those of all later calls of all journals of the file, are
// journal.ErrAmbiguous with the cause. A full disk is such an error, though what
// does not fit is not stored: open again when there is room.
//
// Open looks at the file before bbolt may map it, with plain reads: that its
// length is what the newest meta page says, and that all pages in use are what
// they say they are, within their bounds, in order, and used once. Then it
// compares every record of the partition with its sum, and their number and
// digest with the head, before the first one is emitted. So
//
//   - a record that is altered, lost, doubled or older than the head is found;
//   - a file that is cut off is found, unless only room was lost that was not in
//     use;
//   - damage to what is not in use is harmless, and not looked for.
//
// A damaged meta page would let bbolt fall back to the transaction before. That
// is right only if the newest was written halfway and nobody was told of it. The
// seal tells these cases apart: if there is one of a later transaction than the
// newest valid meta page is of, the file is refused. So a newest meta page that
// is damaged, stale or missing is found, for as long as its seal is there. It is
// not found if power fails before the seal has reached the disk (the system
// writes it within seconds; the next batch or Close at once) and, of all pages,
// the newest meta page is damaged by that; nor if the seal is damaged as well.
//
// All of this is journal.ErrCorrupt. The values that a batch replaces are
// compared with their sums too.
//
// # What the disk must do
//
// It must be a local file system that honours fsync and flock, with a disk that
// does not lose what was synced. The directory must be writable, as new files are
// made in it.
//
// # What is not protected
//
// An old copy of the whole file in its place is right in itself. Digests and sums
// find accidents; they do not keep out somebody who can write the file. Damage
// that comes while the file is open is found when what is damaged is read again,
// and by the next Open. A page of the map that cannot be read, as the disk fails,
// is an error where this package reads it, but ends the process where bbolt
// does so on a goroutine of its own, which it does after a transaction that
// failed. After a sync that failed, the system may show, until it is
// started again, what the disk does not have.
//
// # What it costs
//
// Append is two syncs. bbolt writes whole pages, so a small change costs the page
// of each level of the tree, and what shares a page with a large value is
// written together with it: up to four large values that are neighbours by key
// are one page. Compact writes the whole file again, if a quarter of it is free;
// the other partitions of the file wait meanwhile. Open reads all pages in use,
// and again all records of its partition.
package bolt
