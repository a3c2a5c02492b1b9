package inspect

import (
	"encoding/json"
	"fmt"
	"html/template"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// said writes a message in short: its role, and its parts by their kinds.
func said(m *message) string {
	var b strings.Builder
	b.WriteString(m.Role)
	if m.Name != "" {
		b.WriteString("(" + m.Name + ")")
	}
	for _, p := range m.Parts {
		b.WriteString(" | " + p.Kind)
		if p.Name != "" {
			b.WriteString(" " + p.Name)
		}
		if p.ID != "" {
			b.WriteString(" " + p.ID)
		}
		if p.Failed {
			b.WriteString(" failed")
		}
		if p.Kind == partData {
			fmt.Fprintf(&b, " %d", p.Bytes)
		}
		b.WriteString(": " + p.Text)
	}
	for _, f := range m.Usage {
		fmt.Fprintf(&b, " | %s %d", f.Name, f.Count)
	}
	if m.Stop != "" {
		b.WriteString(" | stopped " + m.Stop)
	}
	if m.At != "" {
		b.WriteString(" | at " + m.At)
	}
	if !m.Understood {
		b.WriteString(" | not understood")
	}
	return b.String()
}

func TestMessagesOfEveryShape(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"a string", `{"role":"user","content":"hello"}`, `user | text: hello`},
		{"as README has it", `{"Role":"user","Text":"hello"}`, `user | text: hello`},
		{"nothing said", `{"role":"assistant","content":""}`, `assistant`},
		{"null", `{"role":"assistant","content":null,"refusal":null}`, `assistant`},
		{"parts", `{"role":"user","content":[{"type":"text","text":"a"},"b",{"type":"input_text","text":"c"}]}`, `user | text: a | text: b | text: c`},
		{"a name", `{"role":"user","name":"Ann","content":"hi"}`, `user(Ann) | text: hi`},
		{"a time and usage", `{"role":"assistant","content":"x","timestamp":"2026-01-02T03:04:05Z","usage":{"prompt_tokens":7,"completion_tokens":0,"total_tokens":9}}`, `assistant | text: x | in 7 | in all 9 | at 2026-01-02T03:04:05Z`},

		{"meerkat system", `{"role":"system","content":"be kind"}`, `system | text: be kind`},
		{"meerkat assistant", `{"role":"assistant","content":"I look","tool_calls":[{"id":"c1","name":"find","args":{"q":1}}],"stop_reason":"max_tokens","usage":{"input_tokens":812,"output_tokens":64,"cache_creation_tokens":null,"cache_read_tokens":3}}`,
			`assistant | text: I look | call find c1: {"q":1} | in 812 | out 64 | cache read 3 | stopped max_tokens`},
		{"meerkat blocks", `{"role":"block_assistant","blocks":[{"block_type":"reasoning","data":{"text":"hm","meta":{"provider":"gemini","thoughtSignature":"x"}}},{"block_type":"text","data":{"text":"so"}},{"block_type":"tool_use","data":{"id":"t","name":"sql","args":{"a":[1]}}},{"block_type":"reasoning","data":{"meta":{"provider":"anthropic_redacted","data":"zz"}}}],"stop_reason":"tool_use"}`,
			`assistant | reasoning: hm | text: so | call sql t: {"a":[1]} | reasoning: `},
		{"meerkat results", `{"role":"tool_results","results":[{"tool_use_id":"t","content":"done","is_error":false},{"tool_use_id":"u","content":"no","is_error":true}]}`,
			`tool | result t: done | result u failed: no`},

		{"openai calls", `{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Bern\"}"}}]}`, `assistant | call get_weather call_1: {"city":"Bern"}`},
		{"openai result", `{"role":"tool","tool_call_id":"call_1","content":"12 °C"}`, `tool | result call_1: 12 °C`},
		{"openai old call", `{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}}`, `assistant | call f: {}`},
		{"openai old result", `{"role":"function","name":"f","content":"1"}`, `tool | result f: 1`},
		{"openai image", `{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://example.com/a.png"}},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAAAAAA"}}]}`, `user | data image_url 0: https://example.com/a.png | data image/png 6: `},
		{"openai audio", `{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}]}`, `user | data wav 3: `},
		{"openai reasoning", `{"role":"assistant","reasoning_content":"well","content":"yes"}`, `assistant | reasoning: well | text: yes`},
		{"openai item, call", `{"type":"function_call","id":"fc_1","call_id":"call_2","name":"f","arguments":"{}"}`, `assistant | call f call_2: {}`},
		{"openai item, result", `{"type":"function_call_output","call_id":"call_2","output":"3"}`, `tool | result call_2: 3`},
		{"openai item, reasoning", `{"type":"reasoning","summary":[{"type":"summary_text","text":"I think"}]}`, `assistant | reasoning: I think`},
		{"openai item, message", `{"type":"message","role":"assistant","content":[{"type":"output_text","text":"ok"}]}`, `assistant | text: ok`},

		{"anthropic", `{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"redacted_thinking","data":"xx"},{"type":"text","text":"I look"},{"type":"tool_use","id":"toolu_1","name":"sql","input":{"q":"select"}}]}`,
			`assistant | reasoning: hm | reasoning:  | text: I look | call sql toolu_1: {"q":"select"}`},
		{"anthropic result", `{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","is_error":true,"content":[{"type":"text","text":"no"},{"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"AAAAAAAAAAAA"}}]}]}`,
			"user | result toolu_1 failed: no\n[image/jpeg, 9 B]"},
		{"anthropic image", `{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"AAAA"}}]}`, `user | data image/jpeg 3: `},
		{"anthropic in an envelope", `{"type":"assistant","uuid":"u","message":{"role":"assistant","content":[{"type":"text","text":"hi"}],"usage":{"input_tokens":4}}}`, `assistant | text: hi | in 4`},

		{"google", `{"role":"model","parts":[{"text":"hm","thought":true},{"text":"I look"},{"functionCall":{"name":"find","args":{"q":1}}}]}`, `assistant | reasoning: hm | text: I look | call find: {"q":1}`},
		{"google result", `{"role":"user","parts":[{"functionResponse":{"id":"9","name":"find","response":{"output":"x"}}}]}`, `user | result find 9: {"output":"x"}`},
		{"google data", `{"role":"user","parts":[{"inlineData":{"mimeType":"image/png","data":"AAAA"}},{"fileData":{"mimeType":"video/mp4","fileUri":"gs://a/b"}}]}`, `user | data image/png 3:  | data video/mp4 0: gs://a/b`},
		{"google code", `{"role":"model","parts":[{"executableCode":{"language":"PYTHON","code":"print(1)"}},{"codeExecutionResult":{"outcome":"OUTCOME_OK","output":"1"}}]}`, `assistant | call PYTHON: print(1) | result OUTCOME_OK: 1`},
		{"snake case", `{"role":"model","parts":[{"function_call":{"name":"find","args":{}}}]}`, `assistant | call find: {}`},

		{"eino", `{"role":"assistant","content":"","tool_calls":[{"index":0,"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}],"response_meta":{"finish_reason":"length","usage":{"prompt_tokens":3,"prompt_token_details":{"cached_tokens":1}}},"reasoning_content":"r"}`,
			`assistant | reasoning: r | call f 1: {} | in 3 | stopped length`},
		{"eino result", `{"role":"tool","content":"ok","tool_call_id":"1","tool_name":"f"}`, `tool | result f 1: ok`},
		{"eino parts", `{"role":"user","content":"","user_input_multi_content":[{"type":"text","text":"what is it?"},{"type":"image_url","image":{"base64data":"AAAA","mime_type":"image/png"}}]}`, `user | text: what is it? | data image/png 3: `},

		{"examples/chat, call", `{"role":"assistant","call":{"call_id":"note","tool":"notebook","arguments":"buy milk","run_id":"0197f3a2-0000-7000-8000-000000000001"}}`, `assistant | call notebook note: buy milk`},
		{"examples/chat, result", `{"role":"tool","text":"It is line 1.","of":"note"}`, `tool | result note: It is line 1.`},
		{"eventlog", `{"id":"e1","at":"2026-01-02T03:04:05Z","state_delta":{"n":1},"body":{"Author":"weather","Content":{"role":"model","parts":[{"text":"sunny"}]},"UsageMetadata":{"promptTokenCount":5,"candidatesTokenCount":2}}}`,
			`assistant(weather) | text: sunny | other: {"n":1} | in 5 | out 2 | at 2026-01-02T03:04:05Z`},
		{"eventlog of the user", `{"at":"2026-01-02T03:04:05Z","body":{"Author":"user","Content":{"role":"user","parts":[{"text":"weather?"}]}}}`, `user | text: weather? | at 2026-01-02T03:04:05Z`},
		{"langchain", `{"type":"human","data":{"content":"hi","additional_kwargs":{}}}`, `user | text: hi`},

		{"white space", " { \"role\" : \"user\" ,\n \"content\" : [ { \"type\" : \"text\" , \"text\" : \"a\" } ] } ", `user | text: a`},
		{"escapes", `{"role":"user","content":"a\u0062\n\ud83d\ude00 \"q\" \\ \u0000"}`, "user | text: ab\n😀 \"q\" \\ \x00"},
		{"half a surrogate", `{"role":"user","content":"\ud800"}`, "user | text: \uFFFD"},
		{"not UTF-8", "{\"role\":\"user\",\"content\":\"a\xffb\"}", "user | text: a\uFFFDb"},
		{"a text that is data", `{"role":"user","content":"data:image/gif;base64,AAAA"}`, `user | data image/gif 3: `},
		{"unknown part", `{"role":"user","content":[{"type":"hologram","x":1}]}`, `user | other: {"type":"hologram","x":1}`},

		{"a number", `1`, ` | other: 1 | not understood`},
		{"a string alone", `"x"`, ` | other: "x" | not understood`},
		{"an array", `["user","x"]`, ` | other: ["user","x"] | not understood`},
		{"an object", `{"a":1}`, ` | other: {"a":1} | not understood`},
		{"no role", `{"content":"x"}`, ` | other: {"content":"x"} | not understood`},
		{"nothing", ``, ` | other:  | not understood`},
		{"cut", `{"role":"user","content":"x`, `user | other: "x`},
		{"cut before its value", `{"role":`, ` | other: {"role": | not understood`},
		{"no name", `{1:2}`, ` | other: {1:2} | not understood`},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.want, said(reader{most: maxPart}.message(valueOf(test.text))))
		})
	}
}

// Whatever stands there, reading ends, quickly enough for a page, and nothing that is shown
// is longer than it may be.
func TestHostileMessages(t *testing.T) {
	const mega = 1 << 20
	deep := strings.Repeat
	for name, text := range map[string]string{
		"arrays":    deep("[", 5*mega),
		"objects":   deep(`{"content":`, mega),
		"envelopes": deep(`{"role":"user","content":[{"type":"tool_result","content":`, 200_000),
		"quotes":    `{"role":"user","content":"` + deep(`\"`, 3*mega) + `"}`,
		"backslash": `{"role":"user","content":"` + deep(`\\`, 3*mega) + `"}`,
		"open":      `{"role":"user","content":"` + deep(`\`, 5*mega),
		"parts":     `{"role":"user","content":[` + deep(`"a",`, mega) + `"a"]}`,
		"members":   `{"role":"user",` + deep(`"a":1,`, mega) + `"content":"x"}`,
		"names":     `{"` + deep("a", 5*mega) + `":1}`,
		"commas":    `[` + deep(",", 5*mega),
		"colons":    `{"a"` + deep(":", 5*mega),
		"image":     `{"role":"user","content":[{"type":"image","source":{"media_type":"image/png","data":"` + deep("A", 5*mega) + `"}}]}`,
		"zeros":     deep("\x00", 5*mega),
		"noise":     deep("\xff{\"\xfe:[", mega),
		"calls":     `{"role":"assistant","tool_calls":[` + deep(`{"name":"f"},`, 500_000) + `{}]}`,
		"arguments": `{"role":"assistant","tool_calls":[{"name":"f","arguments":` + deep("[", 12_000) + deep("]", 12_000) + `}]}`,
		"role":      `{"role":"` + deep("r", mega) + `","content":"x"}`,
	} {
		t.Run(name, func(t *testing.T) {
			m := readMessage(1, text, len(text), maxPart)
			require.NotEmpty(t, m.Parts)
			require.LessOrEqual(t, len(m.Parts), maxParts)
			for _, p := range m.Parts {
				require.LessOrEqual(t, len(p.Text), 2*maxPart)
				require.LessOrEqual(t, len(p.Name)+len(p.ID), 3*maxName)
			}
			require.LessOrEqual(t, len(m.Role), maxName+3)
		})
	}
	m := readMessage(1, `{"role":"user","content":[{"type":"image","source":{"media_type":"image/png","data":"`+strings.Repeat("A", 4*mega)+`"}}]}`, 4*mega, maxPart)
	require.Equal(t, "user | data image/png 3145728: ", said(m))
}

func FuzzMessage(f *testing.F) {
	for _, text := range []string{`{"role":"user","content":[{"type":"text","text":"a"}]}`, `{"a":{"b":["\"",{}]}}`, `[`, `{"role":"tool","of":"x","text":`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m := reader{most: 100}.message(valueOf(text))
		require.NotNil(t, m)
		for _, p := range m.Parts {
			require.True(t, strings.ToValidUTF8(p.Text, "") == p.Text)
		}
		lineByLine(m.lines(), []string{text})
	})
}

// A result is read once more for each result that it is in, so only a few of these are
// opened.
func TestResultsWithinResults(t *testing.T) {
	for name, test := range map[string]struct{ begin, end string }{
		"a result":    {`{"tooluseid":"1","content":[`, `]}`},
		"a reasoning": {`{"type":"reasoning","summary":[`, `]}`},
		"a response":  {`{"functionResponse":{"response":[`, `]}}`},
		"an output":   {`{"codeExecutionResult":{"output":[`, `]}}`},
	} {
		t.Run(name, func(t *testing.T) {
			shown := func(levels int) string {
				m := reader{most: maxShown}.message(valueOf(`{"role":"user","content":[` + strings.Repeat(test.begin, levels) + `"x"` + strings.Repeat(test.end, levels) + `]}`))
				require.Len(t, m.Parts, 1)
				return m.Parts[0].Text
			}
			require.Equal(t, "x", shown(maxResults))
			deep := shown(100)
			require.True(t, strings.HasPrefix(deep, "["+test.begin+test.begin), deep)
			require.Equal(t, 100-maxResults-1, strings.Count(deep, test.begin))
		})
	}
}

// No character takes more bytes than are counted, in a page or in its JSON.
func TestMarkupOfEveryCharacter(t *testing.T) {
	for c := range rune(0x10000) {
		text := strings.Repeat(string(c), 10)
		inJSON, err := json.Marshal(text)
		require.NoError(t, err)
		require.LessOrEqual(t, max(len(inJSON)-2, len(template.HTMLEscapeString(text))), markup(text), "%q", c)
	}
}
