package inspect

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// A deed is an action on something, as it was seen.
type deed struct {
	*handler
	deedKind

	Name      string
	RuntimeID store.RuntimeID
	Who       string // empty if nobody says
	from      string // the address

	View    *state.View  // of the runtime; nil if it is about none
	Input   *state.Input // nil if it is about none
	Seen    uint64       // the version of the input, or of the runtime; 0 if it is about neither
	Removed *state.Removed
	Open    int // inputs among these that have not ended
	Keep    []keeping
	Stats   loopstore.Stats

	home   string // the page that it ends on, with its parameters
	pairs  []any
	result result
}

// A deedKind is what differs between actions.
type deedKind struct {
	Begin  string // of the title, before what it is done to
	Button string
	look   func(*deed, *http.Request) error // finds what it is done to
	do     func(*deed, *http.Request) error
}

var deeds = map[string]deedKind{
	"delete":  {"Delete runtime", "Delete it", (*deed).lookAtAll, (*deed).delete},
	"prune":   {"Prune runtime", "Prune it", (*deed).lookAtSurplus, (*deed).prune},
	"requeue": {"Requeue input", "Requeue it", (*deed).lookAtInput, (*deed).requeue},
	"abandon": {"Abandon input", "Abandon it", (*deed).lookAtInput, (*deed).abandon},
	"compact": {"Compact the journal", "Compact it", (*deed).lookAtJournal, (*deed).compact},
}

// A result is what was done.
type result struct {
	Action    string           `json:"action"`
	RuntimeID *store.RuntimeID `json:"runtime_id,omitempty"`
	InputID   *store.InputID   `json:"input_id,omitempty"`
	Revision  uint64           `json:"revision,omitempty"` // of the change
	Removed   *state.Removed   `json:"removed,omitempty"`
	Notice    string           `json:"notice"`
}

func (r *result) JSON() any { return r }

// JSON returns what would be done, and what has to be sent so that it is.
func (d *deed) JSON() any {
	shown := struct {
		result
		Seen  uint64         `json:"seen"`
		Keep  map[string]int `json:"keep,omitempty"`
		Token string         `json:"token,omitempty"` // empty if there is nothing to do
	}{result: d.subject(), Seen: d.Seen, Keep: map[string]int{}}
	shown.Removed = d.Removed
	if d.Worth() {
		shown.Token = d.Token()
	}
	for _, k := range d.Keep {
		if k.Last > 0 {
			shown.Keep[k.Name] = k.Last
		}
	}
	return shown
}

// subject returns a result that says what the action is, and what it is done to.
func (d *deed) subject() result {
	r := result{Action: d.Name}
	if d.View != nil {
		r.RuntimeID = &d.RuntimeID
	}
	if d.Input != nil {
		r.InputID = &d.Input.State.InputID
	}
	return r
}

// did notes what was done, at what revision.
func (d *deed) did(revision uint64, removed *state.Removed, format string, args ...any) {
	d.result = d.subject()
	d.result.Revision, d.result.Removed = revision, removed
	d.result.Notice = time.Now().UTC().Format("15:04:05 UTC: ") + fmt.Sprintf(format, args...)
}

// Title is the title of the page that asks whether it shall be done.
func (d *deed) Title() string {
	switch {
	case d.Input != nil:
		return d.Begin + " " + d.Input.State.InputID.String()
	case d.View != nil:
		return d.Begin + " " + cut(120, name(d.RuntimeID))
	}
	return d.Begin
}

// Address is where it is done.
func (d *deed) Address() string {
	var pairs []any
	if d.View != nil {
		pairs = append(pairs, "id", d.RuntimeID)
	}
	if d.Input != nil {
		pairs = append(pairs, "input", d.Input.State.InputID)
	}
	for _, k := range d.Keep {
		pairs = append(pairs, k.Name, k.Value())
	}
	return link(d.Name, pairs...)
}

// Back is the page that it was begun from.
func (d *deed) Back() string { return link(d.home, d.pairs...) }

// Worth reports whether there is something to do.
func (d *deed) Worth() bool {
	return d.Name != "prune" || d.Removed != nil && *d.Removed != state.Removed{}
}

// lookAtRuntime finds the runtime that it is about.
func (d *deed) lookAtRuntime(r *http.Request) (err error) {
	d.home, d.pairs = "runtime", []any{"id", d.RuntimeID}
	d.View, err = d.view(r)
	if err == nil {
		d.Seen = d.View.Version()
	}
	return err
}

func (d *deed) lookAtAll(r *http.Request) error {
	if err := d.lookAtRuntime(r); err != nil {
		return err
	}
	summary := d.View.Summary()
	d.Removed, d.Open, d.Stats = &state.Removed{Totals: summary.Held}, open(&summary), d.running.Stats()
	return nil
}

func (d *deed) delete(r *http.Request) error {
	done, err := d.acts.to.Commit(r.Context(), batch.Batch{
		If:   []batch.Condition{batch.VersionIs{RuntimeID: d.RuntimeID, Version: d.Seen}},
		Then: []batch.Write{batch.DeleteRuntime{RuntimeID: d.RuntimeID}},
	})
	if err == nil {
		d.home, d.pairs = "./", nil
		d.did(done.Revision, d.Removed, "Runtime %s was deleted, with %s.", cut(60, name(d.RuntimeID)), inWords(*d.Removed))
	}
	return err
}

// A keeping is how many of something a prune keeps.
type keeping struct {
	Name, Title string
	Have, Last  int // Last is 0 for all
}

// Value returns what a form has for it.
func (k keeping) Value() string {
	if k.Last == 0 {
		return ""
	}
	return strconv.Itoa(k.Last)
}

func (d *deed) lookAtSurplus(r *http.Request) error {
	if err := d.lookAtRuntime(r); err != nil {
		return err
	}
	summary, asked := d.View.Summary(), false
	held := summary.Held
	d.Keep = []keeping{
		{"inputs", "Inputs that have ended", summary.Ended, 0},
		{"payloads", "Payloads of ended inputs", summary.Ended, 0},
		{"runs", "Runs", held.Runs, 0},
		{"receipts", "Receipts of each run", held.Receipts, 0},
		{"versions", "Versions of the session", held.Snapshots + held.Versions, 0},
	}
	for i := range d.Keep {
		k := &d.Keep[i]
		text := r.URL.Query().Get(k.Name)
		if text == "" {
			continue
		}
		last, err := strconv.ParseUint(text, 10, strconv.IntSize-1)
		if err != nil || last == 0 {
			return unreadable(k.Name)
		}
		k.Last, asked = int(last), true
	}
	if asked {
		d.Removed = new(d.View.WouldPrune(d.retention(), store.TimeOf(time.Now())))
	}
	return nil
}

// retention is what the form says: none of its fields lets go of anything by a zero.
func (d *deed) retention() store.Retention {
	last := func(i int) store.Keep { return store.Keep{Last: d.Keep[i].Last} }
	return store.Retention{Inputs: last(0), Payloads: last(1), Runs: d.Keep[2].Last, ReceiptsPerRun: d.Keep[3].Last, Sessions: last(4)}
}

func (d *deed) prune(r *http.Request) error {
	removed, err := d.acts.to.Prune(r.Context(), d.RuntimeID, d.retention())
	if err == nil {
		d.did(0, &removed, "Pruned: %s went.", inWords(removed))
	}
	return err
}

func (d *deed) lookAtInput(r *http.Request) error {
	if err := d.lookAtRuntime(r); err != nil {
		return err
	}
	input, err := inputOf(d.View, r.URL.Query())
	if err != nil {
		return err
	}
	d.Input, d.Seen = &input, input.Version
	d.home, d.pairs = "input", []any{"id", d.RuntimeID, "input", input.State.InputID}
	switch current := input.State.CurrentState; {
	case current.IsTerminal():
		return &problem{http.StatusConflict, "The input has ended", "It is " + string(current) + "."}
	case d.Name == "requeue" && current == store.InputQueued:
		return &problem{http.StatusConflict, "The input waits already", "It is queued."}
	}
	return nil
}

// Removes reports whether something goes, or ends, for ever.
func (d *deed) Removes() bool { return d.Removed != nil || d.Name == "abandon" }

// Begun reports whether somebody may be at work on the input.
func (d *deed) Begun() bool {
	return d.Input.State.CurrentState != store.InputAccepted && d.Input.State.CurrentState != store.InputQueued
}

func (d *deed) requeue(r *http.Request) error { return d.move(r, store.InputQueued, "requeued") }

// abandonReasons are those that every version of Meerkat knows.
var abandonReasons = []store.AbandonReason{store.AbandonCancelled, store.AbandonReset, store.AbandonRetired, store.AbandonDestroyed}

// Reasons are what an input can be abandoned for.
func (d *deed) Reasons() []store.AbandonReason { return abandonReasons }

func (d *deed) abandon(r *http.Request) error {
	var reason store.AbandonReason
	if reason.UnmarshalText([]byte(r.PostForm.Get("reason"))) != nil {
		return unreadable("reason")
	}
	d.Input.State.TerminalOutcome = &store.TerminalOutcome{Type: store.OutcomeAbandoned, Reason: reason}
	return d.move(r, store.InputAbandoned, "abandoned")
}

// move takes the input to another state, if nobody else has changed it.
func (d *deed) move(r *http.Request, to store.InputLifecycleState, did string) error {
	note := r.PostForm.Get("note")
	if utf8.RuneCountInString(note) > maxNote {
		return unreadable("note")
	}
	reason := did + " by " + cmp.Or(d.Who, "hand")
	if note = strings.TrimSpace(strings.ToValidUTF8(note, "\uFFFD")); note != "" {
		reason += ": " + note
	}
	fence := batch.InputVersionIs{RuntimeID: d.RuntimeID, InputID: d.Input.State.InputID, Version: d.Seen}
	if err := d.Input.State.Move(to, store.TimeOf(time.Now()), reason); err != nil {
		return err
	}
	done, err := d.acts.to.Commit(r.Context(), batch.Batch{
		If: []batch.Condition{fence}, Then: []batch.Write{batch.PutInputState{RuntimeID: d.RuntimeID, State: d.Input.State}},
	})
	if err == nil {
		d.did(done.Revision, nil, "The input was %s.", did)
	}
	return err
}

func (d *deed) lookAtJournal(*http.Request) error {
	d.home = "stats"
	if d.Stats = d.running.Stats(); d.Stats.Journal == nil {
		return notFound("journal")
	}
	return nil
}

func (d *deed) compact(r *http.Request) error {
	began := time.Now()
	err := d.acts.to.Compact(r.Context())
	if err == nil {
		d.did(0, nil, "The journal was compacted. It took %s.", brief(time.Since(began)))
	}
	return err
}

// An amount is how many of something go.
type amount struct {
	N         int
	One, Many string
}

// Amounts are all that go.
func (d *deed) Amounts() []amount { return amountsOf(*d.Removed) }

func amountsOf(n state.Removed) []amount {
	return slices.DeleteFunc([]amount{
		{n.InputStates, "input", "inputs"}, {n.Payloads, "payload", "payloads"}, {n.Runs, "run", "runs"}, {n.Receipts, "receipt", "receipts"},
		{n.Snapshots, "session", "sessions"}, {n.Versions, "earlier version", "earlier versions"},
		{n.Sessions, "filed session", "filed sessions"}, {n.Keys, "kept key", "kept keys"},
	}, func(a amount) bool { return a.N == 0 })
}

// inWords says how much has gone.
func inWords(n state.Removed) string {
	var parts []string
	for _, a := range amountsOf(n) {
		if a.N == 1 {
			parts = append(parts, "1 "+a.One)
		} else {
			parts = append(parts, grouped(a.N)+" "+a.Many)
		}
	}
	return cmp.Or(strings.Join(parts, ", "), "nothing") + " (" + size(n.Bytes()) + ")"
}
