// Package measure measures stores side by side: the work that any
// [store.RuntimeStore] is measured with, and what runs it.
//
//	report, err := measure.Run(ctx, []measure.Subject{
//		{Name: "loop", Open: func() (store.RuntimeStore, error) { return loopstore.New(loopstore.Options{}), nil }},
//		{Name: "mine", Open: func() (store.RuntimeStore, error) { return mystore.New() }},
//	}, measure.Config{})
//	err = errors.Join(err, report.WriteTable(os.Stdout))
//
// A cell is one work at one setting, such as
// operation=load_runtime_state/callers=8. Each round measures every cell on every
// subject, one subject right after the other and another one first in each round,
// so that what else the machine does meanwhile meets all of them alike. A figure
// is the median of the rounds. A store is opened, and the garbage collector run,
// for every cell and round, but for growth.
//
// # Cells
//
//   - hand_off/callers=N: no store, but a pooled request to a goroutine and back,
//     the floor under every operation of a store that works so: see [HandOff].
//   - operation=NAME/callers=N: see [Operations].
//   - commit=scratch/session=SIZE/callers=N: boundary commits of a session that
//     has nothing in common with the one that is held.
//   - commit=grown/session=SIZE/callers=N: of the session that is held, grown by
//     a message of 1 KB.
//   - turn/callers=N: all that an agent runtime stores in one turn. An input is
//     persisted as accepted, queued, staged, and staged again as after a restart;
//     it is loaded; a boundary commit applies it, with a session that grows by
//     1 KB a turn and starts anew after eight; a lifecycle commit consumes it.
//   - read_while_committing/session=1MB: how long loading a runtime state takes,
//     from the call to its return, while another caller commits sessions of 1 MB
//     from scratch, one after the other. Between two reads there is a pause of 200
//     µs, or of what the system makes of it: about a millisecond on an idle Linux.
//     It runs with a GOMAXPROCS of 2 and is given eight times the time of others.
//   - reader/callers=N: a runtime is looked at that does not change. See
//     [Subject.Reader].
//   - batch/writes=64: so many input states, in one call if the store is a
//     [batch.Committer], or one after the other.
//   - growth/receipts=N: a boundary commit of 1 KB where there are already so many
//     receipts, of one run. The commits add some: at most 64 or an eighth.
//
// The time is that of all callers together: with 64 of them, each waits about 64
// times that. Each caller works on a runtime of its own.
package measure
