package inspect_test

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/inspect"
	"github.com/loopstore/loopstore/store/storetest"
)

// most is how many bytes a page may have.
const most = 300_000

func put(t testing.TB, loop *loopstore.Loop, id store.RuntimeID, format store.Format, text string) {
	t.Helper()
	_, err := loop.Commit(t.Context(), batch.Batch{Then: []batch.Write{batch.PutSnapshot{RuntimeID: id, Snapshot: []byte(text), Format: format}}})
	require.NoError(t, err)
}

func past(t testing.TB) *loopstore.Loop {
	return storetest.New(t, loopstore.Options{Retention: store.Retention{Sessions: store.Keep{Last: 100}}})
}

// numbers returns the numbers of the messages that a page shows.
func numbers(body string) (all []int) {
	for _, found := range regexp.MustCompile(`<li id="m(\d+)"`).FindAllStringSubmatch(body, -1) {
		n, _ := strconv.Atoi(found[1])
		all = append(all, n)
	}
	return all
}

// linked returns the address that a page links to with a text.
func linked(t testing.TB, body, text string) string {
	t.Helper()
	found := regexp.MustCompile(`href="([^"]+)"[^>]*>` + text + `</a>`).FindStringSubmatch(body)
	require.NotNil(t, found, "no link %q", text)
	return "/" + html.UnescapeString(found[1])
}

// A conversation of any length is read page by page, from its end or from its beginning,
// and no message is missed, however much they say.
func TestLongConversationsComeInPages(t *testing.T) {
	for _, format := range []store.Format{store.FormatLines, store.FormatMeerkat, store.FormatUnset} {
		loop := past(t)
		const many = 130
		var lines []string
		for n := range many {
			text := fmt.Sprintf("message %d %s", n+1, strings.Repeat(`<"&+'>`, n%7*3*n))
			line, err := json.Marshal(map[string]string{"role": "user", "content": text})
			require.NoError(t, err)
			lines = append(lines, string(line))
		}
		text := strings.Join(lines, "\n") + "\n"
		if format != store.FormatLines {
			text = strings.Replace(secretSnapshot, `{"role":"user","content":"`+secretMessage+`"}`, strings.Join(lines, " , "), 1)
		}
		put(t, loop, "a", format, text)
		h := inspect.Handler(loop, inspect.Options{Payloads: true})
		seen := map[string][]int{}
		for direction, start := range map[string]string{"Earlier": "/transcript?id=a", "Later": "/transcript?id=a&from=1"} {
			for target := start; ; {
				body := get(t, h, target).Body.String()
				require.Less(t, len(body), most)
				page := numbers(body)
				require.NotEmpty(t, page)
				for _, n := range page {
					require.Contains(t, body, fmt.Sprintf("message %d ", n))
				}
				if direction == "Earlier" {
					seen[direction] = append(page, seen[direction]...)
				} else {
					seen[direction] = append(seen[direction], page...)
				}
				if !strings.Contains(body, ">"+direction+"</a>") {
					break
				}
				target = linked(t, body, direction)
			}
		}
		var all []int
		for n := range many {
			all = append(all, n+1)
		}
		require.Equal(t, all, seen["Earlier"])
		require.Equal(t, all, seen["Later"])
		body := get(t, h, "/transcript?id=a&from=1").Body.String()
		require.Equal(t, numbers(get(t, h, "/transcript?id=a").Body.String()), numbers(get(t, h, linked(t, body, "Latest")).Body.String()))
		require.Equal(t, lines[99], get(t, h, "/raw?id=a&message=100").Body.String())
	}
}

// What a text says is known whatever its format, and any other text is shown as one.
func TestConversationsOfAnyFormat(t *testing.T) {
	const one = `{"role":"user","content":"canary"}`
	for name, test := range map[string]struct {
		text string
		says string
	}{
		"lines":            {one + "\n" + one + "\n", "2 messages"},
		"lines, cut":       {one + "\r\n\r\n" + one + "\n" + one[:20], "3 messages"},
		"an array":         {"[" + one + ",\n" + one + "]", "2 messages"},
		"an object":        {`{"model":"x","messages":[` + one + `]}`, "1 message,"},
		"contents":         {`{"contents":[{"role":"user","parts":[{"text":"canary"}]}]}`, "1 message,"},
		"a message":        {one, "1 message,"},
		"a text":           {"canary, nothing else", "is no conversation"},
		"other JSON":       {`{"canary":[1,2,3]}`, "is no conversation"},
		"numbers":          {`[1,2,"canary"]`, "is no conversation"},
		"no messages":      {`{"messages":[],"x":"canary"}`, "is no conversation"},
		"messages, a text": {`{"messages":"canary"}`, "is no conversation"},
		"deep":             {`{"canary":` + strings.Repeat("[", 100_000), "is no conversation"},
		"not UTF-8":        {"canary \xff\xfe\x00", "is no conversation"},
		"nothing in it":    {"canary\n\n\n", "is no conversation"},
	} {
		t.Run(name, func(t *testing.T) {
			loop := past(t)
			for _, format := range []store.Format{store.FormatUnset, store.FormatOpaque} {
				put(t, loop, "a", format, test.text)
				body := get(t, inspect.Handler(loop, inspect.Options{Payloads: true}), "/transcript?id=a").Body.String()
				require.Contains(t, body, test.says)
				require.Contains(t, body, "canary")
				body = get(t, inspect.Handler(loop, inspect.Options{}), "/transcript?id=a").Body.String()
				require.NotContains(t, body, "canary")
				require.Contains(t, body, "hidden")
			}
		})
	}
}

// A result stands beside its call, a call that waits says so, and reasoning is folded.
func TestCallsHaveTheirResultsBeside(t *testing.T) {
	loop := past(t)
	put(t, loop, "a", store.FormatLines, strings.Join([]string{
		`{"role":"assistant","content":[{"type":"thinking","thinking":"canary-thought"},{"type":"tool_use","id":"1","name":"first","input":{}},{"type":"tool_use","id":"2","name":"second","input":{}}]}`,
		`{"role":"tool","tool_call_id":"2","content":"canary-second"}`,
		`{"role":"tool","tool_call_id":"nobody","content":"canary-lost"}`,
		`{"role":"assistant","tool_calls":[{"id":"2","function":{"name":"second","arguments":"{}"}}]}`,
		`{"role":"tool","tool_call_id":"2","content":"canary-again"}`,
		`{"role":"model","parts":[{"functionCall":{"name":"third","args":{}}}]}`,
		`{"role":"user","parts":[{"functionResponse":{"name":"third","response":{"error":"canary-third"}}},{"text":"canary-beside"}]}`,
	}, "\n")+"\n")
	h := inspect.Handler(loop, inspect.Options{Payloads: true})
	body := get(t, h, "/transcript?id=a").Body.String()
	require.Equal(t, []int{1, 2, 3, 4, 5, 6, 7}, numbers(body))
	items := regexp.MustCompile(`(?s)<li id="m\d+".*?</li>`).FindAllString(body, -1)
	for i, parts := range [][]string{
		{"canary-thought", "no result yet", "canary-second"}, {"beside their calls"}, {"canary-lost", "of <span class=\"id\">nobody"}, {"canary-again"},
		{"beside their calls"}, {"canary-third"}, {"A result that stands beside its call", "canary-beside"},
	} {
		for _, part := range parts {
			require.Contains(t, items[i], part)
			require.Equal(t, 1, strings.Count(body, part)/max(strings.Count(part, "beside their")*2, 1), part)
		}
	}
	require.Regexp(t, `(?s)<details data-key="r1-0"><summary>Reasoning.*canary-thought.*</details>`, items[0])
	require.Regexp(t, `(?s)first.*no result yet.*second.*canary-second`, items[0])
	body = get(t, h, "/transcript?id=a&number=1&from=4").Body.String()
	require.Contains(t, body, `href="message?id=a&amp;message=4&amp;number=1"`, "of this version")
	body = get(t, h, "/message?id=a&message=1").Body.String()
	require.Contains(t, body, "its result is not on this page")
}

// A long text is cut, with a link to more of it, and from there to all of it.
func TestLongMessagesAreCut(t *testing.T) {
	loop := past(t)
	text := strings.Repeat("0123456789", 10_000)
	put(t, loop, "a", store.FormatLines, fmt.Sprintf(`{"role":"user","content":%q}`+"\n", text)+
		`{"role":"user","content":[{"type":"image","source":{"media_type":"image/png","data":"`+strings.Repeat("canary", 100_000)+`"}}]}`+"\n"+
		`{"role":"user","content":[`+strings.Repeat(`"part",`, 100)+`"part"]}`+"\n"+
		`{"role":"user","content":"`+strings.Repeat("x", 9<<20)+`"}`+"\n")
	h := inspect.Handler(loop, inspect.Options{Payloads: true})
	body := get(t, h, "/transcript?id=a").Body.String()
	require.Contains(t, body, "The first 4.00 kB of 100 kB.")
	require.NotContains(t, body, text[:4001])
	require.NotContains(t, body, "canary")
	require.Contains(t, body, `<span class="id">image/png</span> 450 kB`)
	require.Equal(t, 60, strings.Count(body, ">part</div>"))
	require.Contains(t, body, "41 more parts")
	require.Contains(t, body, "not understood", "a message that is too long is shown as it stands")
	require.Less(t, len(body), most)

	target := linked(t, body, "More of it")
	require.Equal(t, "/message?id=a&message=1", target)
	body = get(t, h, target).Body.String()
	require.Contains(t, body, text[:32768])
	require.NotContains(t, body, text[:32769])
	require.Contains(t, body, "Next")
	require.Less(t, len(body), most)
	require.Equal(t, "{\"role\":\"user\",\"content\":\""+text+"\"}", get(t, h, linked(t, body, "Download the message")).Body.String())
	require.Less(t, get(t, h, "/message?id=a&message=2").Body.Len(), most)
	require.Equal(t, http.StatusNotFound, get(t, h, "/raw?id=a&message=4").Code)
}

// What is hostile fills no page beyond its measure, and nothing of it becomes markup.
func TestHostileConversations(t *testing.T) {
	loop := past(t)
	h := inspect.Handler(loop, inspect.Options{Payloads: true})
	const nasty = `</pre></script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&+\u0000\u202e`
	all := strings.ReplaceAll(`{"role":"N","name":"N","timestamp":"N","stop_reason":"N","content":[{"type":"text","text":"N"},{"type":"tool_use","id":"N","name":"N","input":{"N":"N"}},{"type":"tool_result","tool_use_id":"N","content":"N"},{"type":"N","x":"N"},{"type":"image","source":{"media_type":"N","url":"N"}},{"type":"thinking","thinking":"N"}]}`, "N", nasty)
	for name, text := range map[string]string{
		"markup":  strings.Repeat(all+"\n", 100),
		"quotes":  strings.Repeat(`{"role":"user","content":"`+strings.Repeat(`\"`, 30_000)+`"}`+"\n", 60),
		"parts":   strings.Repeat(`{"role":"user","content":[`+strings.Repeat(`"+",`, 500)+`"+"]}`+"\n", 60),
		"numbers": strings.Repeat("1\n", 1_000_000),
		"deep":    strings.Repeat(strings.Repeat("[", 9_000)+strings.Repeat("]", 9_000)+"\n", 100),
		"lines":   strings.Repeat(`{"role":"user","content":"`+strings.Repeat(`\n`, 30_000)+`"}`+"\n", 60),
		"control": strings.Repeat(`{"role":"user","content":[`+strings.Repeat(`"`+strings.Repeat(`\u0001`, 4_000)+`",`, 38)+`"x"]}`+"\n", 60),
	} {
		put(t, loop, "a", store.FormatLines, text)
		put(t, loop, "a", store.FormatLines, strings.Replace(text, "user", "tool", 3)+"0\n")
		for _, target := range []string{"/transcript?id=a", "/transcript?id=a&from=1", "/message?id=a&message=1", "/diff?id=a", "/runtime?id=a"} {
			for _, ending := range []string{"", ".json"} {
				page, query, _ := strings.Cut(target, "?")
				w := get(t, h, page+ending+"?"+query)
				require.Equal(t, http.StatusOK, w.Code)
				require.Less(t, w.Body.Len(), most, "%s of %s", target, name)
				for _, markup := range []string{"<script>alert", "<img"} {
					require.NotContains(t, w.Body.String(), markup)
				}
			}
		}
	}
}
