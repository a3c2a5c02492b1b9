//go:build !race

package archive_test

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/archive"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/session"
	"github.com/loopstore/loopstore/store/state"
)

// hostileFiles returns files with right checks, each of which repeats one thing
// until it has some size. Some are refused for it, at its end.
func hostileFiles(t *testing.T, size int) map[string][]byte {
	files := make(map[string][]byte)
	fill := func(part string) string { return strings.Repeat(part, size/len(part)) }
	list := func(part string) string { return "[" + strings.TrimSuffix(fill(part+","), ",") + "]" }
	for version, file := range map[string][]byte{"": sample(t), "version 1, ": sampleOfVersion1(t)} {
		for name, altered := range hostileLines(t, file, size) {
			files[version+name] = altered
		}
	}
	const head = `{"id":"09000000-0000-0000-0000-000000000000","messages":[`
	const tail = `],"created_at":[1,2],"updated_at":[3,4]}`
	for name, messages := range map[string]string{
		"names":    `["assistant","",[["","",{` + fill(`"":0,`) + `"":0}]],"end_turn",[0,0,null,null]]`,
		"escapes":  `["user","` + fill(`\n`) + `\/"]`,
		"results":  `["tool_results",` + list(`["",""]`) + `]`,
		"messages": fill(`["user",""],`) + `["user",""]`,
	} {
		text := head + messages + tail
		files["document, "+name] = holding(t, batch.PutSnapshot{RuntimeID: "a", Snapshot: []byte(text), Format: store.FormatMeerkat})
		d, err := session.Read(text)
		require.NoError(t, err)
		lines := unseal(sampleOfVersion1(t))
		quoted, err := json.Marshal(text)
		require.NoError(t, err)
		lines[2] = fmt.Sprintf(`{"type":"snapshot","digest":%q,"messages":%d,"text":%s`, d.HexDigest(), d.MessageCount(), quoted)
		files["version 1, document, "+name] = sealAll(lines)
	}
	for name, text := range map[string]string{
		"short": fill("0\n"), "one": `"` + fill("x") + `"` + "\n", "escapes": `"` + fill(`\n`) + `"` + "\n",
		"arrays": fill(strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + "\n"), "objects": "{" + fill(`"":0,`) + `"":0}` + "\n",
	} {
		files["lines, "+name] = holding(t, batch.PutSnapshot{RuntimeID: "a", Snapshot: []byte(text), Format: store.FormatLines})
	}
	for name, text := range map[string]string{"bytes": fill("\xff"), "controls": fill("\x00")} {
		files["opaque, "+name] = holding(t, batch.PutSnapshot{RuntimeID: "a", Snapshot: []byte(text), Format: store.FormatOpaque})
	}
	var runtimes, states, sessions state.State
	for n := range size / 400 {
		perform(&runtimes, ops.PersistRuntimeState{RuntimeID: store.RuntimeID(fmt.Sprint(n)), State: store.RuntimeIdle})
		perform(&states, ops.PersistInputState{RuntimeID: "a", State: store.NewInputState(store.NewInputID(), store.Time{})})
		sessions.PutSession("a", store.NewSessionID(), new(snapshotIn(t, store.FormatOpaque, leaf("x"), uint64(n))))
	}
	sessions.Settle()
	files["runtimes"], files["input states"], files["sessions"] = write(t, &runtimes), write(t, &states), write(t, &sessions)
	files["no line"] = append(seal(nil, unseal(sample(t))[0]), fill("x")...)
	for name, held := range hostilePasts(t, size) {
		held.Settle()
		files["past, "+name] = write(t, held)
	}
	return files
}

// holding returns a file with one snapshot.
func holding(t *testing.T, put batch.PutSnapshot) []byte {
	var held state.State
	_, err := ops.Run(&held, ops.Commit{Batch: batch.Batch{Then: []batch.Write{put}}})
	require.NoError(t, err)
	return write(t, &held)
}

// hostileLines returns files in which one line is as long as may be.
func hostileLines(t *testing.T, file []byte, size int) map[string][]byte {
	fill := func(part string) string { return strings.Repeat(part, size/len(part)) }
	list := func(part string) string { return "[" + strings.TrimSuffix(fill(part+","), ",") + "]" }
	const id = `"01000000-0000-0000-0000-000000000000"`
	files := make(map[string][]byte)
	for name, c := range map[string]struct{ kind, old, new string }{
		"payload text":        {"input_state", `"recovery_count":0`, `"recovery_count":0,"persisted_input":"` + fill("x") + `"`},
		"payload names":       {"input_state", `"recovery_count":0`, `"recovery_count":0,"persisted_input":{` + fill(`"":0,`) + `"":0}`},
		"payload arrays":      {"input_state", `"recovery_count":0`, `"recovery_count":0,"persisted_input":` + list(strings.Repeat("[", 8000)+strings.Repeat("]", 8000))},
		"payload numbers":     {"input_state", `"recovery_count":0`, `"recovery_count":0,"persisted_input":` + list("1e9")},
		"spaced payload":      {"input_state", `"{ }"`, `"[` + fill("1 ,") + `1]"`},
		"spaced payload text": {"input_state", `"{ }"`, `"[` + fill(`\"\",`) + ` 1]"`},
		"escaped spaces":      {"input_state", `"{ }"`, `"` + fill(`\t`) + `1"`},
		"key":                 {"input_state", `"attempt_count":0`, `"idempotency_key":"` + fill(`\u0001`) + `","attempt_count":0`},
		"history":             {"input_state", `"recovery_count":0`, `"recovery_count":0,"history":` + list(`{"timestamp":"2026-03-12T16:37:06Z","from":"queued","to":"queued"}`)},
		"reasons":             {"input_state", `"recovery_count":0`, `"recovery_count":0,"history":` + list(`{"timestamp":"2026-03-12T16:37:06Z","from":"queued","to":"queued","reason":"\n"}`)},
		"source ids":          {"input_state", `"recovery_count":0`, `"recovery_count":0,"reconstruction_source":{"source_type":"coalescing","source_input_ids":` + list(id) + `}`},
		"unknown members":     {"input_state", `"state":{`, `"state":{` + fill(`"x":0,`)},
		"states":              {"input_state", `"state":{`, fill(`"state":null,`) + `"state":{`},
		"unknown in the line": {"input_state", `"state":{`, fill(`"":0,`) + `"state":{`},
		"contributing ids":    {"receipt", `"contributing_input_ids":[`, `"contributing_input_ids":[` + fill(id+",") + id},
		"receipt's digest":    {"receipt", `"message_count":0`, `"conversation_digest":"` + fill(`\n`) + `","message_count":0`},
		"base64":              {"", `"/w=="`, `"` + fill("////") + `/w=="`},
		"text":                {"", `"base64":"/w=="`, `"text":"` + fill(`\u0001`) + `"`},
		"text of quotes":      {"", `"base64":"/w=="`, `"text":"` + fill(`\"`) + `"`},
		"runtime id":          {"runtime", `"runtime_id":""`, `"runtime_id":"` + fill(`\n`) + `"`},
		"listed":              {"part", `"parts":[3,4]`, `"parts":[` + fill("3,") + `4]`},
		"origin":              {"runtime", `"number":1}`, `"number":1` + fill(`,"":0`) + `}`},
		"digest":              {"version", `"digest":"`, `"digest":"` + fill(`\n`)},
	} {
		lines := unseal(file)
		at := slices.IndexFunc(lines, func(line string) bool {
			return strings.HasPrefix(line, `{"type":"`+c.kind) && strings.Contains(line, c.old)
		})
		if at < 0 { // what version 1 does not have
			require.Contains(t, []string{"listed", "origin", "digest"}, name)
			continue
		}
		lines[at] = strings.Replace(lines[at], c.old, c.new, 1)
		if c.kind == "input_state" && c.old != `"{ }"` {
			lines[at] = strings.Replace(lines[at], `,"persisted_input":"{ }"`, "", 1)
		}
		files[name] = sealAll(lines)
	}
	return files
}

// hostilePasts returns States with sessions in parts that nobody cuts so.
func hostilePasts(t *testing.T, size int) map[string]*state.State {
	pasts := make(map[string]*state.State)
	put := func(name string, n int, next func(n uint64) store.Snapshot) {
		held := new(state.State)
		for i := range n {
			held.PutSessionVersion("a", state.SessionVersion{Number: uint64(i) + 1, Snapshot: next(uint64(i))})
		}
		pasts[name] = held
	}
	// big has texts in parts of up to 16 KiB, in one list.
	big := func(text string) *session.Part {
		var parts []*session.Part
		for chunk := range slices.Chunk([]byte(text), session.MaxBytes) {
			parts = append(parts, leaf(string(chunk)))
		}
		return session.ListOf(parts)
	}
	listOfOne := func(text string) *session.Part { return session.ListOf([]*session.Part{leaf(text)}) }
	put("nothing", size/75, func(n uint64) store.Snapshot { return store.Snapshot{} })
	put("no lines", size/190, func(n uint64) store.Snapshot { return snapshotIn(t, store.FormatLines, nil, 0) })
	put("no bytes", size/190, func(n uint64) store.Snapshot { return snapshotIn(t, store.FormatOpaque, nil, n) })
	put("a byte each", size/150, func(n uint64) store.Snapshot { return snapshotIn(t, store.FormatUnset, leaf("x"), 0) })
	put("a line each", size/260, func(n uint64) store.Snapshot { return snapshotIn(t, store.FormatLines, leaf("0\n"), 0) })
	put("lists of one", 1, func(n uint64) store.Snapshot { return snapshotIn(t, store.FormatUnset, tower(size/70), 0) })
	put("tiny parts", 1, func(n uint64) store.Snapshot {
		level := make([]*session.Part, size/75)
		for i := range level {
			level[i] = leaf("x")
		}
		for len(level) > 1 {
			var above []*session.Part
			for listed := range slices.Chunk(level, session.MaxParts) {
				above = append(above, session.ListOf(slices.Clone(listed)))
			}
			level = above
		}
		return snapshotIn(t, store.FormatUnset, level[0], 0)
	})
	var few []*session.Part
	for range session.MaxParts {
		few = append(few, leaf("x"))
	}
	put("lists of the same", size/300, func(n uint64) store.Snapshot {
		return snapshotIn(t, store.FormatUnset, session.ListOf(slices.Clone(few)), 0)
	})
	// What is large here is read once for each version, and some of it with buffers that
	// must grow for the second and the third.
	for of, c := range map[string]struct{ size, versions int }{"many ": {size / 8, size / 5000}, "growing ": {size, 3}} {
		fill := func(part string) string { return strings.Repeat(part, c.size/len(part)) }
		for name, line := range map[string]string{
			"deep lines": fill(strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + "\n"),
			"long lines": `"` + fill("x") + `"` + "\n",
		} {
			rest := big(line)
			put(of+name, c.versions, func(n uint64) store.Snapshot {
				head := listOfOne(strings.Repeat(" ", int(n)) + "0\n")
				return snapshotIn(t, store.FormatLines, session.ListOf([]*session.Part{head, rest}), 0)
			})
		}
		for name, message := range map[string]string{
			"escapes":  `["user","` + fill(`\n`) + `\/"]`,
			"spaces":   `["user" ,"` + fill(" ") + `"]`,
			"names":    `["assistant","",[["","",{` + fill(`"":0,`) + `"":0}]],"end_turn",[0,0,null,null]]`,
			"results":  `["tool_results",[` + fill(`["",""],`) + `["",""]]]`,
			"raw args": `["assistant","",[["","",{"$serde_json::private::RawValue":"[` + fill(`\n`) + `]"}]],"end_turn",[0,0,null,null]]`,
		} {
			rest := big(message + `],"created_at":[1,2],"updated_at":[3,4]}`)
			put(of+"documents of "+name, c.versions, func(n uint64) store.Snapshot {
				head := fmt.Sprintf(`%s{"id":"09000000-0000-0000-0000-000000000000","messages":[["user","%d"],`, strings.Repeat(" ", int(n)), n)
				return snapshotIn(t, store.FormatMeerkat, session.ListOf([]*session.Part{listOfOne(head), rest}), 0)
			})
		}
	}
	return pasts
}

// tower returns lists of one part in one another, side by side.
func tower(parts int) *session.Part {
	var all []*session.Part
	for range min(parts/15, session.MaxParts) {
		p := leaf("x")
		for range 15 {
			p = session.ListOf([]*session.Part{p})
		}
		all = append(all, p)
	}
	return session.ListOf(all)
}

// SECURITY.md states the bound: 8 bytes for each byte that is read. All that is
// allocated is counted, live and garbage: no peak can be higher, whenever the
// garbage is collected.
func TestReadingTakesBoundedMemory(t *testing.T) {
	for name, file := range hostileFiles(t, 1<<19) {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := archive.Read(bytes.NewReader(file))
			runtime.ReadMemStats(&after)
			taken := after.TotalAlloc - before.TotalAlloc
			t.Logf("%s: %.2f bytes for a byte, %v", name, float64(taken)/float64(len(file)), err)
			assert.LessOrEqual(t, taken, uint64(8*len(file)))
		})
	}
}
