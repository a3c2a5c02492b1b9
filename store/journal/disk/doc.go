// Package disk keeps a loopstore.Loop's state in a directory: a [journal.Engine] with a log
// in front of pages.
//
//	engine := disk.New("/var/lib/agents/state", disk.Options{})
//
// A batch is appended to the log, with one write and one sync, and then acknowledged. Behind
// that, and beside the appends, a goroutine brings the log into the pages, which are a file of
// go.etcd.io/bbolt: a checkpoint. What the pages have, the log gives up. All partitions of a
// directory share its log, and those that append at the same time share a sync.
//
// One process at a time holds the directory, by a lock (flock); for any other it is
// journal.ErrInUse. The engine takes no partition away, so Fenced returns nil.
//
// # Machines
//
// It works on Linux, macOS and the BSDs. Any other system, such as Windows, is
// errors.ErrUnsupported before anything is made or read: it has no flock, or no way to make the
// names in a directory durable.
//
// A directory can be moved between machines of the same byte order; on one of the other, Open
// returns errors.ErrUnsupported. An export can be moved anywhere.
//
// With 32 bits, bbolt can map little: the pages have 1 GiB at most, a value 48 MiB instead of 256,
// a batch 128 MiB instead of 512. Pages that would grow beyond that are a checkpoint that fails for
// another reason than a full disk: see below. What a machine with 64 bits has written and this one
// cannot hold is errors.ErrUnsupported, and not damage.
//
// # Format
//
// The directory is in version 3 of the format. What this package writes is little-endian; what
// bbolt writes is in the machine's byte order. A sum is a CRC32C (Castagnoli). The directory
// has these files:
//
//   - format: a line of text with the version, the log's ID, which is random, and the sum of
//     what stands before. It has the lock, and is read before anything else. While a journal
//     is created, this file is format.new; the rename is the last step.
//   - log- and a number, 16 hexadecimal digits: the log's segments. One has 16 MiB, or, if
//     it holds a single frame that is larger, the size of that. The one after the last may be
//     there already. While a segment is made, its name ends with .new.
//   - pages: the file of bbolt. While it is written anew, that is pages.new.
//
// A frame of the log begins at a multiple of 8 bytes. It is a header, and the entries of some
// partitions. The header has the text loop; the sum of the log's ID and of the rest of the
// header; the frame's number, from 1, and the length of what follows the header, 8 bytes each;
// the sum of what follows the header; 4 bytes for what is hidden; and the hash of the frame before,
// zeros in the first: the first 16 bytes of the SHA-256 of that frame's header. An entry is the partition's name; its epoch and index; how many
// changes there are, none in the one with which an Open begins an epoch; and of each change the
// key, and the value. Numbers are uvarints. A text has its length before it; the length of
// a value is one more than it is, and 0 says that the key is deleted.
//
// The text loop stands where a frame begins, and nowhere else where one could: so no value is taken
// for a frame. Where it would begin one of the 8 bytes into which what follows the header is
// divided, 4 bytes say which of these is the next one like that, counted from 1, or are zero. What is
// hidden in the header says which is the first.
//
// The frames follow each other, across segments. Behind the last one stands what was never
// written, what was not written whole, or what is older: a segment that is not needed any more
// is used again under a new name, and older frames have lower numbers.
//
// The pages are in version 2 of bbolt's format, of 4096 bytes each, without a stored list of
// free pages. They have these buckets and no others:
//
//   - heads. Under the key format: the version of the format described here, 3, in 4 bytes, and
//     the sum of that key and the version. Under p and a partition's name, the partition's
//     head: the sum of that key and of what follows; epoch, index and number of keys, 8 bytes
//     each; and the digest, four numbers of 8 bytes, the lowest first (see [journal.Head] and
//     [journal.Digest]). Under the key tx, the stamp: the sum of that key and of what follows;
//     the number of the transaction, 8 bytes; the digest of all heads, each under its key in
//     this bucket; and the number and the hash of the frame that the pages have reached. Every
//     transaction writes it anew.
//   - p and a partition's name: the partition's records. The key is k and the key of the
//     record. The value is the sum of both, in 4 bytes, and the value.
//
// In versions 1 and 2 a journal was such a file alone. [Carry] brings it into a directory. Such
// a file may have a seal at byte 512 of each of its meta pages: the text loopseal, the number of
// a transaction in 8 bytes, the sum of both, in version 2 then the version in 4 bytes and the sum
// of all before. It says that this transaction wrote the other meta page whole. Version 1 has no
// stamp, and that of version 2 says nothing of a log.
//
// # What is promised
//
// When Append returns nil, the batch is on the disk. Whatever ends the process, every
// acknowledged batch is there, one more may be, and none is there in part.
//
// What a killed process has written last may be in the system's memory alone, and what is
// written next builds on it. So an Open that finds the directory closed first syncs all that it
// goes on from: the segments, the pages, the directory, and the name of that. The epoch of a
// partition is durable in the log before Open emits its first record. After each batch, before it
// is acknowledged, the directory must be at its path, and in it the format, the pages and the
// segment: in what was removed, moved or replaced, nothing would be found again. Such a batch is
// journal.ErrAmbiguous, and a compaction replaces no file but its own.
//
// After a write or a sync of the log fails, nothing is tried again. That call and all later ones,
// of all partitions, are journal.ErrAmbiguous with the cause. A full disk is found earlier, when
// room is taken for the next segment or for a batch that is larger than one, and is
// journal.ErrRejected: nothing was written, and the next batch may find room. A checkpoint that finds no room is tried again, while the log grows; then all
// pages are written anew, because what a write that failed has left is unknown. One that fails
// otherwise makes every later batch journal.ErrRejected, so that nothing is built on pages that
// may be damaged.
//
// # What is found
//
// Opening a directory checks the structure of all pages, before bbolt may map them, and that the
// heads of all partitions are those that the newest transaction left. It checks all frames of the
// log behind the one that the pages have reached, and that this one is in the log. Then, before
// the first record is emitted, every record of the partition is compared with its sum, and all of
// them with the head. So
//
//   - a record or a frame that is altered, lost, doubled or out of date is found;
//   - so are pages and a log that do not belong together, and a page that is older than the
//     others, unless it leads to the same heads and records;
//   - a file that was cut off or is missing is found, but for the last segment of a log in which
//     the next one was not prepared yet;
//   - damage to room that is not in use is harmless, and not looked for.
//
// A frame that is not whole is damaged if a later one stands behind it. If none does, it is what
// was being written when the process ended, and of which nobody was told: it is left out. No format
// can tell damage to the very last frame from that. The next frame, which every Open of a partition
// writes, ends the doubt. Damage to every frame from one on to the last looks the same, and so does a
// last segment that was put back as it was before, or filled with zeros: those frames are left out, as
// far as the pages have not reached them.
//
// When a meta page of the pages is damaged, bbolt falls back to the transaction before, and the log
// goes on from there. If it does not reach back so far any more, the damage is found.
//
// All these findings are journal.ErrCorrupt, and those in the log name the frame and its place.
//
// # What can be salvaged
//
// A directory that Open refuses is not changed by that, and [Salvage] gives what can be read of
// it. bbolt never writes over a page that the last two transactions use, so what is damaged in
// the pages of the last one is mostly whole in those of the one before; and what was changed
// since is in the log, in which frames stay until their segment is used again. The log alone has
// what its segments still have. Without a readable format the frames themselves tell the log's ID.
//
// What was in a page that both transactions use, and in no frame, is lost. So is what a damaged
// frame has changed, and then the frames behind it are used all the same: see [Unit] for how what
// belongs together stays of one moment.
//
// # What the disk must do
//
// The file system must be local and honour fsync and flock, and the disk must not lose what was
// synced, nor a part of a sector that is written again with the same bytes. The directory must be
// writable, because segments are made in it.
//
// # What is not protected
//
// An old copy of the whole directory looks right. Digests and sums find accidents; they do not
// keep out somebody who can write the files. Damage that comes while the journal is open is found
// when the damaged part is read again, by a checkpoint or the next Open. A mapped page that a
// failing disk cannot read is an error where this package reads it; it ends the process where bbolt
// reads it on a goroutine of its own, as it does after a failed transaction. After a failed sync, the
// system may show what the disk does not have, until it is restarted.
//
// # What it costs
//
// Append is one write and one sync of what changes and some 70 bytes. A checkpoint writes, of each
// key, the last value since the one before, in whole pages; see [Options.CheckpointBytes]. It holds
// what it brings over in memory. If checkpoints cannot keep up, and the log is eight of them behind,
// each frame waits for one. A compaction writes all pages anew, if at least half of them is free
// ([Options.CompactAt]), or a quarter when Compact asks for it; nothing waits for it, and the log
// grows meanwhile. Opening reads all pages in use, all records of the partition again, and the log.
package disk
