package lincheck

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/loopstore/loopstore/store"
)

// document makes a session whose last message has the call's mark. It takes the digest
// from the canonical spelling of the messages, and then spells them in any way.
func (g *generator) document() *session {
	messages := g.messages()
	whole := typed{
		{name: "version", value: number("1"), isDefault: true},
		{name: "id", value: word("0195b1c2-0000-7000-8000-000000000001")},
		{name: "messages", value: messages},
		{name: "created_at", value: date(1)},
		{name: "updated_at", value: date(3)},
		{name: "metadata", value: mapping{}, isDefault: true},
		{name: "usage", value: usage, isDefault: true},
	}
	sum := sha256.Sum256([]byte(spell(messages, 0)))
	return &session{spell(whole, g.spelling()), store.FormatMeerkat, hex.EncodeToString(sum[:]), uint64(len(messages))}
}

// spelling returns a seed for [spell], mostly that of the canonical spelling.
func (g *generator) spelling() uint64 {
	const usual, others = 600, 400
	return uint64(max(0, g.pick("spelling", usual+others)-usual))
}

// messages may begin with large messages that other documents begin with too, so that
// a store can continue from the document that it holds. It must not do so where one of
// them was edited.
func (g *generator) messages() array {
	var all array
	if g.seldom("long conversation", 4) {
		all = append(all, common[:g.pick("common messages", len(common)+1)]...)
		if len(all) > 0 && g.seldom("an edit", 3) {
			at := g.pick("edited message", len(all))
			all[at] = edited[at]
		}
	}
	return append(all, message(roles[g.pick("role", len(roles))], g.text(0)))
}

// common are the messages with which long conversations begin. edited are others of
// the same lengths.
var common, edited = beginning("x"), beginning("y")

func beginning(letter string) array {
	all := make(array, 8)
	for i := range all {
		role := roles[(i+1)%len(roles)] // the first role is system
		all[i] = message(role, fmt.Sprintf("common-%d %s", i, strings.Repeat(letter, 500)))
	}
	return all
}

var roles = []string{"user", "system", "assistant", "block_assistant", "tool_results"}

// message returns a message of a role, with all members of its type.
func message(role, content string) node {
	switch role {
	case "assistant":
		return typed{
			{name: "role", value: word(role)},
			{name: "content", value: prose(content)},
			{name: "tool_calls", value: array{toolCall(content)}},
			{name: "stop_reason", value: word("end_turn")},
			{name: "usage", value: usage},
		}
	case "block_assistant":
		return typed{
			{name: "role", value: word(role)},
			{name: "blocks", value: array{
				block("text", member{name: "text", value: prose(content)}, meta("anthropic", "signature")),
				block("reasoning", member{name: "text", value: word(""), isDefault: true}, meta("open_ai", "id")),
				block("tool_use", append(toolCall("elsewhere"), meta("gemini", "thoughtSignature"))...),
			}},
			{name: "stop_reason", value: word("tool_use")},
		}
	case "tool_results":
		return typed{
			{name: "role", value: word(role)},
			{name: "results", value: array{typed{
				{name: "tool_use_id", value: word("tool-1")},
				{name: "content", value: prose(content)},
				{name: "is_error", value: scalar{canonical: "false"}, isDefault: true},
			}}},
		}
	}
	return typed{{name: "role", value: word(role)}, {name: "content", value: prose(content)}}
}

func block(kind string, data ...member) node {
	return strict{{name: "block_type", value: word(kind)}, {name: "data", value: typed(data)}}
}

func meta(provider, name string) member {
	return member{name: "meta", value: typed{
		{name: "provider", value: word(provider)},
		{name: name, value: prose("of " + provider)},
	}}
}

// toolCall returns a call whose arguments have numbers that can be spelled in more than
// one way.
func toolCall(content string) typed {
	return typed{
		{name: "id", value: word("tool-1")},
		{name: "name", value: word("search")},
		{name: "args", value: mapping{
			{name: "a", value: array{scalar{"1.5", "15e-1"}, scalar{"1e+16", "10000000000000000.0"}, scalar{"-0.0", "-0"}}},
			{name: "b", value: mapping{{name: "deep", value: prose(content)}, {name: "none", value: scalar{canonical: "null"}}}},
		}},
	}
}

var usage = typed{
	{name: "input_tokens", value: number("0")},
	{name: "output_tokens", value: number("0")},
	{name: "cache_creation_tokens", value: scalar{canonical: "null"}, isDefault: true},
	{name: "cache_read_tokens", value: scalar{canonical: "null"}, isDefault: true},
}

func date(seconds int) node {
	return strict{
		{name: "secs_since_epoch", value: number(fmt.Sprint(seconds))},
		{name: "nanos_since_epoch", value: number("2")},
	}
}

func number(text string) scalar { return scalar{canonical: text} }

// word returns a string with one spelling, prose one that can be spelled with escapes.
func word(content string) scalar { return scalar{canonical: `"` + content + `"`} }

func prose(content string) scalar {
	return scalar{canonical: `"` + content + ` é/\n"`, other: `"` + content + `\u0020\u00e9\/\u000A"`}
}
