package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// A glance is one way of looking at what fillSmall and fillLarge make.
type glance struct {
	name   string
	moment bool // it shows revisions or times too
	shows  func(context.Context) (string, error)
}

// digested returns a short text that tells texts apart.
func digested(texts ...string) string {
	return fmt.Sprintf("%d with %x", len(texts), sha256.Sum256([]byte(strings.Join(texts, "\n"))))
}

func (tr *trial) glances() []glance {
	s := tr.store
	all := []glance{
		{"LoadRuntimeState", false, func(ctx context.Context) (string, error) {
			state, ok, err := s.LoadRuntimeState(ctx, "first")
			return fmt.Sprint(state, ok), err
		}},
		{"LoadInputStates", false, func(ctx context.Context) (string, error) {
			states, err := s.LoadInputStates(ctx, "large")
			return digested(textsOf(states)...), err
		}},
		{"LoadSessionSnapshot", false, func(ctx context.Context) (string, error) {
			snapshot, ok, err := s.LoadSessionSnapshot(ctx, "large")
			return fmt.Sprint(digested(string(snapshot)), ok), err
		}},
		{"LoadInputState", false, func(ctx context.Context) (string, error) {
			state, ok, err := s.LoadInputState(ctx, "large", store.InputID{'l', largeWrites - 1, 0})
			return fmt.Sprint(digested(textOf(state)), ok), err
		}},
	}
	for _, n := range []int{0, largeReceipts / 2, largeReceipts - 1} {
		all = append(all, glance{fmt.Sprint("LoadBoundaryReceipt of ", n), false, func(ctx context.Context) (string, error) {
			receipt, ok, err := s.LoadBoundaryReceipt(ctx, "large", largeReceipt(n).RunID, uint64(n))
			return fmt.Sprint(receipt, ok), err
		}})
	}
	if s, ok := s.(state.Viewer); ok {
		all = append(all, glance{"View", false, func(ctx context.Context) (string, error) {
			v, err := s.View(ctx, "large")
			if err != nil {
				return "", err
			}
			return shownAll(v), nil
		}})
	}
	if s, ok := s.(lister); ok {
		all = append(all, glance{"Runtimes", false, func(ctx context.Context) (string, error) {
			var ids []string
			for summary, err := range s.Runtimes(ctx, state.Listing{}) {
				if err != nil {
					return "", err
				}
				ids = append(ids, fmt.Sprintf("%q with %+v", summary.RuntimeID, summary.Held))
			}
			return strings.Join(ids, ", "), nil
		}}, glance{"the versions of Runtimes", true, func(ctx context.Context) (string, error) {
			var versions []uint64
			for summary, err := range s.Runtimes(ctx, state.Listing{}) {
				if err != nil {
					return "", err
				}
				versions = append(versions, summary.Version)
			}
			return fmt.Sprint(versions), nil
		}})
	}
	if s, ok := s.(sessionLoader); ok {
		all = append(all, glance{"LoadSession", false, func(ctx context.Context) (string, error) {
			filed, ok, err := s.LoadSession(ctx, store.SessionID{1})
			return fmt.Sprint(digested(filed.String()), ok), err
		}})
	}
	return append(all, glance{"Export", true, func(ctx context.Context) (string, error) {
		var b bytes.Buffer
		err := s.(archiver).Export(ctx, &b)
		return digested(b.String()), err
	}}, glance{"LoadRuntimeState of the other", false, func(ctx context.Context) (string, error) {
		state, ok, err := s.LoadRuntimeState(ctx, "other")
		return fmt.Sprint(state, ok), err
	}})
}

// shownAll returns all of a view but its version.
func shownAll(v *state.View) string {
	var texts []string
	for state := range v.InputStates() {
		texts = append(texts, textOf(state))
	}
	for run := range v.Runs() {
		for receipt := range v.Receipts(run) {
			texts = append(texts, textOf(receipt))
		}
	}
	for version := range v.Sessions() {
		texts = append(texts, sessionWith(version))
	}
	return digested(texts...) + fmt.Sprintf(", holding %+v", v.Summary().Held)
}

// changesAtOnce has callers look at all that the store shows while do changes it. Each of
// them must see what was there before and then, from some moment on, what is there
// after it.
func (tr *trial) changesAtOnce(do func() error) {
	tr.Helper()
	const lookers = 4
	type look struct {
		at    int // the place of the glance
		shown string
	}
	glances, before := tr.glances(), tr.shownLarge()
	looks := make([][]look, lookers)
	ready, done := make(chan struct{}, lookers), make(chan struct{})
	require.NoError(tr, together(lookers+1, func(caller int) error {
		if caller == lookers {
			defer close(done)
			for range lookers {
				<-ready
			}
			return do()
		}
		for n, last := 0, math.MaxInt; n < last; n++ {
			at := (n + 5*caller) % len(glances)
			shown, err := glances[at].shows(tr.Context())
			if err != nil {
				return fmt.Errorf("%s: %w", glances[at].name, err)
			}
			looks[caller] = append(looks[caller], look{at, shown})
			switch {
			case n == 0:
				ready <- struct{}{}
			case last == math.MaxInt:
				select {
				case <-done:
					last = n + 1 + len(glances)
				default:
				}
			}
		}
		return nil
	}))
	after := tr.shownLarge()
	require.NotEqual(tr, before, after)
	for _, all := range looks {
		changed := ""
		for i, look := range all {
			name := glances[look.at].name
			switch look.shown {
			case before[look.at]:
				if before[look.at] != after[look.at] {
					require.Empty(tr, changed, "look %d of %d: %s shows what was before the change, and another look has shown what is after it", i, len(all), name)
				}
			case after[look.at]:
				changed = name
			default:
				require.Fail(tr, "neither before nor after", "%s shows %s, where it showed %s before the change and %s after it", name, look.shown, before[look.at], after[look.at])
			}
		}
	}
}
