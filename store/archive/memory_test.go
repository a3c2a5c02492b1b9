//go:build !race

package archive_test

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/archive"
	"github.com/loopstore/loopstore/store/state"
)

// hostileFiles returns files with right checks, each of which repeats one thing
// until it has some size. Some are refused for it, at its end.
func hostileFiles(t *testing.T, size int) map[string][]byte {
	lines := unseal(sample(t))
	fill := func(part string) string { return strings.Repeat(part, size/len(part)) }
	list := func(part string) string { return "[" + strings.TrimSuffix(fill(part+","), ",") + "]" }
	const id = `"01000000-0000-0000-0000-000000000000"`
	files := make(map[string][]byte)
	for name, c := range map[string]struct {
		line     int
		old, new string
	}{
		"payload text":        {4, `"recovery_count":0`, `"recovery_count":0,"persisted_input":"` + fill("x") + `"`},
		"payload names":       {4, `"recovery_count":0`, `"recovery_count":0,"persisted_input":{` + fill(`"":0,`) + `"":0}`},
		"payload arrays":      {4, `"recovery_count":0`, `"recovery_count":0,"persisted_input":` + list(strings.Repeat("[", 8000)+strings.Repeat("]", 8000))},
		"payload numbers":     {4, `"recovery_count":0`, `"recovery_count":0,"persisted_input":` + list("1e9")},
		"spaced payload":      {4, `"{ }"`, `"[` + fill("1 ,") + `1]"`},
		"spaced payload text": {4, `"{ }"`, `"[` + fill(`\"\",`) + ` 1]"`},
		"escaped spaces":      {4, `"{ }"`, `"` + fill(`\t`) + `1"`},
		"key":                 {4, `"attempt_count":0`, `"idempotency_key":"` + fill(`\u0001`) + `","attempt_count":0`},
		"history":             {4, `"recovery_count":0`, `"recovery_count":0,"history":` + list(`{"timestamp":"2026-03-12T16:37:06Z","from":"queued","to":"queued"}`)},
		"reasons":             {4, `"recovery_count":0`, `"recovery_count":0,"history":` + list(`{"timestamp":"2026-03-12T16:37:06Z","from":"queued","to":"queued","reason":"\n"}`)},
		"source ids":          {4, `"recovery_count":0`, `"recovery_count":0,"reconstruction_source":{"source_type":"coalescing","source_input_ids":` + list(id) + `}`},
		"unknown members":     {4, `"state":{`, `"state":{` + fill(`"x":0,`)},
		"states":              {4, `"state":{`, fill(`"state":null,`) + `"state":{`},
		"unknown in the line": {4, `"state":{`, fill(`"":0,`) + `"state":{`},
		"contributing ids":    {6, `"contributing_input_ids":[`, `"contributing_input_ids":[` + fill(id+",") + id},
		"receipt's digest":    {11, `"message_count"`, `"conversation_digest":"` + fill(`\n`) + `","message_count"`},
		"base64":              {8, `"/w=="`, `"` + fill("////") + `/w=="`},
		"text":                {8, `"base64":"/w=="`, `"text":"` + fill(`\u0001`) + `"`},
		"text of quotes":      {8, `"base64":"/w=="`, `"text":"` + fill(`\"`) + `"`},
		"runtime id":          {7, `"runtime_id":""`, `"runtime_id":"` + fill(`\n`) + `"`},
	} {
		altered := append([]string(nil), lines...)
		require.Contains(t, altered[c.line-1], c.old, name)
		altered[c.line-1] = strings.Replace(altered[c.line-1], c.old, c.new, 1)
		if c.line == 4 && c.old != `"{ }"` {
			altered[3] = strings.Replace(altered[3], `,"persisted_input":"{ }"`, "", 1)
		}
		files[name] = sealAll(altered)
	}
	const head = `{"id":"09000000-0000-0000-0000-000000000000","messages":[`
	const tail = `],"created_at":[1,2],"updated_at":[3,4]}`
	for name, messages := range map[string]string{
		"names":    `["assistant","",[["","",{` + fill(`"":0,`) + `"":0}]],"end_turn",[0,0,null,null]]`,
		"escapes":  `["user","` + fill(`\n`) + `\/"]`,
		"results":  `["tool_results",` + list(`["",""]`) + `]`,
		"messages": fill(`["user",""],`) + `["user",""]`,
	} {
		var held state.State
		perform(&held, ops.CommitSessionBoundary{RuntimeID: "a", Commit: store.BoundaryCommit{
			Session: store.SessionDelta{SessionSnapshot: []byte(head + messages + tail)}, Boundary: store.RunStart,
		}})
		require.NotNil(t, held.Snapshot("a"))
		files["document, "+name] = write(t, &held)
	}
	var runtimes, states state.State
	for n := range size / 400 {
		perform(&runtimes, ops.PersistRuntimeState{RuntimeID: store.RuntimeID(fmt.Sprint(n)), State: store.RuntimeIdle})
		perform(&states, ops.PersistInputState{RuntimeID: "a", State: store.NewInputState(store.NewInputID(), store.Time{})})
	}
	files["runtimes"], files["input states"] = write(t, &runtimes), write(t, &states)
	files["no line"] = append(seal(nil, lines[0]), fill("x")...)
	return files
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
