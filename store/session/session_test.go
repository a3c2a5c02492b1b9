package session_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/session"
)

// document is a session document around messages.
func document(messages string) string {
	return `{"version":1,"id":"0195b1c2-0000-7000-8000-000000000001","messages":` + messages +
		`,"created_at":{"secs_since_epoch":1,"nanos_since_epoch":2},"updated_at":{"secs_since_epoch":3,"nanos_since_epoch":4}` +
		`,"metadata":{},"usage":{"input_tokens":0,"output_tokens":0,"cache_creation_tokens":null,"cache_read_tokens":null}}`
}

func digestOf(canonical string) string {
	sum := sha256.Sum256([]byte(canonical))
	return hex.EncodeToString(sum[:])
}

const usage = `{"input_tokens":1,"output_tokens":2,"cache_creation_tokens":null,"cache_read_tokens":null}`

// args puts tool arguments into a conversation, as text and as it is written.
func args(text string) string {
	return `[{"role":"block_assistant","blocks":[{"block_type":"tool_use","data":{"id":"c","name":"n","args":` +
		text + `}}],"stop_reason":"tool_use"}]`
}

func nested(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

// rawValues is the number 1 in n raw values.
func rawValues(n int) string {
	text := "1"
	for range n {
		text = rawOf(text)
	}
	return text
}

func rawOf(text string) string {
	quoted, _ := jsontext.AppendQuote(nil, text)
	return `{"$serde_json::private::RawValue":` + string(quoted) + `}`
}

// knownConversations are conversations as a document may spell them, and the
// canonical text that the rules give, which the digest is of.
var knownConversations = map[string]struct {
	messages  string
	canonical string // the same as messages if it is empty
	count     uint64
}{
	"none":   {`[]`, ``, 0},
	"system": {`[{"role":"system","content":"Be brief."}]`, ``, 1},
	"user":   {`[{"role":"user","content":"héllo \"you\"\n\u0001"}]`, ``, 1},
	"all roles": {`[{"role":"system","content":""},{"role":"user","content":"a"},` +
		`{"role":"assistant","content":"b","tool_calls":[{"id":"c","name":"n","args":{}}],"stop_reason":"tool_use","usage":` + usage + `},` +
		`{"role":"tool_results","results":[{"tool_use_id":"c","content":"d","is_error":true}]},` +
		`{"role":"block_assistant","blocks":[{"block_type":"text","data":{"text":"e"}}],"stop_reason":"end_turn"}]`, ``, 5},
	"every meta": {`[{"role":"block_assistant","blocks":[` +
		`{"block_type":"text","data":{"text":"a","meta":{"provider":"anthropic","signature":"s"}}},` +
		`{"block_type":"reasoning","data":{"text":"b","meta":{"provider":"anthropic_redacted","data":"d"}}},` +
		`{"block_type":"reasoning","data":{"text":"c","meta":{"provider":"anthropic_compaction","content":"c"}}},` +
		`{"block_type":"tool_use","data":{"id":"i","name":"n","args":1,"meta":{"provider":"gemini","thoughtSignature":"t"}}},` +
		`{"block_type":"text","data":{"text":"e","meta":{"provider":"open_ai","id":"i"}}},` +
		`{"block_type":"text","data":{"text":"f","meta":{"provider":"open_ai","id":"i","encrypted_content":"x"}}}` +
		`],"stop_reason":"max_tokens"}]`, ``, 1},

	"white space": {" [ {\t\"role\" :\n\"user\" , \"content\":\r\"a\" } ] ", `[{"role":"user","content":"a"}]`, 1},
	"escapes": {`[{"role":"user","content":"\u0041\/\u00e9\ud83d\ude00\u000a\u001F"}]`,
		`[{"role":"user","content":"A/é😀\n\u001f"}]`, 1},
	"an escape in capitals": {`[{"role":"user","content":"\u001F"}]`, `[{"role":"user","content":"\u001f"}]`, 1},
	"escaped names":         {`[{"r\u006fle":"us\u0065r","content":"a"}]`, `[{"role":"user","content":"a"}]`, 1},
	"order of members":      {`[{"content":"a","role":"user"}]`, `[{"role":"user","content":"a"}]`, 1},
	"unknown members":       {`[{"x":1,"role":"user","y":{"a":[null]},"content":"a","x":2}]`, `[{"role":"user","content":"a"}]`, 1},
	"messages as arrays":    {`[["user","a"],["tool_results",[["i","c"]]]]`, `[{"role":"user","content":"a"},{"role":"tool_results","results":[{"tool_use_id":"i","content":"c","is_error":false}]}]`, 2},
	"absent defaults": {`[{"role":"assistant","content":"a","stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2}}]`,
		`[{"role":"assistant","content":"a","tool_calls":[],"stop_reason":"end_turn","usage":` + usage + `}]`, 1},
	"stop reason as an object": {`[{"role":"block_assistant","blocks":[],"stop_reason":{"cancelled":null}},{"role":"block_assistant","blocks":[],"stop_reason":{"cancelled":{}}}]`,
		`[{"role":"block_assistant","blocks":[],"stop_reason":"cancelled"},{"role":"block_assistant","blocks":[],"stop_reason":"cancelled"}]`, 2},
	"data before its type": {`[{"role":"block_assistant","blocks":[{"data":{},"block_type":"reasoning"}],"stop_reason":"end_turn"}]`,
		`[{"role":"block_assistant","blocks":[{"block_type":"reasoning","data":{"text":""}}],"stop_reason":"end_turn"}]`, 1},
	"null options": {`[{"role":"block_assistant","blocks":[{"block_type":"text","data":{"text":"a","meta":null}}],"stop_reason":"end_turn"}]`,
		`[{"role":"block_assistant","blocks":[{"block_type":"text","data":{"text":"a"}}],"stop_reason":"end_turn"}]`, 1},
	"provider by number": {`[{"role":"block_assistant","blocks":[{"block_type":"text","data":{"text":"a","meta":{"provider":3,"thoughtSignature":"t"}}}],"stop_reason":"end_turn"}]`,
		`[{"role":"block_assistant","blocks":[{"block_type":"text","data":{"text":"a","meta":{"provider":"gemini","thoughtSignature":"t"}}}],"stop_reason":"end_turn"}]`, 1},
	"one spelled anew between two that are not": {`[{"role":"user","content":"a"}, {"content":"b","role":"user"},{"role":"user","content":"c"},{"role":"user","content":"d"}]`,
		`[{"role":"user","content":"a"},{"role":"user","content":"b"},{"role":"user","content":"c"},{"role":"user","content":"d"}]`, 4},

	"args sorted":                {args(`{"b":1,"a":{"d":[{"z":1,"y":2}],"c":2}}`), args(`{"a":{"c":2,"d":[{"y":2,"z":1}]},"b":1}`), 1},
	"args, last one wins":        {args(`{"a":1,"b":2,"\u0061":3}`), args(`{"a":3,"b":2}`), 1},
	"args, escaped names":        {args(`{"\n":1,"\"":2}`), args(`{"\n":1,"\"":2}`), 1},
	"args, same name next to it": {args(`{"a":1,"a":2}`), args(`{"a":2}`), 1},
	// After too many digits Meerkat tries the decimals anew: the 0 replaces
	// the 6 as the 20th digit.
	"args float with too many digits": {args(`[18446744073709551616` + strings.Repeat("0", 23) + `.0]`), args(`[1.844674407370955e+42]`), 1},
	"args compact":                    {args(` [ 1 , { "a" : null } , true ] `), args(`[1,{"a":null},true]`), 1},
	"args integers":                   {args(`[0,-1,18446744073709551615,-9223372036854775808]`), ``, 1},
	"args floats": {args(`[-0,1.50,1e2,1E+16,0.000010,0.000001,12345678901234567890123,1e-400,100000.0]`),
		args(`[-0.0,1.5,100.0,1e+16,0.00001,1e-6,1.2345678901234568e+22,0.0,100000.0]`), 1},
	// Meerkat divides the digits as an integer by 1e17, which rounds twice.
	"args float, not correctly rounded": {args(`[0.45892272650244980]`), args(`[0.45892272650244975]`), 1},
	"args long raw value in another":    {args(rawOf(rawOf("[" + strings.Repeat("1, ", 500) + "1]"))), args("[" + strings.Repeat("1,", 500) + "1]"), 1},
	"args names in order of UTF-8": {args(`{"\uffff":1,"\ud83d\ude00":2,"é":3,"\n":4,"e\u0301":5,"e":6,"\/":7,"":8,"\\":9,"\"":10,"E\u0000":11,"\b":12}`),
		args(`{"":8,"\b":12,"\n":4,"\"":10,"/":7,"E\u0000":11,"\\":9,"e":6,"é":5,"é":3,"￿":1,"😀":2}`), 1},
	"args names twice":                  {args(`{"b":{"y":1,"x":[{"d":1,"c":{}},{},{"f":1,"e":2}],"y":2},"a":{"z":1},"b":1,"\u0061":{"v":1,"u":2}}`), args(`{"a":{"u":2,"v":1},"b":1}`), 1},
	"args raw values as deep as may be": {args(rawValues(8)), args("1"), 1},
	"args raw value": {args(`{"a":{"$serde_json::private::RawValue":" [2, {\"b\":1,\"a\":0}] "}}`),
		args(`{"a":[2,{"a":0,"b":1}]}`), 1},
	"args as deep as may be":               {args(nested(121)), ``, 1},
	"args as deep as may be, spelled anew": {strings.Replace(args(nested(121)), "]", " ]", 1), args(nested(121)), 1},
}

func TestKnownConversations(t *testing.T) {
	for name, c := range knownConversations {
		t.Run(name, func(t *testing.T) {
			facts, err := session.Read(document(c.messages))
			require.NoError(t, err)
			if c.canonical == "" {
				c.canonical = c.messages
			}
			assert.Equal(t, digestOf(c.canonical), facts.HexDigest())
			assert.Equal(t, c.count, facts.MessageCount())

			again, err := session.Read(document(c.canonical))
			require.NoError(t, err)
			assert.Equal(t, facts.Digest(), again.Digest(), "the canonical text has the same digest")
		})
	}
}

// A raw value's name is an ordinary one where it is not first. Sorting puts it
// first, so what was written is not what it is read as again.
func TestRawValueThatIsNotFirst(t *testing.T) {
	facts, err := session.Read(document(args(`{"a":1,"$serde_json::private::RawValue":"1"}`)))
	require.NoError(t, err)
	assert.Equal(t, digestOf(args(`{"$serde_json::private::RawValue":"1","a":1}`)), facts.HexDigest())
}

// TestKnownDigests holds digests that were computed apart from this package.
func TestKnownDigests(t *testing.T) {
	for messages, digest := range map[string]string{
		`[]`:                                   "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945",
		`[{"role":"user","content":"hello"}]`:  "e920b204bce6401c9e1a506f434853899fabada37ae5ad9033d8937eda0ba853",
		`[{ "content":"hello","role":"user"}]`: "e920b204bce6401c9e1a506f434853899fabada37ae5ad9033d8937eda0ba853",
	} {
		facts, err := session.Read(document(messages))
		require.NoError(t, err)
		assert.Equal(t, digest, facts.HexDigest(), messages)
	}
}

func TestKnownDocuments(t *testing.T) {
	const (
		id    = `"id":"0195b1c2-0000-7000-8000-000000000001"`
		times = `"created_at":{"secs_since_epoch":1,"nanos_since_epoch":2},"updated_at":[3,4]`
		rest  = id + `,"messages":[{"role":"user","content":"a"}],` + times
	)
	want, err := session.Read(document(`[{"role":"user","content":"a"}]`))
	require.NoError(t, err)
	assert.Equal(t, uuid.MustParse("0195b1c2-0000-7000-8000-000000000001"), want.ID())

	for name, text := range map[string]string{
		"least":                               `{` + rest + `}`,
		"white space":                         " \n{\t" + rest + "\r} \n",
		"reversed":                            `{` + times + `,"messages":[{"role":"user","content":"a"}],` + id + `}`,
		"as an array":                         `[1,"0195b1c2-0000-7000-8000-000000000001",[["user","a"]],[1,2],[3,4],{},[0,0,null,null]]`,
		"shorter array":                       `[1,"0195b1c2-0000-7000-8000-000000000001",[["user","a"]],[1,2],[3,4]]`,
		"id in braces":                        `{"id":"{0195B1C2-0000-7000-8000-000000000001}",` + strings.TrimPrefix(rest, id+",") + `}`,
		"id as URN":                           `{"id":"urn:uuid:0195b1c2-0000-7000-8000-000000000001",` + strings.TrimPrefix(rest, id+",") + `}`,
		"id without dash":                     `{"id":"0195b1c2000070008000000000000001",` + strings.TrimPrefix(rest, id+",") + `}`,
		"metadata":                            `{` + rest + `,"metadata":{"b":[1,{}],"a":"x","a":null}}`,
		"unknown members are not looked into": "{\"x\":{\"deep\":" + nested(1000) + ",\"n\":[1e999,-0.5e+3],\"s\":\"\\ud800\xff\"}," + rest + "}",
		"usage may hold more":                 `{` + rest + `,"usage":{"input_tokens":1,"x":1e999,"output_tokens":2}}`,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := session.Read(text)
			require.NoError(t, err)
			assert.Equal(t, want.Digest(), got.Digest())
			assert.Equal(t, want.ID(), got.ID())
			assert.EqualValues(t, 1, got.MessageCount())
			assert.Equal(t, text, got.Text().String())
		})
	}
}

func TestRefusedDocuments(t *testing.T) {
	whole := document(`[{"role":"user","content":"a"}]`)
	message := func(text string) string { return document("[" + text + "]") }
	block := func(text string) string {
		return message(`{"role":"block_assistant","blocks":[` + text + `],"stop_reason":"end_turn"}`)
	}
	replace := func(old, with string) string {
		require.Contains(t, whole, old)
		return strings.Replace(whole, old, with, 1)
	}
	for name, text := range map[string]string{
		"empty":                            "",
		"white space":                      " \n",
		"null":                             "null",
		"another type":                     `"x"`,
		"empty object":                     "{}",
		"empty array":                      "[]",
		"byte order mark":                  "\xef\xbb\xbf" + whole,
		"text after it":                    whole + "x",
		"NUL after it":                     whole + "\x00",
		"a second one":                     whole + whole,
		"no id":                            replace(`"id":"0195b1c2-0000-7000-8000-000000000001",`, ``),
		"no messages":                      replace(`"messages"`, `"massages"`),
		"no created_at":                    replace(`"created_at"`, `"created_on"`),
		"no updated_at":                    replace(`"updated_at"`, `"Updated_at"`),
		"id not a UUID":                    replace(`0195b1c2-`, `0195b1c2`),
		"id a number":                      replace(`"0195b1c2-0000-7000-8000-000000000001"`, `5`),
		"id with URN in capitals":          replace(`"0195`, `"URN:UUID:0195`),
		"version negative":                 replace(`"version":1`, `"version":-1`),
		"version fraction":                 replace(`"version":1`, `"version":1.0`),
		"version too large":                replace(`"version":1`, `"version":4294967296`),
		"version null":                     replace(`"version":1`, `"version":null`),
		"member twice":                     replace(`"version":1`, `"version":1,"version":1`),
		"messages null":                    document(`null`),
		"messages object":                  document(`{}`),
		"time a text":                      replace(`{"secs_since_epoch":1,"nanos_since_epoch":2}`, `"1970-01-01T00:00:00Z"`),
		"time incomplete":                  replace(`"secs_since_epoch":1,`, ``),
		"time with more":                   replace(`"secs_since_epoch":1,`, `"secs_since_epoch":1,"x":1,`),
		"time too late":                    replace(`"secs_since_epoch":1,`, `"secs_since_epoch":9223372036854775808,`),
		"time too late by its nanoseconds": replace(`"secs_since_epoch":1,"nanos_since_epoch":2`, `"secs_since_epoch":9223372036854775807,"nanos_since_epoch":1000000000`),
		"metadata an array":                replace(`"metadata":{}`, `"metadata":[]`),
		"metadata too deep":                replace(`"metadata":{}`, `"metadata":{"a":`+nested(126)+`}`),
		"metadata out of range":            replace(`"metadata":{}`, `"metadata":{"a":1e309}`),
		"usage incomplete":                 replace(`"input_tokens":0,`, ``),
		"too many elements":                `[1,"0195b1c2-0000-7000-8000-000000000001",[],[1,2],[3,4],{},[0,0,null,null],1]`,

		"message a number":           message(`1`),
		"no role":                    message(`{"content":"a"}`),
		"unknown role":               message(`{"role":"tool","content":"a"}`),
		"role a number":              message(`{"role":1,"content":"a"}`),
		"role an object":             message(`{"role":{"user":null},"content":"a"}`),
		"role twice":                 message(`{"role":"user","role":"user","content":"a"}`),
		"no content":                 message(`{"role":"user"}`),
		"content null":               message(`{"role":"user","content":null}`),
		"content twice":              message(`{"role":"user","content":"a","content":"a"}`),
		"array too short":            message(`["user"]`),
		"array too long":             message(`["user","a","b"]`),
		"array empty":                message(`[]`),
		"usage array short":          message(`["assistant","a",[],"end_turn",[1,2]]`),
		"trailing comma":             message(`{"role":"user","content":"a",}`),
		"missing comma":              message(`{"role":"user" "content":"a"}`),
		"unknown, out of range":      message(`{"role":"user","content":"a","x":1e309}`),
		"unknown, too deep":          message(`{"role":"user","content":"a","x":` + nested(125) + `}`),
		"unknown, surrogate":         message(`{"role":"user","content":"a","x":"\udc00"}`),
		"invalid UTF-8":              message("{\"role\":\"user\",\"content\":\"\xff\"}"),
		"overlong UTF-8":             message("{\"role\":\"user\",\"content\":\"\xc0\xaf\"}"),
		"control character":          message("{\"role\":\"user\",\"content\":\"a\nb\"}"),
		"unknown escape":             message(`{"role":"user","content":"\x"}`),
		"half a surrogate":           message(`{"role":"user","content":"\ud800\n"}`),
		"block without data":         block(`{"block_type":"text"}`),
		"block of no type":           block(`{"data":{"text":"a"}}`),
		"block type twice":           block(`{"block_type":"text","block_type":"text","data":{"text":"a"}}`),
		"block data array":           block(`{"block_type":"text","data":["a",null]}`),
		"block array long":           block(`["text",{"text":"a"},1]`),
		"meta without provider":      block(`{"block_type":"text","data":{"text":"a","meta":{}}}`),
		"meta unknown number":        block(`{"block_type":"text","data":{"text":"a","meta":{"provider":5,"id":"x"}}}`),
		"two stop reasons in one":    message(`{"role":"block_assistant","blocks":[],"stop_reason":"end_turntool_use"}`),
		"half a stop reason":         message(`{"role":"block_assistant","blocks":[],"stop_reason":"end_tur"}`),
		"raw values too deep":        document(args(rawValues(9))),
		"two stop reasons":           message(`{"role":"block_assistant","blocks":[],"stop_reason":{"end_turn":null,"cancelled":null}}`),
		"args missing":               block(`{"block_type":"tool_use","data":{"id":"a","name":"b"}}`),
		"args too deep":              document(args(nested(122))),
		"args out of range":          document(args(`1.7976931348623159e308`)),
		"args leading zero":          document(args(`01`)),
		"args half a number":         document(args(`1.`)),
		"args NaN":                   document(args(`NaN`)),
		"args raw values too large":  document(args(rawOf(rawOf(rawOf("[" + strings.Repeat("1,", 5000) + "1]"))))),
		"args bad raw value":         document(args(`{"$serde_json::private::RawValue":"[1"}`)),
		"args more than a raw value": document(args(`{"$serde_json::private::RawValue":"1","a":1}`)),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := session.Read(text)
			var where *session.Error
			require.ErrorAs(t, err, &where)
			assert.LessOrEqual(t, where.Offset, len(text))
			assert.NotEmpty(t, where.Reason)
		})
	}
	for n := range len(whole) {
		_, err := session.Read(whole[:n])
		require.Error(t, err, "cut at byte %d", n)
	}
}

func TestErrorsSayWhere(t *testing.T) {
	for _, c := range []struct {
		text, at string // the error is where at begins
		message  int
		reason   string
	}{
		{document(`[{"role":"user","content":"a"},{"role":"robot","content":"secret"}]`), `"robot"`, 1,
			"unknown role, expected one of system, user, assistant, block_assistant, tool_results"},
		{document(`[{"role":"block_assistant","blocks":[],"stop_reason":"secret"}]`), `"secret"`, 0,
			"unknown stop_reason, expected one of end_turn, tool_use, max_tokens, stop_sequence, content_filter, cancelled"},
		{document(`[{"role":"user"}]`), `}],"created_at"`, 0, "missing member content"},
		{document(`[{"role":"user","content":"a"} "secret"]`), `"secret"`, -1, "expected a comma or the end of an array or object"},
		{strings.Replace(document(`[]`), ":1,", ":x,", 1), "x", -1, "expected a number"},
	} {
		_, err := session.Read(c.text)
		assert.Equal(t, &session.Error{Offset: strings.Index(c.text, c.at), Message: c.message, Reason: c.reason}, err)
	}
	assert.Equal(t, "r at byte 5, in message 2", (&session.Error{Offset: 5, Message: 2, Reason: "r"}).Error())
	assert.Equal(t, "r at byte 5", (&session.Error{Offset: 5, Message: -1, Reason: "r"}).Error())
}

func TestReadLeavesTheSnapshotAlone(t *testing.T) {
	text := document(`[{"content":"\u0041","role":"user"}, {"role":"user","content":"b"}]`)
	before := strings.Clone(text)
	_, err := session.Read(text)
	require.NoError(t, err)
	assert.Equal(t, before, text)
}

// Runs that are hashed as they lie are cut at a size; the digest must not
// depend on where.
func TestLongConversations(t *testing.T) {
	for _, size := range []int{1, 100, 1 << 15, 1<<15 + 1, 1 << 17} {
		var messages []string
		for range 9 {
			messages = append(messages, `{"role":"user","content":"`+strings.Repeat("x", size)+`"}`)
		}
		for _, comma := range []string{",", " ,", ", "} {
			facts, err := session.Read(document("[" + strings.Join(messages, comma) + "]"))
			require.NoError(t, err)
			assert.Equal(t, digestOf("["+strings.Join(messages, ",")+"]"), facts.HexDigest(), "size %d, comma %q", size, comma)
		}
	}
}
