package inspect

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/state"
)

// An undone action is one that was not done, or not whole. It says in words why.
type undone struct {
	problem

	Outcome string         // for the log
	Applied string         // "nothing", "part" or "unknown"
	Removed *state.Removed // by what was done
	Again   string         // the page that asks, empty if there is none
	Back    string
}

// A changedError says that something is not as it was seen.
type changedError struct{ seen, stands uint64 }

func (e *changedError) Error() string {
	return fmt.Sprintf("version %d was shown, version %d stands", e.seen, e.stands)
}

// Is reports whether target is [store.ErrConflict].
func (*changedError) Is(target error) bool { return target == store.ErrConflict }

// undoneBy returns what an error means, and whether anything was done.
func (d *deed) undoneBy(err error) *undone {
	u := &undone{problem: *problemOf(err), Outcome: "failed", Applied: "nothing", Again: d.Address(), Back: d.Back()}
	say := func(status int, title, text string) { u.status, u.title, u.Text = status, title, text }
	_, refused := errors.AsType[*problem](err)
	switch {
	case refused:
		u.Outcome = "refused"
	case unknown(err):
		say(http.StatusServiceUnavailable, "Nobody knows whether it was done", "The store has stopped in the middle. Open it again, and look.")
		u.Outcome, u.Applied, u.Again = "unknown", "unknown", ""
		return u
	case errors.Is(err, store.ErrConflict):
		say(http.StatusConflict, "It has changed meanwhile", "It is not as the page showed it any more.")
		u.Outcome = "conflict"
	case errors.Is(err, journal.ErrRejected):
		say(http.StatusServiceUnavailable, "The journal has refused it", "The log of these pages says why.")
	case errors.Is(err, store.ErrLimit):
		say(http.StatusServiceUnavailable, "A limit is in the way", "It would go beyond a limit of the store.")
	case errors.Is(err, store.ErrBusy):
		say(http.StatusServiceUnavailable, "The store is busy", "Try again in a moment.")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		say(http.StatusServiceUnavailable, "There was not enough time", "The request ended first.")
	case !errors.Is(err, store.ErrClosed) && !errors.Is(err, store.ErrFailed):
		say(http.StatusInternalServerError, "It has failed", "The log of these pages says why.")
	}
	if partial, ok := errors.AsType[*state.PartialError](err); ok {
		u.Outcome, u.Applied, u.Removed = "part", "part", &partial.Removed
		u.Text += " It was done in part: " + inWords(partial.Removed) + " went. Do it again to go on."
	} else {
		u.Text += " Nothing was done."
	}
	return u
}

// unknown reports whether nobody knows what a call has done.
func unknown(err error) bool {
	if op, ok := errors.AsType[*store.OpError](err); ok {
		err = op.Err
	}
	if partial, ok := errors.AsType[*state.PartialError](err); ok {
		err = partial.Err
	}
	_, panicked := err.(*store.PanicError) // a wrapped one is of an earlier call
	return panicked || errors.Is(err, store.ErrOutcomeUnknown)
}

func (u *undone) JSON() any {
	return struct {
		Error   string         `json:"error"`
		Detail  string         `json:"detail"`
		Status  int            `json:"status"`
		Applied string         `json:"applied"`
		Removed *state.Removed `json:"removed,omitempty"`
	}{u.title, u.Text, u.status, u.Applied, u.Removed}
}
