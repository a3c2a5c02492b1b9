package store

import "time"

// A Retention says what is kept of a runtime. The zero value keeps everything that
// there is, and no earlier version of a session comes to it.
//
// Whatever it says, these stay: inputs that are in no terminal state, the
// receipt that was stored last, the run that this is of, and the session's last
// version. A run whose receipts have all gone leaves about 100 bytes behind, so that
// none of its sequences is ever minted again.
type Retention struct {
	ReceiptsPerRun int  // with the highest sequences of each run; 0 means all
	Runs           int  // whose first receipts were stored last; 0 means all
	Inputs         Keep // of the inputs in a terminal state
	Payloads       Keep // of those that stay and have a PersistedInput: it alone goes
	// Sessions are the versions of the session that are kept, by their numbers. The
	// last one counts: with Last 10 it is that one and nine before it. The zero Keep
	// keeps no more of them: a version that is replaced goes. Only those that another
	// Retention has kept stay, until a Prune. A Last of math.MaxInt keeps all.
	Sessions Keep
	// Keys are the idempotency keys of inputs that are no longer there, or no longer have
	// them, in the order in which they lost their inputs. A key that is kept is not free, and with
	// unique keys a late repeat is refused. The zero Keep forgets each key with its
	// input, but for those that another Retention has kept: they stay, until a Prune.
	Keys Keep
}

// A Keep says which inputs, versions, keys or tombstones are kept: those that are both
// among the last and young enough. The zero value keeps all inputs and payloads, and no
// versions, keys or tombstones.
type Keep struct {
	Last int           // in their order; 0 means all
	For  time.Duration // after an input's UpdatedAt, or since a version, key or tombstone was made; 0 means for ever
}

// IsZero reports whether neither part says anything.
func (k Keep) IsZero() bool { return k.Last <= 0 && k.For <= 0 }

// Validate returns a *ValueError if a part of k is negative.
func (k Retention) Validate() error {
	for _, part := range []struct {
		field string
		value int64
	}{
		{"receipts_per_run", int64(k.ReceiptsPerRun)},
		{"runs", int64(k.Runs)},
		{"inputs.last", int64(k.Inputs.Last)},
		{"inputs.for", int64(k.Inputs.For)},
		{"payloads.last", int64(k.Payloads.Last)},
		{"payloads.for", int64(k.Payloads.For)},
		{"sessions.last", int64(k.Sessions.Last)},
		{"sessions.for", int64(k.Sessions.For)},
		{"keys.last", int64(k.Keys.Last)},
		{"keys.for", int64(k.Keys.For)},
	} {
		if part.value < 0 {
			return &ValueError{Field: part.field, Reason: "negative"}
		}
	}
	return nil
}
