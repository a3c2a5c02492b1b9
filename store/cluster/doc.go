// Package cluster spreads runtimes over several processes, for services that have
// outgrown one machine. The runtimes are divided into a fixed number of
// partitions, see [PartitionOf]. Each partition is a loopstore.Loop with a journal
// of its own, and one member of the cluster holds it at a time. The journals are
// those of one engine that all members reach. Where machines may be lost, that
// engine must be replicated.
//
//	node, err := cluster.Join(ctx, cluster.Options{
//		Cluster: "agents", Partitions: 64, Self: cluster.Member{Name: host, Address: address},
//		Engine: engine, Directory: directory,
//	})
//	…
//	defer node.Close()
//	router := node.Router(remote) // a store.RuntimeStore over all partitions
//
// When a member dies, the others take over its partitions with everything that was
// acknowledged. There is no consensus and no RPC here. The journals decide who may
// write. A small document in a [Directory] says who should. How a call gets from
// one process to another is up to the user.
//
// # Safety
//
// Safety rests on the journal's append alone. Opening a partition fences all its
// earlier holders: nothing that they append later is stored, however alive they
// think they are and whatever the directory says. So if the engine keeps the
// contract of package journal, the following holds under pauses of any length,
// lost and late messages, clocks that jump, a wrong directory and assignments that
// contradict each other:
//
//   - A write that was acknowledged is there, once, for every later holder.
//   - A write that was refused, with ErrNotHolder too, is not there and never will
//     be. One with store.ErrOutcomeUnknown may be there: ask the next holder.
//   - The writes of a partition have one order. Each holder continues where the
//     last one ended.
//
// # Leases
//
// Leases give liveness and consistent loads. A member writes a beat into the
// directory every sixth of [Options].Lease. A member whose beat stays the same for
// a lease and a half, by another member's monotonic clock, is taken for dead: the
// other removes it from the directory and claims its own share of the freed
// partitions, in one compare-and-set, and opens them. No two clocks need to agree.
// A member that has just joined, or has not read the directory for two thirds of a
// lease, starts to observe anew. So when nobody reaches the directory, nobody is
// taken for dead.
//
// A member whose last beat is a lease and a third ago, counted from before that beat
// was sent, serves nothing until it has written another: calls get [ErrNotHolder]. A
// [Router] checks this before each call, and again before it returns what a load
// found. So a load sees all that was acknowledged anywhere before it began, if
//
//   - the monotonic clocks of the members run at rates that differ by less than a
//     tenth and never stop: a clock that stops while its machine is suspended, as
//     Linux's does, lets a member wake up and believe in its lease;
//   - the directory replaces each revision once, and forgets no write;
//   - all members have the same Lease.
//
// Where one of these does not hold, a load may show a state that a later holder
// has changed, until this one notices. Writes never depend on it. The loop that
// Node.Local returns does not check the lease: only Node.Local does. With
// Options.Assign there is no lease: a member that was replaced by other means may
// answer loads until its journal reports that it is fenced.
//
// A directory that is away for a lease costs nothing, whenever that begins, and
// whether its calls fail or hang: no call is refused, and nothing moves. For a beat is
// a sixth of a lease old at most, and is tried again every thirty-second part of a
// lease, beside a call that hangs. What remains of a lease and a third is an eighth
// of a lease for the calls themselves, of which none takes more than a thirty-second:
// two before the directory was away, two after it, and those of other members that
// come between. Where they take longer, the directory may be away for so much less.
//
// # What happens when
//
//   - A process crashes or cannot reach the directory: after a lease and a half another
//     member claims its partitions. They are served once they are replayed. A process
//     that starts again under its old name is a new member, and waits as long as the
//     others.
//   - A member that was taken for dead comes back: its loops end, and it begins
//     with nothing. What was taken over stays, up to a fair share.
//   - Nobody reaches the directory for longer than a lease: from a lease to a lease
//     and a third on nothing is served until it is back. Then all members continue
//     with what they hold.
//   - A member joins: those that hold more than their share close the excess, and
//     the new one claims it. Each closes at most Options.Opens partitions at a
//     time, and none while that many are free, or while a member is silent. Nothing
//     else moves, and nobody takes what a living member has claimed.
//   - A member leaves with Node.Close: it answers the calls that it has accepted, and
//     gives its claims to members that it has seen beat in the last third of a lease.
//     They open them with their next beats, within a sixth of a lease. Meanwhile and
//     afterwards its Routers say ErrNotHolder with the next holder, or go there with a
//     Remote. So a service closes its node first and its RPC last. If nobody is seen
//     to live, the partitions are free, and the holder is not known.
//   - A partition cannot be opened, or is fenced by somebody without a claim: the
//     same member tries again after a third of a lease, and then less and less often,
//     down to once in eleven leases. The claim stays. Node.Status says why.
//   - The directory's document cannot be read, or is of a newer version: it is left
//     alone, and leases end. See [ErrDocument].
//
// Calls for a partition that is being opened wait, under their contexts and for a
// lease at most. Calls for one that is unserved get ErrNotHolder at once, and may be
// made again.
//
// # Choosing the lease
//
// The partitions of a dead member are unserved for one and a third to one and three
// quarters of a lease, and for the replay. The lease must be several times what may delay a
// beat: a call of the directory, which may take a sixth of the lease, or a pause of
// the process or its machine. A lease that is too short takes partitions from
// healthy members, which costs replays and loses nothing. The default, 15 seconds,
// suits members in one region. Large clusters want a longer lease: each member reads
// and writes the whole document every sixth of it, a few bytes for each partition
// and a few hundred for each member, and all these writes happen one after another.
// Together they should take no more than a fifth of that sixth.
//
// # Routing with your own RPC
//
// Serve node.Router(nil) over it: it answers for what is open in that process, and
// with ErrNotHolder otherwise. Put what a client needs into Member.Address, and
// give every process a [Remote] that returns such a client as a
// [store.RuntimeStore]. The client turns errors back into what they were: a
// *NotHolderError with the holder, after which nothing was applied, and
// store.ErrOutcomeUnknown for a write whose connection broke. After ErrNotHolder,
// wait a moment, longer each time, and call again through the Router: its table
// will have changed. A service whose clients can be redirected needs no Remote: it
// sends them the holder's address.
//
// # Batches and forks
//
// All runtimes of a batch, or of a commit with conditions, must be in one partition, and
// so must the two of a fork:
// there are no transactions over several, see [ErrSpansPartitions]. Revisions,
// versions, listings and exports are those of a partition's loop. A session that
// AtomicApply files under its id is in the partition of its runtime: ask the loop that
// Node.Local returns.
//
// # What is stored where
//
// The engine has the partitions <cluster>/0 and so on, and <cluster>/about with one
// record, the number of partitions, {"version":1,"cluster":"agents","partitions":64},
// under the key cluster. The directory has a JSON document,
//
//	{"version":1,"cluster":"agents",
//	 "members":[{"id":"5TSRY…","name":"a","address":"a:4000","beat":17}],
//	 "owners":[0,0,-1]}
//
// in which owners has, for each partition, the index of the member that has claimed
// it, or -1. An id is random, and new with every Join. What is of another cluster is
// refused, in the engine and in the directory. The directory may be emptied
// while no member runs, or at any time at the price of a lease: the members write
// all of it again.
package cluster
