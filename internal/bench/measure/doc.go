// Package measure measures any [store.RuntimeStore]s side by side. It has the work, and
// runs it.
//
//	report, err := measure.Run(ctx, []measure.Subject{
//		{Name: "loop", Open: func() (store.RuntimeStore, error) { return loopstore.New(loopstore.Options{}), nil }},
//		{Name: "mine", Open: func() (store.RuntimeStore, error) { return mystore.New() }},
//	}, measure.Config{})
//	err = errors.Join(err, report.WriteTable(os.Stdout))
//
// A cell is one kind of work in one setting, such as
// operation=load_runtime_state/callers=8. Each round measures every cell on every
// subject, one subject right after the other. Each round begins with another subject, so
// that what else the machine does affects all of them alike. A figure is the median of
// the rounds. The garbage collector runs before each measurement. Each measurement has a
// new store, except in the growth cells, which keep theirs.
//
// # Cells
//
//   - hand_off/callers=N: no store, only a pooled request to a goroutine and its
//     answer. No operation of a store with an owner can be faster. See [HandOff].
//   - operation=NAME/callers=N: see [Operations].
//   - commit=scratch/session=SIZE/callers=N: boundary commits of a session that has
//     nothing in common with the one that the store holds.
//   - commit=grown/session=SIZE/callers=N: boundary commits of the session that the
//     store holds, grown by a message of 1 KB.
//   - commit=appended/session=SIZE/callers=N: boundary commits that append a line of
//     1 KB to JSON Lines. The session grows by an eighth at most.
//   - commit=grown_lines/session=1MB/callers=1: boundary commits of all these lines, with
//     one more.
//   - commit=counted/session=1MB/callers=1: boundary commits of a session document that
//     the store holds, grown by a message of 1 KB, with a counter in front of all
//     messages that has a digit more.
//   - turn/callers=N: everything that an agent runtime stores in one turn. An input is
//     persisted as accepted, queued, staged, and staged again as after a restart. It is
//     loaded. A boundary commit applies it, with a session that grows by 1 KB a turn and
//     starts again after eight. A lifecycle commit consumes it.
//   - read_while_committing/session=1MB: how long it takes to load a runtime state, from
//     the call to its return, while another caller commits sessions of 1 MB from
//     scratch, one after the other. Between two reads there is a pause of 200 µs, or of
//     what the system makes of that: about a millisecond on an idle Linux. It runs with
//     a GOMAXPROCS of 2, for eight times as long as other cells.
//   - reader/callers=N: views of a runtime that does not change. See [Subject.Reader].
//   - batch/writes=64: 64 input states, in one call if the store is a
//     [batch.Committer], or in one call each.
//   - growth/receipts=N: boundary commits of 1 KB in a run that has N receipts already.
//     The commits add at most 64 of them, or an eighth if that is more.
//
// Each caller works on a runtime of its own. Times are those of all callers together:
// with 64 of them, a call takes about 64 times as long as the figure says.
package measure
