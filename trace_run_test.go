//go:build loopstore_trace

package loopstore

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/internal/model/handoff"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// A tracedLoop is a Loop of the edited code.
type tracedLoop interface {
	ownTrace() *trace
	start(*state.State)
	closeTraced(*trace) error
}

// A traceOp is an operation that only these tests can make.
type traceOp struct {
	prepare func()
	apply   func() error
}

func (traceOp) Kind() ops.Kind                       { return ops.KindPersistRuntimeState }
func (traceOp) Runtime() (_ store.RuntimeID, _ bool) { return "a", true }
func (*traceOp) Answer() ops.None                    { return ops.None{} }
func (*traceOp) Weigh() ops.Weight                   { return ops.Weight{} }
func (op *traceOp) Prepare(ops.Standing) error       { op.prepare(); return nil }
func (op *traceOp) Apply(*state.State) error         { return op.apply() }

// A tracedContext carries a log, and lets others run at the moments at which a call
// looks at it. It may panic there.
type tracedContext struct {
	context.Context
	t      *trace
	panics bool
}

type vanish struct{}

func (c tracedContext) Value(key any) any {
	if key == (traceKey{}) {
		return c.t
	}
	return c.Context.Value(key)
}

func (c tracedContext) Done() <-chan struct{} {
	c.t.jump()
	if c.panics && c.t.r.IntN(2) == 0 {
		panic(vanish{})
	}
	return c.Context.Done()
}

func (c tracedContext) Err() error { c.t.jump(); return c.Context.Err() }

var (
	runs = flag.Int("runs", 50, "runs of each kind")
	most = flag.Int("most", 10000, "and so many at most, until each step of the model has occurred")
)

// TestTraces checks that what the code does is what the model allows, and that it does
// all of that.
func TestTraces(t *testing.T) {
	if _, ok := any(new(Loop)).(tracedLoop); !ok {
		t.Skip("the code is not the edited one")
	}
	seen := newCovered()
	for _, bubble := range []bool{true, false} {
		began, first := time.Now(), seen.runs
		for seed := 0; seed < *runs || !seen.all() && seed < *most; seed++ {
			traced(t, newTracedRun(uint64(seed), bubble), seen)
		}
		t.Logf("bubble %t: %d runs, %v, all by %d", bubble, seen.runs-first, time.Since(began).Round(time.Millisecond), seen.at)
	}
	t.Logf("%d steps, at most %d a run, at most %d choices in a search; %v", seen.events, seen.longest, seen.choices, seen.took.Round(time.Millisecond))
	require.Empty(t, seen.missing(), "steps of the model that the code has not done")
}

// covered counts what the runs have done.
type covered struct {
	left                               map[string]bool
	runs, events, longest, choices, at int
	took                               time.Duration // for searches
}

func newCovered() *covered {
	c := &covered{left: map[string]bool{}}
	for _, step := range handoff.Steps() {
		c.left[step] = true
	}
	return c
}

func (c *covered) all() bool { return len(c.left) == 0 }

func (c *covered) missing() []string {
	var steps []string
	for step := range c.left {
		steps = append(steps, step)
	}
	slices.Sort(steps)
	return steps
}

func (c *covered) add(who string, log []handoff.Event) {
	for _, e := range log {
		if step := who + " " + e.What; c.left[step] {
			delete(c.left, step)
			c.at = c.runs
		}
	}
}

// traced does one run, and checks its logs.
func traced(t *testing.T, run *tracedRun, seen *covered) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(run.procs))
	hung := false
	if run.bubble {
		synctest.Test(t, func(t *testing.T) { hung = run.do(t.Context()); run.judge(t, hung, seen) })
		return
	}
	run.do(t.Context())
	run.judge(t, false, seen)
}

// judge fails the test if the logs are no run of the model. Goroutines that wait for
// ever cannot be ended, so their test process is.
func (x *tracedRun) judge(t *testing.T, hung bool, seen *covered) {
	began := time.Now()
	logs := handoff.Logs{Inbox: x.inbox, Owner: x.owner.events}
	seen.add("owner", x.owner.events)
	for _, c := range x.callers {
		logs.Callers = append(logs.Callers, c.events)
		seen.add("caller", c.events)
	}
	for _, c := range x.closers {
		logs.Closers = append(logs.Closers, c.events)
		seen.add("closer", c.events)
	}
	v := logs.Check()
	seen.runs++
	seen.events += v.Events
	seen.longest = max(seen.longest, v.Events)
	seen.choices = max(seen.choices, v.Visited)
	seen.took += time.Since(began)
	if hung || v.Wrong != "" {
		fmt.Printf("%v, run %d:\n%s\n", x, seen.runs, v.Wrong)
	}
	if hung {
		fmt.Println("goroutines wait for ever")
		os.Exit(1)
	}
	if v.Wrong != "" {
		t.FailNow()
	}
}

// A tracedRun is what is done with one Loop.
type tracedRun struct {
	seed   uint64
	bubble bool
	procs  int
	inbox  int
	calls  int  // of each caller
	late   bool // it is about its end: Close and a panic come at once, and others take long

	loop    *Loop
	owner   *trace
	callers []*trace
	closers []*trace
	all     sync.WaitGroup // but for the owner
}

func newTracedRun(seed uint64, bubble bool) *tracedRun {
	r := rand.New(rand.NewPCG(seed, 0))
	x := &tracedRun{
		seed: seed, bubble: bubble, procs: []int{1, 2, 8}[seed%3], inbox: []int{1, 1, 2, 4}[r.IntN(4)],
		calls: 1 + r.IntN([]int{4, 30}[r.IntN(2)]), late: seed%4 == 3,
	}
	if x.late {
		x.calls = 1 + r.IntN(2)
	}
	for range 1 + r.IntN(4) {
		x.callers = append(x.callers, x.newTrace(1+len(x.callers)))
	}
	for range 1 + r.IntN(3) {
		x.closers = append(x.closers, x.newTrace(11+len(x.closers)))
	}
	return x
}

func (x *tracedRun) String() string {
	return fmt.Sprintf("seed %d, bubble %t, GOMAXPROCS %d, inbox of %d, %d callers with %d calls, %d closers",
		x.seed, x.bubble, x.procs, x.inbox, len(x.callers), x.calls, len(x.closers))
}

func (x *tracedRun) newTrace(stream int) *trace {
	t := &trace{calls: stream * 1000, slow: x.late, r: rand.New(rand.NewPCG(x.seed, uint64(stream))), pause: func(n int) { yield(n, func() {}) }}
	if x.bubble {
		t.pause = func(n int) { time.Sleep(time.Duration(n)) }
	}
	return t
}

// do lets all goroutines run to their ends. In a bubble it reports whether some wait
// for ever.
func (x *tracedRun) do(ctx context.Context) (hung bool) {
	x.loop = prepare(Options{InboxSize: x.inbox, RefuseWhenFull: x.seed%7 == 0})
	loop := any(x.loop).(tracedLoop)
	x.owner = loop.ownTrace()
	owner := x.newTrace(0)
	x.owner.r, x.owner.pause = owner.r, owner.pause
	loop.start(x.loop.state(Options{}))
	for _, t := range x.callers {
		x.all.Go(func() { x.caller(ctx, t) })
	}
	for _, t := range x.closers {
		x.all.Go(func() {
			t.pause(t.r.IntN(1 + 40*x.calls))
			t.jump()
			_ = loop.closeTraced(t)
			select {
			case <-x.loop.done:
			default:
				t.note(nil, "has returned from Close, and the owner has not ended")
			}
		})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		x.all.Wait()
		<-x.owner.gone
	}()
	if x.bubble {
		select {
		case <-time.After(time.Hour): // of the bubble: nobody pauses so long
			synctest.Wait()
			return true
		case <-done:
			return false
		}
	}
	<-done
	return false
}

// caller calls, in one way or another.
func (x *tracedRun) caller(ctx context.Context, t *trace) {
	for range x.calls {
		t.pause(t.r.IntN(4))
		x.call(ctx, t)
	}
}

func (x *tracedRun) call(ctx context.Context, t *trace) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer func() {
		switch v := recover(); v.(type) {
		case nil:
		case vanish:
			t.of(t.calls, "vanishes: its context panics", "")
		default:
			t.of(t.calls, fmt.Sprint("panics: ", v), "")
		}
	}()
	c := tracedContext{ctx, t, false}
	switch t.r.IntN(10) {
	case 0:
		cancel()
	case 1:
		c.panics = true
	case 2, 3, 4, 5:
		n := t.r.IntN(20)
		x.all.Go(func() { t.pause(n); cancel() })
	}
	if t.r.IntN(3) == 0 {
		_, _ = x.loop.CommitSessionBoundary(c, "a", store.BoundaryCommit{
			Session: store.SessionDelta{SessionSnapshot: []byte("1\n"), Format: store.FormatLines, Append: true},
			RunID:   store.NewRunID(), Boundary: store.RunStart,
		})
		return
	}
	_, _ = do[ops.None, traceOp, *traceOp](c, x.loop, x.op(t))
}

// op is an operation that takes its time, on either side. The owner may find that it
// must be prepared again, or panic.
func (x *tracedRun) op(t *trace) traceOp {
	n, again, panics := t.r.IntN(8), t.r.IntN(4)/2*t.r.IntN(3), t.r.IntN(2*x.calls*len(x.callers)) == 0 || x.late && t.r.IntN(2) == 0
	return traceOp{
		prepare: t.jump,
		apply: func() error {
			x.owner.pause(n)
			if again--; again >= 0 {
				return ops.ErrAgain
			}
			if panics {
				panic("on purpose")
			}
			return nil
		},
	}
}
