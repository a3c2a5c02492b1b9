// Package cluster spreads runtimes over the members of a cluster, for who has
// outgrown one machine. The runtimes are divided into a fixed number of
// partitions, see [PartitionOf]. Each is a loopstore.Loop with a journal of its
// own, owned by one member at a time. The journals are those of one engine that
// all members reach, and that is replicated where machines may be lost.
//
//	node, err := cluster.Join(ctx, cluster.Options{
//		Cluster: "agents", Partitions: 64, Self: cluster.Member{Name: host, Address: address},
//		Engine: engine, Directory: directory,
//	})
//	…
//	defer node.Close()
//	router := node.Router(remote) // a store.RuntimeStore over all partitions
//
// When a member dies the others take its partitions over, with everything that
// was acknowledged. There is no consensus and no RPC here: the journals decide
// who may write, a small document in a [Directory] says who should, and how calls
// get from one process to another is the user's.
//
// # What keeps it safe
//
// The journal's append alone. To open a partition is to fence all earlier owners:
// nothing that one of them appends from then on is stored, however alive it
// thinks it is, and whatever the directory says. So, if the engine keeps the
// contract of package journal, under pauses of any length, lost and late
// messages, clocks that jump, a directory that is wrong, and assignments that
// contradict each other:
//
//   - A write that was acknowledged is there for every later owner, once.
//   - A write that was refused, with ErrNotOwner too, is not there, and never will
//     be. One with store.ErrOutcomeUnknown may be: look at whoever owns it next.
//   - The writes of a partition have one order, in which each owner goes on where
//     the last one ended.
//
// # What leases are for
//
// For liveness, and for loads. A member writes a beat into the directory every
// third of [Options].Lease. Whoever sees the beat of another unchanged for a lease
// and a tenth, by its own monotonic clock, takes it for dead: it removes the
// member from the directory and claims its share of what that had, in one
// compare-and-set, and opens it. No two clocks need to agree. One that has just
// joined, or that could not read the directory for two thirds of a lease, starts
// to observe anew; so when the directory is away for everybody nobody is taken for
// dead.
//
// A member that has not written a beat for a lease, counted from before that was
// sent, serves nothing until it has: calls get [ErrNotOwner]. A [Router] asks for
// that before a call, and again before it returns what a load has found. So loads
// see all that was acknowledged anywhere before they began, if
//
//   - the monotonic clocks of the members run at rates that differ by less than a
//     tenth, and count all the time: one that stands still while a machine is
//     suspended, as Linux's does, makes a member that wakes believe in its lease;
//   - the directory is linearizable, and forgets nothing;
//   - all members have the same Lease.
//
// Where one of these does not hold, a load may show a state that a later owner has
// changed, until this one notices. Writes never depend on it. What Node.Local
// returns checks the lease only when it is asked for. With
// Options.Assign there is no lease: a member that was replaced by other means may
// answer loads until its journal says that it is fenced.
//
// # What happens when
//
//   - A process crashes, or cannot reach the directory: after a lease and a tenth,
//     at the next beat of another member, its partitions are claimed, and served
//     when they have been replayed. One that is started again under its old name is
//     a new member, and waits as long as the others.
//   - A member that was taken for dead comes back: its loops end, and it begins
//     again with nothing. What has been taken over stays where it is, but for a fair
//     share.
//   - The directory is away for longer than a lease: nothing is served until it is
//     back, then everybody goes on with what they have, replaying nothing.
//   - A member joins: those with more than their share close as much, each at most
//     Options.Opens partitions at a time and none while that many are free, and the
//     new one claims it. Nothing else moves, and nobody takes what a living member
//     has claimed.
//   - A member leaves, by Node.Close: its loops are closed, its claims given up, and
//     the others claim them with their next beats, within a third of a lease.
//   - A partition cannot be opened, or is fenced by somebody who has no claim: it is
//     tried again by the same member, first after a beat and then ever more seldom,
//     up to every 32 beats. The claim stays. Node.Status says why.
//   - The directory holds what cannot be read, or is of a newer version: it is left
//     alone, and leases end. See [ErrDocument].
//
// A partition is unserved while it is taken over, for a few seconds or as long as
// its replay takes. Calls for one that is being opened wait, under their contexts
// and for a lease at most; other calls get ErrNotOwner at once, and are made again
// by who needs them.
//
// # How to choose the lease
//
// A partition of a member that died is unserved for one to one and three quarters of
// it, and the replay: until the next beat of whoever sees it, and of the others that
// take their shares. It must be several times what may delay a beat:
// a call of the directory, which may take a sixth of it, a pause of the process or
// its machine. One that is too short takes partitions from members that are well,
// which costs replays and loses nothing. The default, 15 seconds, suits members in
// one region. Each member reads and writes the whole document every third of a
// lease, a few bytes for each partition and some hundred for each member, and of
// those that do so at the same time one succeeds and the others try again: all of
// them together should need no more than a tenth of that third. So large clusters
// want a longer lease.
//
// # How to route with an RPC of your own
//
// Serve node.Router(nil) over it: it answers for what is open at that process and
// says ErrNotOwner otherwise. Put into Member.Address what a client needs to reach
// it, and give every process a [Remote] that returns such a client, as a
// [store.RuntimeStore]. The client makes errors into what they were: for ErrNotOwner a
// *NotOwnerError with the owner, nothing was applied; where the connection broke
// nobody knows, which is store.ErrOutcomeUnknown for a write. Who gets
// ErrNotOwner waits a moment, grows that, and calls again, through the Router: its
// table will have changed. A service whose clients can be redirected needs no
// Remote, and sends them the owner's address.
//
// # Batches
//
// All runtimes of a batch must be in one partition: there are no transactions over
// several, see [ErrSpansPartitions]. Revisions, versions, listings and exports are
// those of a partition's loop. Sessions that AtomicApply files under an id are
// found in the partition of their runtime, by the loop that Node.Local returns.
//
// # What is kept where
//
// In the engine: partition <cluster>/about, with one record, which says how many
// partitions there are, {"version":1,"partitions":64} under the key cluster; and
// partitions <cluster>/0 and so on. In the directory: a JSON document,
//
//	{"version":1,"cluster":"agents",
//	 "members":[{"id":"5TSRY…","name":"a","address":"a:4000","beat":17}],
//	 "owners":[0,0,-1]}
//
// with the owner of each partition as a place in members, or -1. An id is random,
// and new with every Join.
//
// A directory can be emptied while no member runs, or at any time at the price of
// a lease: it holds nothing that the members would not write again.
package cluster
