package main

const demoHelp = `usage: loopstore demo [flags] [session.json ...]

demo drives agent runtimes through a store in memory, with a journal, or spread
over a cluster. Each takes its inputs through accepted, queued, staged, applied
and consumed, with a boundary commit per turn of a conversation that grows. Then
it checks every receipt, sequence, input and snapshot against what the store has
acknowledged.
The conversations are its own, or those of the files: session documents as
Meerkat, the agent runtime whose store this one equals, writes them.

It exits with 1 if a call or a check failed or nothing was done, and 2 if it
was called in a wrong way. Ctrl-C or SIGTERM ends the turns; what was done is
checked and reported, and if all is well it exits with 130 or 143.

flags:
`

const demoNotes = `
journal: the file is one of module store/journal/bolt, with the runtimes in its
partition "demo". Whatever ended the process, kill -9 too, the next one finds them
where they stopped. It compares them with what a turn can leave there: receipts
0, 1, 2, … of each run, inputs in the order of the receipts and stamped with them,
each at the end of its history, the digest and count of the last receipt with the
snapshot, a state that fits. If anything else is found it changes nothing, and
exits with 1. Then each goes on: it is recovering, takes up the inputs of its turn,
and ends that. There are never fewer runtimes than were found, whatever -runtimes
says. A conversation that is of none of the files now is begun anew. The receipts
of earlier processes are not compared with their conversations, but for the last.

cluster: the members are those of package store/cluster, in this process, each
with a connection of its own to three NATS servers, which are in this process too
and keep 12 partitions in a temporary directory. After two seconds the last member
is killed: its connection is closed, so that it hands over nothing. The others take
over what it served when they have not heard of it for a lease of two seconds;
then another member takes its place, and two seconds later a server is stopped that
leads the log of one of these partitions. Callers go on, through the next member
if theirs was killed. A call of which nothing was applied is made again. Where
the outcome is unknown a boundary commit looks for its receipt first; any other
write is made again at once, since it leaves the same. In the end everything is
checked through a member that lives. It exits with 1 too if no take-over was seen:
a short -duration leaves no time for one.

http: the pages have the messages and inputs of the demo's own conversations, but
not those of files or of a journal: anyone who reaches the address can read them.
:8080 is reached from other machines, localhost:8080 is not.

operations: the table has the calls of the workload, not those of the checks.
Callers beyond the number of CPUs wait for one, and that is most of p99 and max
then; see -callers 1. With a journal what changes something waits for an append,
which is durable on the disk when it ends; all that wait together share one.

memory: in memory it grows by some 2.2 KB of heap a turn, since the store keeps every
receipt and input, and the demo keeps them again to check it. A minute on two
cores of an AMD EPYC, 643,767 turns, held 1.4 GB; the process took 3.8 GB.

canonical: the messages of a canonical file are spelled, to the byte, as Meerkat
writes them, so their digest is the SHA-256 of that text, computed apart; for
any other file package session itself computes it, which proves less.

-json prints one object; its durations are in nanoseconds:
  runtimes          how many there were
  callers           goroutines that called the store
  gomaxprocs        how many of them could run at once
  elapsed_ns        of the workload, without the checks
  interrupted       by Ctrl-C or SIGTERM
  turns             that ended in this process, of all runtimes together
  snapshot_bytes    of all boundary commits together
  heap_bytes        live after the workload: the store, and the records to check it
  operations        those that were used, each with operation, count,
                    per_second, p50_ns, p99_ns, max_ns
  journal           only with -journal: found (runtimes, in_turn: of these in the
                    middle of a turn, receipts, inputs), appends, operations of
                    the workload that change something, operations_per_append,
                    bytes of all appends, append_ns of one on average
  cluster           only with -cluster: members, servers, partitions; killed, the
                    member, and leader_stopped, the server, both empty if there
                    was no time; first_commit_ns, from the kill to the first
                    commit in a partition that was taken over, 0 if there was
                    none; calls_again, made more than once; outcome_unknown
                    (calls; of these commits that were found stored, or absent
                    and made again, and other writes, repeated); standings
                    (moment, at_ns, members: member, address, and the numbers of
                    the partitions that it has claimed and those that are open)
  verified          the checks, each with check, checked, failed
  check_elapsed_ns  of the checks
  not_canonical     names of files whose digests are package session's own
  errors            of calls, or that nothing was done
  failures          of checks, the first ten
  ok                whether there are neither errors nor failures
`

const benchHelp = `usage: loopstore bench [flags]

bench measures the store in memory (loop) and, to compare with, the same store
behind a sync.Mutex (mutex), each in turn in every round, and prints the medians.
Without flags it takes less than two minutes on two cores, and about half a GB of
memory. Nothing else should run meanwhile.

It exits with 1 if a call failed, and 2 if it was called in a wrong way. Ctrl-C
or SIGTERM ends it; what was measured until then is printed, and it exits with
130 or 143.

flags:
`

const benchNotes = `
The times are of all callers together: with 64 of them, each waits about 64
times that. A ratio is to loop. In hand-offs: how many times a bare hand-off of
as many callers it is, which is a request to a goroutine and back, the floor
under every operation of loop.

cells, most of them for callers=1, 8 or 64:
  hand_off               that floor
  operation=NAME         each operation of a store, some in several sizes
  commit=scratch         a boundary commit of another session than the one held
  commit=grown           of the one held, grown by a message of 1 KB
  turn                   all that an agent runtime stores in a turn: an input
                         persisted four times and loaded, a boundary commit, a
                         lifecycle commit
  read_while_committing  how long a load takes while another caller commits
                         sessions of 1 MB: on average, p50, p99, max; and what
                         a commit takes
  reader                 looking at a runtime that does not change
  batch                  64 input states in one commit
  growth                 a boundary commit where so many receipts are held
`

const doctorHelp = `usage: loopstore doctor -nats URL [-system URL] [flags]
       loopstore doctor -postgres URL [flags]

doctor looks at the servers that keep journals: at the settings that the promises
of the engines in store/journal/jetstream and store/journal/postgres depend on. It
changes nothing there, makes nothing, and shows no password.

It exits with 1 if something is RISK or BROKEN, or the servers do not answer, 2 if
it was called in a wrong way, and else with 0, also if something is UNKNOWN.

flags:
`

const doctorNotes = `
status:
  OK       as it should be
  UNKNOWN  it could not be looked at
  RISK     acknowledged writes may be lost, by what the line below says
  BROKEN   the engine cannot work

Without -system nobody can tell how often NATS servers sync, and that is UNKNOWN.

-json prints one object:
  findings  each with status, setting, value, advice
  unknown, risk, broken  how many of them are that
  ok        whether nothing is RISK or BROKEN
`
