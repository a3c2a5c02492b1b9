//go:build !race

package session_test

import (
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/session"
)

// allocated returns how many bytes were allocated in all, live and garbage. No
// peak can be higher, whenever the garbage is collected.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// hostile returns documents of some size whose parts are as small, as many, as
// deep and as far from canonical as may be.
func hostile(size int) map[string]string {
	fill := func(part string) string { return strings.Repeat(part, size/len(part)) }
	list := func(part string) string { return "[" + strings.TrimSuffix(fill(part+","), ",") + "]" }
	object := func(member string) string { return "{" + strings.TrimSuffix(fill(member+","), ",") + "}" }
	nest := func(open, end string, n int) string { return strings.Repeat(open, n) + "0" + strings.Repeat(end, n) }
	raw := func(text string) string {
		return `{"$serde_json::private::RawValue":"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"}`
	}
	rising := func(part string) string { // strings that are each longer than all before
		var all []string
		for n := size; n > len(part); n = n * 2 / 3 {
			all = append(all, `"`+strings.Repeat(part, n/3/len(part))+`"`)
		}
		slices.Reverse(all)
		return "[" + strings.Join(all, ",") + "]"
	}
	risingRaw := strings.ReplaceAll(strings.ReplaceAll(rising("x"), `"x`, `{"$serde_json::private::RawValue":"\"x`), `x"`, `x\""}`)
	texts := map[string]string{
		"names":             object(`"":0`),
		"descending":        `{"b":` + object(`"b":0,"a":0`) + `,"a":0}`,
		"objects":           list(`{"":0}`),
		"empty objects":     list(`{}`),
		"empty arrays":      list(`[]`),
		"nested objects":    list(nest(`{"b":0,"":`, "}", 110)),
		"nested arrays":     list(nest("[", "]", 110)),
		"floats":            list(`1e15`),
		"long floats":       list(`7e23`),
		"digits":            "[ 0." + fill("0") + "]",
		"text":              `"` + fill("x") + `"`,
		"escapes":           `"` + fill(`\u0041`) + `"`,
		"short escapes":     `"` + fill(`\n`) + `\/"`,
		"a long name":       `{"` + fill(`\n`) + `":1,"a":2}`,
		"rising escapes":    rising(`\n`),
		"rising characters": rising(`\u0001`),
		"raw values":        list(raw("1")),
		"raw names":         raw(object(`"":0`)),
		"raw raw names":     raw(raw(object(`"":0`))),
		"raw raw raw":       raw(raw(raw(list("1")))), // is refused
		"rising raw values": risingRaw,
	}
	documents := make(map[string]string)
	for name, text := range texts {
		documents["args, "+name] = document(args(text))
		documents["args out of order, "+name] = document(`[{"role":"assistant","usage":[0,0,null,null],"stop_reason":"end_turn","content":"","tool_calls":[["","",` + text + `]]}]`)
		documents["metadata, "+name] = strings.Replace(document("[]"), `"metadata":{}`, `"metadata":{"":`+text+`}`, 1)
		documents["unknown, "+name] = strings.Replace(document("[]"), `"metadata"`, `"unknown":`+text+`,"metadata"`, 1)
		documents["unknown in a message, "+name] = document(`[{"role":"user","unknown":` + text + `,"content":"a"}]`)
	}
	maps.Copy(documents, map[string]string{
		"id":           strings.Replace(document("[]"), "-0000-", fill(`\u002d`), 1),
		"deep unknown": strings.Replace(document("[]"), `"metadata"`, `"unknown":`+nest(`[{"":`, "}]", size/8)+`,"metadata"`, 1),
		"brackets":     fill("["),
		"members":      object(`"":0`),
		"messages":     document(list(`["user",""]`)),
		"any messages": document(list(`["assistant","",[],"end_turn",[0,0,null,null]],{"content":"","role":"user"},{"role":"user","content":""}`)),
		"results":      document(`[["tool_results",` + list(`["",""]`) + `]]`),
		"calls":        document(`[["assistant","",` + list(`["","",0]`) + `,"end_turn",[0,0,null,null]]]`),
		"mixed calls":  document(`[{"tool_calls":` + list(`{"args":{"b":0,"a":0},"name":"","id":""}`) + `,"content":"","stop_reason":"end_turn","usage":[0,0,null,null],"role":"assistant"}]`),
		"blocks":       document(`[["block_assistant",` + list(`["reasoning",{"meta":[2,""]}]`) + `,"end_turn"]]`),
	})
	return documents
}

// SECURITY.md states the bound: 8 bytes for each byte that is read.
func TestReadingTakesBoundedMemory(t *testing.T) {
	for name, text := range hostile(1 << 17) {
		t.Run(name, func(t *testing.T) {
			var err error
			taken := allocated(func() { _, err = session.Read(text) })
			t.Logf("%.2f bytes for a byte, %v", float64(taken)/float64(len(text)), err)
			assert.LessOrEqual(t, taken, uint64(8*len(text)))
		})
	}
}

// Appending takes memory for one part and the lists that it is on, whatever there is.
func TestTextAppendTakesOnePart(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	more := chat(r, 1<<10)
	for _, size := range []int{1 << 20, 10 << 20} {
		text := session.TextOf(chat(r, size))
		before := slices.Collect(text.Parts())
		taken := allocated(func() { text = text.Append(more) })
		t.Logf("%d bytes at %d MB", taken, size>>20)
		assert.LessOrEqual(t, taken, uint64(3*session.MaxBytes))
		after := slices.Collect(text.Parts())
		for i := range before[:len(before)-1] {
			require.Same(t, unsafe.StringData(before[i]), unsafe.StringData(after[i]))
		}
	}
}

// So it is for the other formats, however much there is.
func TestReadingLinesTakesBoundedMemory(t *testing.T) {
	fill := func(like string) string { return strings.Repeat(like, 10<<20/len(like)) }
	for name, text := range map[string]string{
		"numbers":       fill("1\n"),
		"objects":       fill(`{"":0}` + "\n"),
		"messages":      fill(`{"role":"user","content":"What is the weather?"}` + "\n"),
		"one string":    `"` + fill("x") + "\"\n",
		"escapes":       `"` + fill(`\u0041`) + "\"\n",
		"one array":     "[" + fill("0,") + "0]\n",
		"names":         "{" + fill(`"":0,`) + `"":0}` + "\n",
		"long names":    fill(`{"` + strings.Repeat(`\n`, 500) + `":{"` + strings.Repeat("x", 5000) + `":0}}` + "\n"),
		"deep":          fill(nested(10_000) + "\n"),
		"deep objects":  fill(strings.Repeat(`{"a":`, 9_999) + "[]" + strings.Repeat("}", 9_999) + "\n"),
		"blank":         fill("\n"),
		"spaces":        fill(" "),
		"too deep":      fill("["),
		"over lines":    fill("[\n"),
		"no UTF-8":      fill("{}\n") + "\xff",
		"no line's end": fill("{}\n") + "{}",
	} {
		t.Run(name, func(t *testing.T) {
			for _, format := range []session.Format{session.FormatLines, session.FormatOpaque, session.FormatUnset} {
				var d *session.Document
				taken := allocated(func() { d, _ = d.Replace(format, text, 0) })
				t.Logf("%v: %.2f bytes for a byte", format, float64(taken)/float64(len(text)))
				assert.LessOrEqual(t, taken, uint64(2*len(text)))
				if d != nil { // and what is read again takes nearly none
					taken = allocated(func() { _, _ = d.Replace(format, text, 0) })
					assert.LessOrEqual(t, taken, uint64(64<<10))
				}
			}
		})
	}
}
