package eino_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cloudwego/eino/schema"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/adapt/eino"
	"github.com/loopstore/loopstore/store/batch"
)

// What a model's package puts into an Extra, and has registered.
type (
	requestID string
	price     struct {
		Currency string
		Cents    int
	}
	citation struct {
		URL   string
		Spans [][2]int
		More  map[string]any
	}
)

func init() {
	schema.RegisterName[*child]("eino_test_child")
	schema.RegisterName[requestID]("eino_test_request_id")
	schema.RegisterName[*price]("eino_test_price")
	schema.RegisterName[*citation]("eino_test_citation")
}

// A generator makes values of all kinds that a message has.
type generator struct {
	t    *testing.T
	r    *rand.Rand
	seen map[string]bool // the fields that were set to something
}

var texts = []string{"", "a", "What is 7 < 9 & 8?", "\u2028\x00\x7f\"\\/~", "日本語 🏔", "{\"n\":1}", "data\n\r\t"}

func (g *generator) text() string { return texts[g.r.IntN(len(texts))] }

func (g *generator) fill(v reflect.Value, at string, depth int) {
	if g.r.IntN(3) == 0 && v.Kind() != reflect.Struct {
		return // it stays zero
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(g.text())
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		for v.IsZero() || v.OverflowInt(v.Int()) {
			v.SetInt(int64(g.r.Uint64()) >> (64 - v.Type().Bits() + g.r.IntN(v.Type().Bits()-1)))
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(g.r.Uint64() >> (64 - v.Type().Bits()))
	case reflect.Float32, reflect.Float64:
		v.SetFloat([]float64{1, -0.1, 1 << 60, -9999, math.SmallestNonzeroFloat32}[g.r.IntN(5)])
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		g.fill(v.Elem(), at, depth)
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			require.True(g.t, f.IsExported(), "%s has a field that cannot be kept: %s", v.Type(), f.Name)
			name := v.Type().String() + "." + f.Name
			g.fill(v.Field(i), name, depth)
			g.seen[name] = g.seen[name] || !v.Field(i).IsZero()
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1+g.r.IntN(3), 3))
		for i := range v.Len() {
			g.fill(v.Index(i), at, depth)
		}
	case reflect.Map:
		require.Equal(g.t, reflect.String, v.Type().Key().Kind(), "%s has keys that are not generated", at)
		v.Set(reflect.MakeMap(v.Type()))
		for range 1 + g.r.IntN(3) {
			value := reflect.New(v.Type().Elem()).Elem()
			g.fill(value, at, depth)
			v.SetMapIndex(reflect.ValueOf(g.text()).Convert(v.Type().Key()), value)
		}
	case reflect.Interface:
		require.Zero(g.t, v.NumMethod(), "%s is a %s, which is not generated", at, v.Type())
		if value := g.any(depth + 1); value != nil {
			v.Set(reflect.ValueOf(value))
		}
	default:
		g.t.Fatalf("%s is a %s, which is not generated", at, v.Type())
	}
}

// Each type that an Extra may have a value of, without a word or by being registered.
var extras = []reflect.Type{
	reflect.TypeFor[bool](), reflect.TypeFor[string](), reflect.TypeFor[float64](), reflect.TypeFor[float32](),
	reflect.TypeFor[int](), reflect.TypeFor[int8](), reflect.TypeFor[int16](), reflect.TypeFor[int32](), reflect.TypeFor[int64](),
	reflect.TypeFor[uint](), reflect.TypeFor[uint8](), reflect.TypeFor[uint16](), reflect.TypeFor[uint32](), reflect.TypeFor[uint64](),
	reflect.TypeFor[[]byte](), reflect.TypeFor[[]string](), reflect.TypeFor[[]int](), reflect.TypeFor[[]float64](),
	reflect.TypeFor[requestID](), reflect.TypeFor[schema.TokenUsage](), reflect.TypeFor[*price](),
	reflect.TypeFor[map[string]any](), reflect.TypeFor[[]any](),
}

func (g *generator) any(depth int) any {
	kinds := extras
	if depth > 3 {
		kinds = kinds[:len(kinds)-2]
	}
	v := reflect.New(kinds[g.r.IntN(len(kinds))]).Elem()
	g.fill(v, "a value", depth)
	if k := v.Kind(); (k == reflect.Pointer || k == reflect.Slice || k == reflect.Map) && v.IsNil() {
		return nil // what is nil has no type
	}
	return v.Interface()
}

// TestMessagesComeBack makes messages of everything that the type has. If a later version has
// something that cannot be made, or kept, it fails.
func TestMessagesComeBack(t *testing.T) {
	g := &generator{t, rand.New(rand.NewPCG(1, 2)), map[string]bool{}}
	var all []*schema.Message
	var text []byte
	for range 1000 {
		m := new(schema.Message)
		g.fill(reflect.ValueOf(m).Elem(), "", 0)
		lines, err := eino.Encode(m)
		require.NoError(t, err)
		all, text = append(all, m), append(text, lines...)
	}
	back, err := eino.Decode(text)
	require.NoError(t, err)
	require.Len(t, back, len(all))
	for i := range all {
		require.Equal(t, all[i], back[i])
	}
	for name, set := range g.seen {
		assert.True(t, set, "%s was never set", name)
	}
	loop := loopstore.New(loopstore.Options{})
	defer loop.Close()
	_, err = loop.Commit(t.Context(), batch.Batch{Then: []batch.Write{
		batch.PutSnapshot{RuntimeID: "agent-1", Snapshot: text, Format: store.FormatLines, Append: true},
	}})
	require.NoError(t, err)
	view, err := loop.View(t.Context(), "agent-1")
	require.NoError(t, err)
	snapshot, _ := view.Snapshot()
	assert.EqualValues(t, len(all), snapshot.MessageCount(), "a line for each")
}

// TestValuesOfAnExtra names types that JSON alone would not bring back.
func TestValuesOfAnExtra(t *testing.T) {
	for _, value := range []any{
		7, int64(math.MaxInt64), uint64(math.MaxUint64), float32(0.1), []byte{0, 255}, []string{"a"}, requestID("r"),
		&citation{URL: "u", Spans: [][2]int{{1, 2}}, More: map[string]any{"n": 3}}, 3.0, "text", true, nil,
		map[string]any{"a/b~c": []any{1, "x", map[string]any{"": int8(-1)}}},
	} {
		m := &schema.Message{
			Role: schema.Assistant, Extra: map[string]any{"x": value},
			ToolCalls:             []schema.ToolCall{{ID: "c", Extra: map[string]any{"x": value}}},
			UserInputMultiContent: []schema.MessageInputPart{{Image: &schema.MessageInputImage{MessagePartCommon: schema.MessagePartCommon{Extra: map[string]any{"x": value}}}}},
		}
		lines, err := eino.Encode(m)
		require.NoError(t, err, "%T", value)
		back, err := eino.Decode(lines)
		require.NoError(t, err, "%T", value)
		require.Equal(t, []*schema.Message{m}, back)
	}
}

// TestALineIsTheMessagesJSON is what other programs, and later versions, read.
func TestALineIsTheMessagesJSON(t *testing.T) {
	const lines = `{"role":"user","content":"Hello"}
{"role":"assistant","content":"","tool_calls":[{"index":0,"id":"call-1","type":"function","function":{"name":"pay","arguments":"{}"},"extra":{"a/b":"AP8="}}],"extra":{"n":7},"gob":{"/extra/n":"ChAAA2ludAQCAA4=","/tool_calls/0/extra/a~1b":"EBAAB1tddWludDgKBAACAP8="}}
`
	m := &schema.Message{
		Role: schema.Assistant, Extra: map[string]any{"n": 7},
		ToolCalls: []schema.ToolCall{{
			Index: new(0), ID: "call-1", Type: "function", Function: schema.FunctionCall{Name: "pay", Arguments: "{}"},
			Extra: map[string]any{"a/b": []byte{0, 255}},
		}},
	}
	text, err := eino.Encode(schema.UserMessage("Hello"), m)
	require.NoError(t, err)
	assert.Equal(t, lines, string(text))
	back, err := eino.Decode([]byte(lines))
	require.NoError(t, err)
	assert.Equal(t, []*schema.Message{schema.UserMessage("Hello"), m}, back)

	var plain *schema.Message
	require.NoError(t, json.Unmarshal([]byte(lines)[len(`{"role":"user","content":"Hello"}`):], &plain))
	assert.Equal(t, 7.0, plain.Extra["n"], "the rest is there for who knows nothing of gob")
}

// TestEmptyIsAbsent is the one thing that is not told apart.
func TestEmptyIsAbsent(t *testing.T) {
	lines, err := eino.Encode(&schema.Message{
		ToolCalls: []schema.ToolCall{}, Extra: map[string]any{"none": []string{}, "nil": map[string]any(nil)},
		ResponseMeta: &schema.ResponseMeta{LogProbs: &schema.LogProbs{Content: []schema.LogProb{}}},
	})
	require.NoError(t, err)
	back, err := eino.Decode(lines)
	require.NoError(t, err)
	assert.Empty(t, back[0].ToolCalls)
	assert.IsType(t, []string{}, back[0].Extra["none"])
	assert.Empty(t, back[0].Extra["nil"])
	none, err := eino.Encode()
	require.NoError(t, err)
	assert.Empty(t, none)
	nobody, err := eino.Decode(nil)
	require.NoError(t, err)
	assert.Empty(t, nobody)
}

type unregistered struct{ N int }

// A child has what JSON leaves out, and gob does not.
type child struct {
	Name    string
	Parents map[string][][1]*child `json:"-"`
}

type failing struct{}

func (failing) MarshalJSON() ([]byte, error) { return nil, fmt.Errorf("the secret") }

func (failing) MarshalText() ([]byte, error) { return nil, fmt.Errorf("the secret") }

// TestWhatCannotBeKeptIsRefused says where it is, and nothing of what it says.
func TestWhatCannotBeKeptIsRefused(t *testing.T) {
	loop := map[string]any{}
	loop["loop"] = loop
	family := &child{Name: "secret"}
	family.Parents = map[string][][1]*child{"one": {{family}}}
	deep := any("secret")
	for range 10_001 {
		deep = []any{deep}
	}
	extra := func(v any) *schema.Message { return &schema.Message{Extra: map[string]any{"the/key": v}} }
	for _, c := range []struct {
		message *schema.Message
		field   string
		reason  string
	}{
		{nil, "", "it is nil"},
		{schema.UserMessage("secret\xff"), "/content", "something else"},
		{&schema.Message{ToolCalls: []schema.ToolCall{{}, {ID: "secret\xff"}}}, "/tool_calls/1/id", "something else"},
		{&schema.Message{Extra: map[string]any{"\xff": "secret"}}, "/extra/\xff", "something else"},
		{extra("secret\xff"), "/extra/the~1key", "something else"},
		{extra([]any{"", "secret\xff"}), "/extra/the~1key/1", "something else"},
		{extra(new("secret")), "/extra/the~1key", "something else"},
		{extra(&citation{More: map[string]any{"unregistered": &unregistered{7}}}), "/extra/the~1key", "see schema.RegisterName"},
		{extra(unregistered{7}), "/extra/the~1key", "gob cannot keep a eino_test.unregistered: is its type registered"},
		{extra(json.Number("7")), "/extra/the~1key", "gob cannot keep a json.Number"},
		{extra(failing{}), "", "the JSON of a eino_test.failing cannot be made"},
		{extra(json.Number("secret")), "", "its JSON cannot be made"},
		{extra(map[failing]int{{}: 1}), "", "its JSON cannot be made"},
		{extra(make(chan string)), "", "unsupported type: chan string"},
		{extra(loop), "", "cycle"},
		{extra(family), "/extra/the~1key", "it refers to itself"},
		{extra(deep), "", "it is not the JSON of a message"},
		{&schema.Message{ResponseMeta: &schema.ResponseMeta{LogProbs: &schema.LogProbs{Content: []schema.LogProb{{LogProb: math.NaN()}}}}}, "", "NaN"},
	} {
		lines, err := eino.Encode(schema.UserMessage("fine"), c.message)
		fault := new(eino.MessageError)
		require.ErrorAs(t, err, &fault)
		assert.Nil(t, lines)
		assert.Equal(t, 1, fault.Index)
		assert.Equal(t, c.field, fault.Field)
		assert.Contains(t, fault.Error(), c.reason)
		assert.NotContains(t, fault.Error(), "secret")
	}
	_, err := eino.Encode(extra(time.Now()))
	require.Error(t, err, "nobody has registered it")
	_, err = eino.Encode(&schema.Message{Extra: map[string]any{strings.Repeat("ü", 100): 'x', "y": struct{}{}}})
	require.Error(t, err)
	assert.Less(t, len(err.Error()), 250)
}

// TestOtherLinesAreRefused: they come from elsewhere, or from a later version.
func TestOtherLinesAreRefused(t *testing.T) {
	const fine = `{"role":"user","content":"Hello"}` + "\n"
	for _, c := range []struct{ line, field, reason string }{
		{`{"role":"user","content":"secret","later":1}`, "", "this version of eino"},
		{`{"user":"secret"}`, "", "this version of eino"},
		{`null`, "", "this version of eino"},
		{`{}`, "", "this version of eino"},
		{`["secret"]`, "", "this version of eino"},
		{`]`, "", "this version of eino"},
		{`{"role":"secret"`, "", "this version of eino"},
		{`{"role":"user","extra":{"n":1},"gob":{"/extra/m":"CwYDaW50BAIADg=="}}`, "", "this version of eino"},
		{`{"role":"user","extra":{"n":1},"gob":{"/extra/n":"c2VjcmV0"}}`, "/extra/n", "gob cannot read it"},
		{`{"role":"user","extra":{"n":1},"gob":{"/extra/n":""}}`, "/extra/n", "gob cannot read it"},
	} {
		all, err := eino.Decode([]byte(fine + c.line + "\n" + fine))
		fault := new(eino.MessageError)
		require.ErrorAs(t, err, &fault, c.line)
		assert.Nil(t, all)
		assert.Equal(t, 1, fault.Index)
		assert.Equal(t, c.field, fault.Field)
		assert.Contains(t, fault.Error(), c.reason)
		assert.NotContains(t, fault.Error(), "secret")
	}
}

// TestValuesOfAnotherVersionAreRefused, of which gob leaves out what the type has no field
// for now.
func TestValuesOfAnotherVersionAreRefused(t *testing.T) {
	lines, err := eino.Encode(&schema.Message{Role: schema.User, Extra: map[string]any{"n": 7}})
	require.NoError(t, err)
	fault := new(eino.MessageError)
	_, err = eino.Decode([]byte(strings.Replace(string(lines), `"n":7`, `"n":{"tokens":7,"cached":8}`, 1)))
	require.ErrorAs(t, err, &fault)
	assert.Equal(t, "/extra/n", fault.Field)
	assert.Equal(t, "it is not what was written: was int another type then?", fault.Reason)
}

// TestMessagesAreNotShared changes what was encoded, and what was decoded.
func TestMessagesAreNotShared(t *testing.T) {
	m := &schema.Message{Role: schema.User, Extra: map[string]any{"b": []byte("abc"), "m": map[string]any{"n": 1}}}
	lines, err := eino.Encode(m)
	require.NoError(t, err)
	assert.Equal(t, 1, m.Extra["m"].(map[string]any)["n"], "it is as it was")
	first, err := eino.Decode(lines)
	require.NoError(t, err)
	m.Extra["b"].([]byte)[0] = 'X'
	first[0].Extra["b"].([]byte)[0] = 'Y'
	first[0].Extra["m"].(map[string]any)["n"] = 2
	second, err := eino.Decode(lines)
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"b": []byte("abc"), "m": map[string]any{"n": 1}}, second[0].Extra)
}
