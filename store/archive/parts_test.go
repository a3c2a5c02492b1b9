package archive_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/session"
	"github.com/loopstore/loopstore/store/state"
)

// What versions, forks and filed sessions share is written once.
func TestSharedPartsAreWrittenOnce(t *testing.T) {
	held := &state.State{Retention: store.Retention{Sessions: store.Keep{Last: 1000}}}
	line := func(n int) string { return fmt.Sprintf(`{"n":%d,"text":"%s"}`+"\n", n, strings.Repeat("x", 1000)) }
	var text strings.Builder
	for n := range 1000 {
		text.WriteString(line(n))
	}
	put := func(snapshot string, add bool) {
		_, err := ops.Run(held, ops.Commit{Batch: batch.Batch{Then: []batch.Write{
			batch.PutSnapshot{RuntimeID: "a", Snapshot: []byte(snapshot), Format: store.FormatLines, Append: add},
		}}})
		require.NoError(t, err)
	}
	put(text.String(), false)
	for n := range 99 {
		if n%2 == 0 {
			put(line(n), true)
		} else { // as a whole text
			put(held.Snapshot("a").String()+line(n), false)
		}
	}
	for n := range 20 {
		perform(held, ops.Fork{RuntimeID: "a", Number: uint64(5*n) + 1, To: store.RuntimeID(fmt.Sprint("fork ", n))})
		held.PutSession("a", store.SessionID{byte(n)}, held.Snapshot("a"))
		held.Settle()
	}
	file := write(t, held)
	require.Equal(t, 100+20, kinds(file)["version"])
	assert.Less(t, len(file), 4<<20)
	t.Logf("%d bytes, %d parts", len(file), kinds(file)["part"])

	again := read(t, file)
	assert.Equal(t, pictureOf(held), pictureOf(again))
	assert.Equal(t, held.Totals(), again.Totals(), "and it takes no more memory")
}

// past returns the lines of a file of one runtime, with these after its own.
func past(versions, parts int, lines ...string) []byte {
	return sealAll(append([]string{
		fmt.Sprintf(`{"type":"header","format":"loopstore","version":2,"revision":1,"runtimes":1,"input_states":0,"runs":0,"receipts":0,"versions":%d,"parts":%d,"sessions":0`, versions, parts),
		fmt.Sprintf(`{"type":"runtime","runtime_id":"a","version":1,"versions":%d,"input_states":0,"runs":0,"dropped_runs":0`, versions),
	}, lines...))
}

// part returns the line of a list.
func listLine(number uint64, of ...uint64) string {
	return fmt.Sprintf(`{"type":"part","number":%d,"parts":%s`, number, strings.ReplaceAll(fmt.Sprint(of), " ", ","))
}

func versionLine(number, parts, root uint64) string {
	return fmt.Sprintf(`{"type":"version","number":%d,"parts":%d,"format":"unset","part":%d`, number, parts, root)
}

func leafLine(number uint64, text string) string {
	return fmt.Sprintf(`{"type":"part","number":%d,"text":%q`, number, text)
}

// A few lists that list the same ones can stand for a text that no memory has room
// for.
func TestBombsAreRefused(t *testing.T) {
	// 64 leaves, and then each list has two of the text before it.
	lines := []string{versionLine(1, session.MaxParts+1, session.MaxParts+1)}
	var of []uint64
	for n := range uint64(session.MaxParts) {
		lines = append(lines, leafLine(n+1, "x"))
		of = append(of, n+1)
	}
	first := uint64(session.MaxParts + 1)
	lines = append(lines, listLine(first, of...))
	small := read(t, past(1, session.MaxParts+1, lines...))
	require.Equal(t, session.MaxParts, small.Snapshot("a").Len())
	again := append(lines, versionLine(2, 1, first+1), listLine(first+1, of...)) // lists the same
	read(t, past(2, session.MaxParts+2, again...))

	bomb := append(again, versionLine(3, 1, first+2), listLine(first+2, first, first+1))
	refusal := refused(t, past(3, session.MaxParts+3, bomb...))
	assert.EqualError(t, refusal, fmt.Sprintf("line %d: a text longer than all that the file has", 2+len(bomb)))

	// Lists of one part in one another have few bytes, and are as deep as the file is
	// long.
	tower := func(lists uint64) []byte {
		lines := []string{versionLine(1, lists+1, lists+1), leafLine(1, "x")}
		for n := range lists {
			lines = append(lines, listLine(n+2, n+1))
		}
		return past(1, int(lists)+1, lines...)
	}
	read(t, tower(session.MaxFloor))

	assert.EqualError(t, refused(t, tower(session.MaxFloor+1)), "line 17: a list of parts on other levels, or on too many")
	assert.EqualError(t, refused(t, tower(1000)), "line 17: a list of parts on other levels, or on too many")
}

// A text that had a part twice could be opened from a journal only as long as others are
// there.
func TestNoTextHasAPartTwice(t *testing.T) {
	lines := []string{
		versionLine(1, 1, 1), leafLine(1, "shared"),
		versionLine(2, 1, 2), leafLine(2, "goes away"),
		versionLine(3, 2, 4), leafLine(3, "a"), listLine(4, 1, 3),
	}
	read(t, past(3, 4, lines...))
	lines = append(lines, versionLine(4, 3, 7), leafLine(5, "b"), listLine(6, 1, 5), listLine(7, 4, 6))
	assert.EqualError(t, refused(t, past(4, 7, lines...)), "line 10: a text that has a part twice")
}

// The number of a version leaves room for those to come.
func TestNumbersOfVersionsLeaveRoom(t *testing.T) {
	s := read(t, past(1, 1, versionLine(math.MaxInt64/2, 1, 1), leafLine(1, "x")))
	s.PutSnapshot("a", new(store.SnapshotOf([]byte("y"))), nil)
	s.Settle()
	again := state.NewReplay(new(state.State))
	for record := range s.Records() {
		require.NoError(t, again.Put(record))
	}
	require.NoError(t, again.Done())
	_ = refused(t, past(1, 1, versionLine(math.MaxInt64/2+1, 1, 1), leafLine(1, "x")))
}

// The parts of a text come in the one order in which Write gives them, so that a file
// has one spelling.
func TestPartsComeInTheirOrder(t *testing.T) {
	a, b := leafLine(1, "a"), leafLine(2, "b")
	read(t, past(1, 3, versionLine(1, 3, 3), a, b, listLine(3, 1, 2)))
	for name, c := range map[string]struct {
		line   int
		reason string
		lines  []string
	}{
		"another order":                {6, "in their order", []string{versionLine(1, 3, 3), a, b, listLine(3, 2, 1)}},
		"one that is not used":         {3, "do not belong to it", []string{versionLine(1, 3, 3), a, b, listLine(3, 2)}},
		"one that is not used, before": {3, "do not belong to it", []string{versionLine(1, 3, 2), a, listLine(2, 1), leafLine(3, "b")}},
		"one that is used twice":       {7, "in their order", []string{versionLine(1, 4, 4), a, listLine(2, 1), leafLine(3, "b"), listLine(4, 1, 2)}},
		"a list that comes late":       {7, "in their order", []string{versionLine(1, 5, 5), a, leafLine(2, "b"), listLine(3, 2), listLine(4, 1), listLine(5, 4, 3)}},
		"the root is another's":        {3, "do not belong to it", []string{versionLine(1, 2, 1), a, leafLine(2, "b")}},
		"the version before has it":    {5, "do not belong to it", []string{versionLine(1, 1, 1), a, versionLine(2, 1, 1), leafLine(2, "b")}},
	} {
		refusal := refused(t, past(strings.Count(strings.Join(c.lines, "\n"), `"version"`), 0, c.lines...))
		assert.ErrorContains(t, refusal, c.reason, name)
		assert.Equal(t, c.line, refusal.Line, name)
	}
}

// The example in the package's documentation is what Write writes, but for what is
// cut short there.
func TestTheDocumentationShowsAFile(t *testing.T) {
	source, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	var shown []string
	for line := range strings.Lines(string(source)) {
		switch text, ok := strings.CutPrefix(line, "//\t"); {
		case ok && strings.HasPrefix(text, `{"type":`):
			shown = append(shown, strings.TrimSpace(text))
		case ok && len(shown) > 0:
			shown[len(shown)-1] += strings.TrimSpace(text)
		}
	}
	written := bytes.Split(bytes.TrimSpace(write(t, exported())), []byte("\n"))
	require.Len(t, shown, len(written))
	for i, line := range shown {
		pattern := strings.ReplaceAll(regexp.QuoteMeta(line), "…", "[-0-9a-f]+")
		assert.Regexp(t, "^"+pattern+"$", string(written[i]))
	}
}
