package main

import "github.com/loopstore/loopstore/cmd/internal/demo"

const benchHelp = `bench measures the store in memory (loop) and, for comparison, the same store behind a
sync.Mutex (mutex). Every round measures each in turn. It prints the medians. Without
flags it takes less than two minutes on two cores, and about half a GB of memory.
Nothing else should run meanwhile.

It exits with 1 if a call failed, and with 2 for wrong flags or arguments. Ctrl-C
or SIGTERM ends it: it prints what was measured until then, and exits with 130 or
143.

Times are per operation, of all callers together: with 64 callers, each waits about
64 times as long. A ratio is to loop. "in hand-offs" divides by the time of a bare
hand-off with as many callers: a request to a goroutine and back, the floor under
every operation of loop.

cells, most of them for callers=1, 8 or 64:

    hand_off               that floor
    operation=NAME         each operation of a store, some in several sizes
    commit=scratch         a boundary commit of another session than the one held
    commit=grown           a boundary commit of the session held, grown by 1 KB
    commit=appended        a boundary commit that appends a line of 1 KB
    commit=grown_lines     a boundary commit of all lines held, and one more
    commit=counted         commit=grown, with a digit more in front of the messages
    turn                   all that an agent runtime stores in a turn: an input
                           persisted four times and loaded, a boundary commit, a
                           lifecycle commit
    read_while_committing  a load while another caller commits sessions of 1 MB:
                           mean, p50, p99 and max, and the time of a commit
    reader                 looking at a runtime that does not change
    batch                  64 input states in one commit
    growth                 a boundary commit where so many receipts are held`

const importHelp = `import brings all that an exported file holds into a partition of a journal: values,
order, versions, sequences and the revision. The partition must never have held
anything; it, and the directory, are made if they are not there. EXPORT may be "-", the
standard input. The journal must not be open elsewhere.

It is all or nothing. Every line, value, sequence and digest is checked before anything
is stored, and nothing is there before all of it is. After an error, Ctrl-C or a crash
the partition is empty, and import can be called again; but an error that says that it
ended well is of its output alone.

It exits with 1 if the file is not as it was written, or if the partition has held
something, is damaged or is in use, and with 2 for wrong flags or arguments.`

const salvageHelp = `salvage reads a damaged journal as far as it can be read, and writes each runtime that
is whole into a new file, which "loopstore import" takes. It prints what is damaged, which
runtimes are not whole and why, and counts what can no longer be named. A runtime of which
later changes can be read in part only comes out in an earlier state, and is named too. Of
changes in a part of the log that is lost altogether it can only say which part: what they
changed is as it was before. So after an import sequences that were minted then may be
minted again. It changes nothing in DIR, which must not be open elsewhere. Of a journal
that is not damaged it writes an export.

Make a copy of DIR first, and keep it: a later version may read more of it.

It exits with 0 if nothing is damaged. It exits with 1 if OUT is written and may not be
all that was held, if nothing can be read, or if the journal is in use, and with 2 for
wrong flags or arguments, or if OUT is there already or cannot be made.`

const carryHelp = `carry brings a journal of version 1 or 2, which was one file, into a directory: all
its partitions, with all that they hold. DIR must not be there, or hold no
file of a journal. FILE is checked first, and does not change. Nobody else may have it open.

DIR is a journal when carry ends with 0. After an error, or a crash, it is none, and
carry can be called again; but an error that says that it ended well is of its output
alone.

It exits with 1 if the file is not such a journal, is damaged or is in use, or if
the directory holds a journal already, and with 2 for wrong flags or arguments.`

const compactHelp = `compact brings the log of a journal into its pages, and rewrites those, for all its
partitions, without what was replaced or removed, if that is a quarter of them or more.
A small journal grows at first: what was only in the log is in the pages too then, and
the log keeps its file. What is held does not change, and the old pages stay until the
new ones are whole and checked. Nobody else may have the journal open.

It exits with 1 if the directory is not a journal, is damaged or is in use, and
with 2 for wrong flags or arguments.`

var demoHelp = `demo drives agent runtimes through a store that is in memory or on a journal. Each
runtime takes its inputs through accepted, queued, staged, applied and consumed, and
commits a boundary for each turn of a growing conversation. Then demo checks every
receipt, sequence, input and snapshot against what the store has acknowledged.

The conversations are demo's own, or those of the files: session documents written
by Meerkat, the agent runtime whose store this one is modelled on.

It exits with 1 if a call or a check failed or nothing was done, and with 2 for
wrong flags or arguments. Ctrl-C or SIGTERM ends the turns: what was done is
checked and reported, and if all is well demo exits with 130 or 143.

journal: the directory is a journal of module store/journal/disk. The runtimes are in
its partition "demo". Whatever ended the process, even kill -9, the next one finds the
runtimes where they stopped. First it checks that each is as a turn can leave it:
every run has receipts 0, 1, 2, … without a gap; the inputs follow the order of the
receipts, are stamped with them and have a complete history; the digest and count
of the last receipt match the snapshot; and the state fits. If not, demo changes
nothing and exits with 1. Then each runtime recovers, takes up the inputs of its
turn and ends that. All runtimes that were found go on, whatever --runtimes says. A
conversation that comes from none of the given files begins anew. Of the receipts
of earlier processes only the last is checked against its conversation. Their turns
count for --turns.

agent: the directory is the demo's own; one that holds anything else is refused. A
process has 20 agents in it, on a journal, and a notebook, which is a tool with an
effect outside of the store. Each agent gets 20 messages, and answers each with a
scripted model that calls the tool up to twice: see package store/turn. The process is
killed (kill -9) --kills times while it is at work, and the next one goes on. A call of
the tool that was intended and has no result may have been made: the next process asks
the notebook, and makes it if not. Then demo checks that each message was stored once
and answered once, that the conversations are what they must be, line by line, that the
notebook has each call once, and that the journal is whole. It exits with 1 if anything
is lost, doubled or wrong. Run again, it goes on with 20 messages more.

http: the pages show the messages and inputs of demo's own conversations, but not
those of files or of a journal: anyone who reaches the address can read them. Other
machines reach :8080, but not localhost:8080.

operations: the table counts the calls of the workload, not those of the checks.
With more callers than CPUs, p99 and max are mostly waiting for a CPU: see
--callers 1. With a journal, every write waits for an append that is durable when it
ends. Writes that wait at the same time share one.

memory: the heap grows by about 2.2 KB a turn, because the store keeps every
receipt and input, and demo keeps a copy to check it against. A minute on two cores
of an AMD EPYC, 643,767 turns, held 1.4 GB; the process took 3.8 GB.

canonical: the messages of a canonical file are spelled, byte for byte, as Meerkat
writes them. So their digest is the SHA-256 of that text, and demo computes it
without package session. For any other file it must use package session itself,
which proves less.

` + demo.Fields(journalFields) + `

With --agent it prints one object too:

    agents            how many there are
    kills             of the process
    elapsed_ns        until all was answered
    repeated          messages that were sent again although they were stored
    recovered         turns that another process went on with
    asked             calls of which nobody knew whether they were made
    inputs, turns, messages, tool_calls
                      each with count (how many there are to be, of earlier demos
                      too), lost, doubled
    failures          what else is wrong, the first ten
    ok                whether nothing is lost, doubled or wrong`

const inspectHelp = `inspect shows what is in a file written by Loop.Export or "loopstore demo --export",
or in a store's journal, which is a directory, such as that of "loopstore demo
--journal": a table of the runtimes, the one that was written to last first, or all of one
runtime. - is the standard input, which cannot be a journal.
Payloads, that is snapshots and inputs, are shown only with --payloads, and of a
session one version, the latest or that of --number. Characters that a terminal might
take for a command are escaped.

A journal that is in use cannot be read. Reading does not change it.

http: browsers see the pages of package store/inspect, as it was read. Whoever reaches the
address sees all of it; payloads only with --payloads. Other machines reach :8080, but
not localhost:8080. It ends with 0 on Ctrl-C or SIGTERM.

It exits with 1 if it is damaged, in use or has no such runtime, and with 2 for wrong
flags or arguments.

--json prints one object:

    partition         of a journal; left out for an exported file
    revision          of the last change
    runtimes          each with runtime_id, version (the revision of its last
                      change), runtime_state (left out if there is none),
                      input_states, ended (those in a terminal state), runs,
                      receipts, snapshot_bytes (null if there is no snapshot),
                      versions (of its session that are kept, the latest too),
                      bytes (in memory, about), made and active (when it was made and
                      written to last, left out if that is not known), labels and keys
                      (idempotency keys that are kept without an input)
    sessions          snapshots that are filed under a session's id, each with
                      session_id, runtime_id, bytes
    deleted           runtimes that have left a tombstone, each with runtime_id,
                      revision (of the deletion), deleted (when that was),
                      highest_sequence (of any of its runs, or null) and keys

With --runtime it is one of these runtimes, and also has:

    snapshot          the latest version of the session, or that of --number: what
                      session_versions says of it, and base64 (with --payloads)
    origin            runtime_id and number of what it was forked from, or null
    session_versions  those that are kept, each with number, format (meerkat, lines,
                      opaque, or unset if it was stored as it came), bytes, digest,
                      messages (both null if it is unset), and run_id and sequence of
                      the receipt that committed it (null if none did)
    inputs            their states, as package store writes them
    run_details       each with run_id, highest_sequence (of all receipts that the
                      run has had), receipts
    dropped_runs      runs without any receipt left, each with run_id,
                      highest_sequence
    sessions          those that it has filed`

const verifyHelp = `verify checks a file written by Loop.Export or "loopstore demo --export": that no
line was altered, lost or moved; that all values, sequences, counts and ids agree;
and that every version of every session that has a format has its digest, which is
computed again, once for each text. PATH may be -, the standard input. It notes a
latest receipt of another conversation than the one that is held: a caller may store
such a receipt.

In a journal, which is a directory, it checks the same, and every frame of the log,
all pages in use, every record of the partition against its checksum, and their number
and digest against what the last append left.
A journal that is in use cannot be read. Reading does not change it.

It exits with 1 if it is damaged, and names the line or place, or in use, and with 2 for
wrong flags or arguments.`

const journalFields = `    journal           only with --journal: found (runtimes; in_turn, those in the
                      middle of a turn; receipts, inputs), appends, operations (the
                      writes of the workload), operations_per_append, bytes of all
                      appends, append_ns on average
`
