package inspect_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/inspect"
)

// A told difference is that of a page.
type told struct {
	Before  int  `json:"same_before"`
	ByLine  bool `json:"by_line"`
	Limited bool
	Added   int
	Removed int
	Changed int
	Count   int
	Rows    []struct {
		Kind     string
		Same     int
		From, To *struct {
			Number int
			Parts  []struct{ Text string }
		}
		Lines []struct{ Kind, Head, Middle, Tail string }
	}
}

func differ(t testing.TB, loop *loopstore.Loop, query string) (d told) {
	t.Helper()
	w := get(t, inspect.Handler(loop, inspect.Options{Payloads: true}), "/diff.json?id=a"+query)
	require.Equal(t, 200, w.Code, w.Body.String())
	require.Less(t, w.Body.Len(), most)
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &d))
	return d
}

func lineOf(role, text string) string {
	line, _ := json.Marshal(map[string]string{"role": role, "content": text})
	return string(line)
}

// asFormat writes messages in a format.
func asFormat(format store.Format, messages []string, pad string) string {
	if format == store.FormatLines {
		return strings.Join(append(slices.Clone(messages), ""), "\n")
	}
	return `{"pad":"` + pad + `","id":"0195b1c2-0000-7000-8000-000000000001","messages":[` + strings.Join(messages, ",") +
		`],"created_at":{"secs_since_epoch":1,"nanos_since_epoch":0},"updated_at":{"secs_since_epoch":1,"nanos_since_epoch":0}}`
}

// What a page says of two versions makes one of the other, whatever was done to it, wherever
// its text begins.
func TestDifferencesAreRight(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		format := []store.Format{store.FormatLines, store.FormatMeerkat}[seed%2]
		var old []string
		for n := range r.IntN(30) {
			old = append(old, lineOf("user", fmt.Sprintf("line %d\nof %d %s", n, r.IntN(3), strings.Repeat("x", r.IntN(300)))))
		}
		now := slices.Clone(old)
		for range r.IntN(4) {
			at := r.IntN(len(now) + 1)
			switch r.IntN(3) {
			case 0:
				now = slices.Insert(now, at, lineOf("system", fmt.Sprint("new ", r.IntN(100))))
			case 1:
				now = slices.Delete(now, at, min(len(now), at+r.IntN(3)))
			case 2:
				if at < len(now) {
					now[at] = strings.Replace(now[at], "line", "LINE", 1)
				}
			}
		}
		if r.IntN(2) == 0 {
			now = append(now, lineOf("user", "and more"))
		}
		loop := past(t)
		put(t, loop, "a", format, asFormat(format, old, ""))
		put(t, loop, "a", format, asFormat(format, now, strings.Repeat("p", r.IntN(3))))
		d := differ(t, loop, "&from=1&to=2")
		require.False(t, d.ByLine || d.Limited)
		rebuilt, at := slices.Clone(old[:d.Before]), d.Before
		for _, row := range d.Rows {
			switch row.Kind {
			case "same":
				rebuilt = append(rebuilt, old[at:at+row.Same]...)
				at += row.Same
			case "removed":
				require.Equal(t, at+1, row.From.Number)
				at++
			case "added":
				require.Equal(t, len(rebuilt)+1, row.To.Number)
				rebuilt = append(rebuilt, now[row.To.Number-1])
			default:
				require.Equal(t, at+1, row.From.Number)
				require.Equal(t, len(rebuilt)+1, row.To.Number)
				rebuilt = append(rebuilt, now[row.To.Number-1])
				require.NotEqual(t, row.Kind == "changed", len(row.Lines) == 0)
				at++
			}
		}
		require.Equal(t, len(old), at, "seed %d", seed)
		require.Equal(t, now, rebuilt, "seed %d", seed)
	}
}

// A message that changed is shown line by line, with what differs within a line.
func TestChangedMessagesAreComparedByLine(t *testing.T) {
	loop := past(t)
	texts := []string{"first\nsecond\nthird\nfourth\nfifth\nsixth\nand\nseventh: é is here", ""}
	texts[1] = strings.Replace(strings.Replace(texts[0], "é is", "è was", 1), "first", "completely different", 1)
	for _, text := range texts {
		put(t, loop, "a", store.FormatLines, lineOf("system", "be kind")+"\n"+lineOf("user", text)+"\n"+lineOf("assistant", "ok")+"\n")
	}
	d := differ(t, loop, "")
	require.Equal(t, 1, d.Before)
	require.Equal(t, []int{0, 0, 1, 2}, []int{d.Added, d.Removed, d.Changed, d.Count})
	var lines []string
	for _, l := range d.Rows[0].Lines {
		lines = append(lines, l.Kind+" "+l.Head+"|"+l.Middle+"|"+l.Tail)
	}
	require.Equal(t, []string{"same user||", "removed first||", "added completely different||", "same second||", "same third||", "fold ||", "same sixth||", "same and||",
		"removed seventh: |é i|s here", "added seventh: |è wa|s here"}, lines)
}

// What is no text is compared, too: calls, results, and what an image is.
func TestChangedPartsAreCompared(t *testing.T) {
	loop := past(t)
	for _, image := range []string{"AAAA", "AAAAAAAA"} {
		put(t, loop, "a", store.FormatLines, `{"role":"user","content":[{"type":"tool_use","id":"1","name":"f","input":{}},{"type":"tool_result","tool_use_id":"1","is_error":true,"content":"no"},{"type":"image","source":{"media_type":"image/png","data":"`+image+`"}}]}`+"\n")
	}
	d := differ(t, loop, "")
	var lines []string
	for _, l := range d.Rows[0].Lines {
		lines = append(lines, l.Kind+" "+l.Head+l.Middle+l.Tail)
	}
	require.Equal(t, []string{"fold ", "same [result 1, failed]", "same no", "removed [data image/png, 3 B]", "added [data image/png, 6 B]", "same "}, lines)
	put(t, loop, "a", store.FormatLines, `{"role":"user","content":[{"type":"tool_use","id":"1","name":"f","input":{}},{"type":"tool_result","tool_use_id":"1","is_error":true,"content":"no"},{"type":"image","source":{"media_type":"image/png","data":"BBBBBBBB"}}]}`+"\n")
	require.Contains(t, get(t, inspect.Handler(loop, inspect.Options{Payloads: true}), "/diff?id=a").Body.String(), "They differ in what is not shown here")
}

// Versions that have nothing in common, that are no conversations, or that are longer than
// what is compared, are told apart all the same; and before the first there was nothing.
func TestDifferencesOfAnything(t *testing.T) {
	loop := past(t)
	put(t, loop, "a", store.FormatOpaque, "one\ntwo\nthree\n")
	put(t, loop, "a", store.FormatOpaque, "one\n2\nthree\nfour")
	d := differ(t, loop, "")
	require.True(t, d.ByLine)
	require.Equal(t, []int{1, 1, 0, 1}, []int{d.Before, d.Added, d.Removed, d.Changed})
	require.Equal(t, "2", d.Rows[0].To.Parts[0].Text)

	put(t, loop, "a", store.FormatLines, lineOf("user", "a")+"\n")
	d = differ(t, loop, "&from=2&to=3")
	require.True(t, d.ByLine)
	require.Equal(t, []int{0, 0, 3, 1}, []int{d.Before, d.Added, d.Removed, d.Changed})
	require.Equal(t, "replaced", d.Rows[0].Kind)

	d = differ(t, loop, "&from=0&to=1")
	require.Equal(t, []int{0, 3, 0, 0}, []int{d.Before, d.Added, d.Removed, d.Changed})
	d = differ(t, loop, "&from=3&to=3")
	require.Equal(t, []int{1, 0}, []int{d.Before, d.Count})
	d = differ(t, loop, "&from=3&to=1")
	require.Equal(t, 2, d.Added)

	var many []string
	for n := range 3_000 {
		many = append(many, lineOf("user", fmt.Sprint("message ", n)))
	}
	put(t, loop, "b", store.FormatLines, asFormat(store.FormatLines, many, ""))
	put(t, loop, "a", store.FormatLines, asFormat(store.FormatLines, many[:1], ""))
	put(t, loop, "a", store.FormatLines, asFormat(store.FormatLines, many, ""))
	d = differ(t, loop, "")
	require.Equal(t, []int{1, 2_999, 0, 0}, []int{d.Before, d.Added, d.Removed, d.Changed})
	seen, skip := 1, 0
	for seen < 3_000 {
		for _, row := range d.Rows {
			require.Equal(t, seen+1, row.To.Number)
			seen++
		}
		skip += len(d.Rows)
		d = differ(t, loop, fmt.Sprint("&skip=", skip))
	}
	second := get(t, inspect.Handler(loop, inspect.Options{Payloads: true}), "/diff?id=a&skip=50").Body.String()
	require.Contains(t, second, "51 to 100 of 2,999")
	require.Equal(t, "/diff?from=4&id=a&to=5", linked(t, second, "First"))
	require.Equal(t, "/diff?from=4&id=a&skip=100&to=5", linked(t, second, "Next"))
	slices.Reverse(many)
	put(t, loop, "a", store.FormatLines, asFormat(store.FormatLines, many, ""))
	require.True(t, differ(t, loop, "").Limited)
}

// Each receipt, run and version leads to what it changed, if that is kept.
func TestWhatChangedIsLinkedTo(t *testing.T) {
	loop := past(t)
	commit := func(n int, run store.RunID) {
		_, err := loop.CommitSessionBoundary(t.Context(), "a", store.BoundaryCommit{
			Session: store.SessionDelta{SessionSnapshot: []byte(lineOf("user", fmt.Sprint("message ", n)) + "\n"), Format: store.FormatLines, Append: true},
			RunID:   run, Boundary: store.RunCheckpoint,
		})
		require.NoError(t, err)
	}
	other := uuidOf(store.ParseRunID, 2)
	commit(1, run)
	commit(2, other)
	commit(3, other)
	h := inspect.Handler(loop, inspect.Options{Payloads: true})
	body := get(t, h, "/run?id=a&run="+other.String()).Body.String()
	whole := linked(t, body, "What changed in the session with this run")
	require.Equal(t, "/diff?from=1&id=a&to=3", whole)
	body = get(t, h, whole).Body.String()
	require.Contains(t, body, "message 2")
	require.Contains(t, body, "message 3")
	require.Contains(t, body, `1 message</a> at the beginning, unchanged`)
	body = get(t, h, "/run?id=a&sequence=1&run="+other.String()).Body.String()
	require.Equal(t, "/diff?from=2&id=a&to=3", linked(t, body, "what changed here"))
	require.Contains(t, get(t, h, "/runtime?id=a").Body.String(), `href="diff?from=0&amp;id=a&amp;to=1"`)
	require.Equal(t, "/diff?from=2&id=a&to=3", linked(t, get(t, h, "/versions?id=a").Body.String(), "what changed"))
	require.Equal(t, "/diff?from=1&id=a&to=2", linked(t, get(t, h, "/version?id=a&number=2").Body.String(), "What changed with it"))

	put(t, loop, "a", store.FormatLines, "")
	body = get(t, h, "/diff?id=a").Body.String()
	require.Contains(t, body, "<strong>3</strong> removed")
	hidden := get(t, inspect.Handler(loop, inspect.Options{}), "/diff?id=a&from=0&to=2").Body.String()
	require.NotContains(t, hidden, "message 1")
	require.Contains(t, hidden, "hidden")

	unkept := loopstore.New(loopstore.Options{})
	defer unkept.Close()
	put(t, unkept, "a", store.FormatLines, "1\n")
	put(t, unkept, "a", store.FormatLines, "2\n")
	require.Contains(t, get(t, inspect.Handler(unkept, inspect.Options{}), "/versions?id=a").Body.String(), "not kept")
}
