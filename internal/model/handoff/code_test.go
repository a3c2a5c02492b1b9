//go:build !race

package handoff

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const root = "../../.."

// An edit makes a step of the code note itself. Where the step can be done wrong, the
// edited code does it wrong if LOOPSTORE_BUG names the rule of the protocol.
type edit struct {
	file     string
	old, new string
	times    int // that old stands there
}

// touches is a bug that is no step: the owner writes to a request that it has answered.
const touches = "Touches"

// What the edits call is in trace_test.go of the root.
var edits = []edit{
	// The owner.
	{"loop.go", "type Loop struct {\n", "type Loop struct {\n\ttrace *trace // the owner's\n", 1},
	{"loop.go", "return &Loop{\n", "return &Loop{\n\t\ttrace: &trace{gone: make(chan struct{})},\n", 1},
	{"loop.go", "	go l.own(l.state(opts))\n", "	l.start(l.state(opts))\n", 1},
	{"loop.go", "// own is the owner.", `func (l *Loop) ownTrace() *trace { return l.trace }

func (l *Loop) start(s *state.State) {
	go func() {
		defer close(l.trace.gone)
		l.own(s)
	}()
}

func (l *Loop) leaves() {
	close(l.done)
	l.trace.note(nil, "closes done")
}

// own is the owner.`, 1},
	{"loop.go", "	defer close(l.done)\n	defer l.refuseRest()\n", `	if !bug("DoneAfterDrain") {
		defer l.leaves()
	}
	defer l.refuseRest()
	if bug("DoneAfterDrain") {
		defer l.leaves()
	}
`, 1},
	{"loop.go", "			failure := l.panicked(v)\n			defer l.reply(nil, current, failure)\n", `			l.trace.note(current, "panics")
			failure := l.panicked(v)
			if !bug("AnswerPanicked") {
				defer l.reply(nil, current, failure)
			}
`, 1},
	{"loop.go", "for current = <-l.inbox; current != nil; current = <-l.inbox {",
		"for current = l.trace.received(<-l.inbox); current != nil; current = l.trace.received(<-l.inbox) {", 1},
	{"request.go", "	if r.claim.CompareAndSwap(queued, claimed) {\n", `	wrong := bug("OwnerCAS") && !l.trace.refuse || bug("RefuseCAS") && l.trace.refuse
	if l.trace.takes(r, wrong && r.claim.Swap(claimed) <= abandoned || r.claim.CompareAndSwap(queued, claimed)) {
`, 1},
	{"loop.go", "err := ops.Apply(s, r.op)", "err := l.trace.applies(r, ops.Apply(s, r.op))", 1},
	{"loop.go", "	r.answer <- err\n", `	call := r.call
	r.answer <- err
	l.trace.of(call, "answers", resultOf(err))
	if bug("` + touches + `") {
		r.bytes++
	}
`, 1},
	{"request.go", "type request struct {\n", "func (r *request) number() int { return r.call }\n\ntype request struct {\n\tcall int\n", 1},
	{"request.go", "answer: make(chan error, 1)", "answer: make(chan error, room())", 1},
	{"loop.go", "	l.phase.Store(ended)\n", `	l.trace.refuse = true
	if !bug("EndedBeforeDrain") {
		l.phase.Store(ended)
		l.trace.note(nil, "stores ended")
	}
`, 1},
	{"loop.go", "		case r := <-l.inbox:\n			l.refuse(r)\n		default:\n", `		case r := <-unless("Drain", l.inbox):
			l.refuse(l.trace.receivedLate(r))
		default:
			l.trace.note(nil, "finds the inbox empty")
			if bug("EndedBeforeDrain") {
				l.phase.Store(ended)
				l.trace.note(nil, "stores ended")
			}
			if bug("InboxStaysOpen") {
				close(l.inbox)
			}
`, 1},

	// Those who call Close.
	{"loop.go", "func (l *Loop) Close() error {\n	first := l.phase.CompareAndSwap(serving, closing)\n	if first {\n", `func (l *Loop) Close() error { return l.closeTraced(nil) }

func (l *Loop) closeTraced(t *trace) error {
	first := t.closes(bug("ClosingCAS") && l.phase.Swap(closing) == serving || !bug("ClosingCAS") && l.phase.CompareAndSwap(serving, closing))
	if first && bug("StopInTurn") {
		l.overtake()
		t.note(nil, "sends the request to stop")
	} else if first || bug("OneStop") {
`, 1},
	{"loop.go", "		case l.inbox <- nil:\n		case <-l.done:\n		}\n	}\n	<-l.done\n", `		case l.inbox <- nil:
			t.note(nil, "sends the request to stop")
		case <-unless("StopOrDone", l.done):
			t.note(nil, "sees done")
		}
	}
	if !bug("CloseWaits") {
		<-l.done
	}
	t.note(nil, "returns from Close")
`, 1},

	// Callers.
	{"request.go", "	c := newCall[R, O, P](l, value)\n	if err = c.run(ctx, l); err == nil {\n", `	c := newCall[R, O, P](l, value)
	t := traceOf(ctx)
	c.call = t.begins(&c.request)
	if vanished := true; bug("VanishedIsDropped") {
		defer func() {
			if vanished {
				c.recycle(l)
			}
		}()
		err = c.run(ctx, l)
		vanished = false
	} else {
		err = c.run(ctx, l)
	}
	if err == nil {
`, 1},
	{"request.go", "if c.claim.Load() != abandoned {", "if t.returns(&c.request, c.claim.Load(), err) != abandoned {", 1},
	{"request.go", "	c.claim.Store(queued)\n	l.pools[c.sample.Kind].Put(c)\n", `	if !bug("QueuedInPool") {
		c.claim.Store(queued)
	}
	l.pools[c.sample.Kind].Put(c)
`, 1},
	{"request.go", "	if ctx.Err() != nil {\n", "	if ctx.Err() != nil {\n		traceOf(ctx).note(r, \"its ctx has ended\")\n", 2},
	{"request.go", "if l.phase.Load() != serving {", "if traceOf(ctx).phase(r, l.phase.Load()) != serving {", 1},
	{"request.go", "	r.claim.Store(queued)\n", `	if !bug("QueuedAgain") {
		r.claim.Store(queued)
	}
	traceOf(ctx).note(r, "prepares its request again")
`, 1},
	{"request.go", "	select {\n	case l.inbox <- r:\n	default:\n", `	t, before := traceOf(ctx), serving
	if bug("PhaseAfterSend") { // it looks too early
		before = l.phase.Load()
		t.jump()
	}
	select {
	case l.inbox <- r:
		t.note(r, "sends its request")
	default:
		t.note(r, "finds the inbox full")
`, 1},
	{"request.go", "	if l.phase.Load() == ended && r.abandon() {\n", `	phase := before
	if !bug("PhaseAfterSend") {
		phase = l.phase.Load()
	}
	if t.phaseAfter(r, phase) == ended && (r.abandon(t) || bug("RefusedWhenLeft")) {
`, 1},
	{"request.go", "	case err := <-r.answer:\n		return err\n	case <-ctx.Done():\n		if r.abandon() {\n", `	case err := <-r.answer:
		return t.receives(r, err)
	case <-ctx.Done():
		t.note(r, "its ctx ends")
		if r.abandon(t) {
`, 1},
	{"request.go", "	return <-r.answer // the owner has it\n", `	if bug("AnswerWhenClaimed") {
		return cancelled(ctx)
	}
	return t.receives(r, <-r.answer)
`, 1},
	{"request.go", "	if l.intake.refuseWhenFull {\n", "	if l.intake.refuseWhenFull {\n		traceOf(ctx).note(r, \"its ctx ends\") // or as if\n", 1},
	{"request.go", "	case l.inbox <- r:\n		return nil\n	case <-ctx.Done():\n		return cancelled(ctx)\n	case <-l.done:\n", `	case l.inbox <- r:
		traceOf(ctx).note(r, "sends its request")
		return nil
	case <-ctx.Done():
		traceOf(ctx).note(r, "its ctx ends")
		return cancelled(ctx)
	case <-unless("DoneWhileFull", l.done):
		traceOf(ctx).note(r, "sees done")
`, 1},
	{"request.go", "func (r *request) abandon() bool { return r.claim.CompareAndSwap(queued, abandoned) }\n", `func (r *request) abandon(t *trace) bool {
	return t.abandons(r, bug("CallerCAS") && r.claim.Swap(abandoned) <= abandoned || r.claim.CompareAndSwap(queued, abandoned))
}
`, 1},
}

// shared are the names of what callers, the owner and those who call Close share.
var shared = []string{"inbox", "phase", "done", "claim", "answer", "pools"}

// A spared use of what is shared is no step of this model, or is noted elsewhere.
type spared struct {
	file, function, name string
	times                int
	why                  string
}

const (
	shows      = "it shows a number, and decides nothing"
	room       = "the room in flight is not in the model"
	compaction = "Compact has a channel of its own"
	clearing   = "what clears left-overs makes calls like any other, and ends with the loop"
	rounds     = "the owner with a journal: rounds have a model of their own"
)

var noSteps = []spared{
	{"request.go", "newCall", "pools", 1, "do notes it: begins a call"},
	{"request.go", "handOff", "inbox", 1, shows},
	{"request.go", "squeeze", "inbox", 1, shows},
	{"log.go", "start", "inbox", 1, shows},
	{"stats.go", "Stats", "inbox", 2, shows},
	{"stats.go", "Stats", "phase", 1, shows},
	{"inflight.go", "enter", "phase", 1, room},
	{"inflight.go", "leave", "claim", 1, room},
	{"loop.go", "prepare", "inbox", 1, "there is no other goroutine yet"},
	{"loop.go", "prepare", "done", 1, "there is no other goroutine yet"},
	{"view.go", "Watch", "done", 1, "a watcher then calls View, which is a call like any other"},
	{"open.go", "compact", "done", 2, compaction},
	{"open.go", "compact", "answer", 3, compaction},
	{"open.go", "compactBeside", "done", 1, "Compact that the engine makes waits for the end of the loop"},
	{"manage.go", "Changes", "done", 1, "who follows the changes then makes a call like any other"},
	{"inflight.go", "join", "claim", 1, "what was given up is dropped sooner, as if the owner had come to it"},
	{"archive.go", "clear", "done", 1, clearing},
	{"archive.go", "clearPiece", "done", 1, clearing},
	{"durable.go", "leave", "answer", 1, compaction},
	{"durable.go", "ownDurable", "done", 1, rounds},
	{"durable.go", "wait", "inbox", 1, rounds},
	{"durable.go", "drain", "inbox", 2, rounds},
}

func source(t *testing.T, name string) string {
	text, err := os.ReadFile(filepath.Join(root, name))
	require.NoError(t, err)
	return string(text)
}

// spans are the places at which an edit's text stands.
func (e edit) spans(t *testing.T) (spans [][2]int) {
	t.Helper()
	text := source(t, e.file)
	for from := 0; ; {
		at := strings.Index(text[from:], e.old)
		if at < 0 {
			break
		}
		spans = append(spans, [2]int{from + at, from + at + len(e.old)})
		from += at + len(e.old)
	}
	require.Len(t, spans, e.times, "the code has changed: change the model and this table. %s:\n%s", e.file, e.old)
	return spans
}

// files are the root's, without tests.
func files(t *testing.T) (names []string) {
	all, err := filepath.Glob(filepath.Join(root, "*.go"))
	require.NoError(t, err)
	for _, name := range all {
		if !strings.HasSuffix(name, "_test.go") {
			names = append(names, filepath.Base(name))
		}
	}
	return names
}

// TestEveryStepOfTheCodeIsTraced finds each use of what is shared in an edit, or in the
// list of those that are no steps.
func TestEveryStepOfTheCodeIsTraced(t *testing.T) {
	left := map[spared]int{}
	for _, s := range noSteps {
		left[spared{s.file, s.function, s.name, 0, ""}] = s.times
	}
	for _, file := range files(t) {
		var covered [][2]int
		for _, e := range edits {
			if e.file == file {
				covered = append(covered, e.spans(t)...)
			}
		}
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, filepath.Join(root, file), nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, declaration := range tree.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(function, func(n ast.Node) bool {
				var name *ast.Ident
				switch n := n.(type) {
				case *ast.SelectorExpr:
					name = n.Sel
				case *ast.KeyValueExpr: // of a composite literal
					name, _ = n.Key.(*ast.Ident)
				}
				if name == nil || !slices.Contains(shared, name.Name) {
					return true
				}
				at := set.Position(name.Pos())
				use := spared{file, function.Name.Name, name.Name, 0, ""}
				if !slices.ContainsFunc(covered, func(c [2]int) bool { return c[0] <= at.Offset && at.Offset < c[1] }) {
					if left[use]--; left[use] < 0 {
						t.Errorf("%s:%d: %s uses %s, and no edit notes it: is it a step of the model?", file, at.Line, use.function, use.name)
					}
				}
				return true
			})
		}
	}
	for use, times := range left {
		assert.LessOrEqual(t, times, 0, "%s: %s uses %s less often: change the list", use.file, use.function, use.name)
	}
}

// overlay writes the edited files, and returns what tells go build of them.
func overlay(t *testing.T) string {
	type span struct {
		at  [2]int
		new string
	}
	spans := map[string][]span{}
	for _, e := range edits {
		for _, at := range e.spans(t) {
			spans[e.file] = append(spans[e.file], span{at, e.new})
		}
	}
	dir := t.TempDir()
	at, err := filepath.Abs(root)
	require.NoError(t, err)
	replace := map[string]string{}
	for file, all := range spans {
		slices.SortFunc(all, func(a, b span) int { return a.at[0] - b.at[0] })
		text, edited, from := source(t, file), "", 0
		for _, s := range all {
			require.LessOrEqual(t, from, s.at[0], "two edits of one text: %s", s.new)
			edited += text[from:s.at[0]] + s.new
			from = s.at[1]
		}
		name := filepath.Join(dir, file)
		require.NoError(t, os.WriteFile(name, []byte(edited+text[from:]), 0o600))
		replace[filepath.Join(at, file)] = name
	}
	tests, err := filepath.Glob(filepath.Join(at, "*_test.go"))
	require.NoError(t, err)
	for _, test := range tests { // those of another package need not be built
		if strings.Contains("\n"+source(t, filepath.Base(test)), "\npackage loopstore_test\n") {
			replace[test] = ""
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	name := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(name, list, 0o600))
	return name
}

// build returns the root's tests, built from the edited files.
func build(t *testing.T, overlay string, flags ...string) string {
	began := time.Now()
	binary := filepath.Join(filepath.Dir(overlay), "loopstore"+strings.Join(flags, "")+".test")
	args := append([]string{"test", "-c", "-vet=off", "-overlay", overlay, "-tags", "loopstore_trace", "-o", binary}, flags...)
	cmd := exec.Command("go", append(args, ".")...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Logf("built in %v", time.Since(began).Round(time.Millisecond))
	return binary
}

// run runs the traces, with a bug or without, and returns what they print.
func run(t *testing.T, binary, bug string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(binary, append([]string{"-test.run", "^TestTraces$", "-test.v", "-test.timeout", "2m"}, args...)...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "LOOPSTORE_BUG="+bug)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func passes(t *testing.T, binary string, args ...string) {
	t.Helper()
	out, err := run(t, binary, "", args...)
	require.NoError(t, err, "%s", out)
	require.Contains(t, out, "--- PASS: TestTraces", "it was run")
	t.Log(out)
}

// TestTheCodeIsTheModels runs the code, and finds each run of it in the model.
func TestTheCodeIsTheModels(t *testing.T) {
	list := overlay(t)
	binary := build(t, list)
	runs := 500
	if testing.Short() {
		runs = 100
	}
	passes(t, binary, fmt.Sprint("-runs=", runs))

	t.Run("race", func(t *testing.T) {
		cgo, err := exec.Command("go", "env", "CGO_ENABLED").Output()
		require.NoError(t, err)
		if testing.Short() || strings.TrimSpace(string(cgo)) != "1" {
			t.Skip("-short, or there is no C compiler")
		}
		binary := build(t, list, "-race")
		passes(t, binary, "-runs=60")
		out, err := run(t, binary, touches, "-runs=60")
		assert.Error(t, err)
		assert.Contains(t, out, "WARNING: DATA RACE", "the notes hide no race")
	})

	rules := reflect.TypeFor[Rules]()
	for field := range rules.Fields() {
		bug := field.Name
		t.Run(bug, func(t *testing.T) {
			out, err := run(t, binary, bug, "-runs=20000")
			require.Error(t, err, "nothing is wrong with it")
			t.Log(out)
			assert.Contains(t, out, "no order of the", "the checker says what")
		})
	}
}
