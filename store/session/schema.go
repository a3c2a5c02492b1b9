package session

// kind says how a value is read and written.
type kind uint8

const (
	kindString   kind = iota
	kindBool          // true or false
	kindUint          // an integer from 0 to max
	kindJSON          // any JSON value; the members of its objects are sorted when written
	kindIndexed       // part of a JSON value whose members are in the index
	kindEnum          // one of names
	kindList          // an array of elem
	kindStruct        // an object of fields, or an array of their values in order
	kindInternal      // a struct whose variant is named by its member tag
	kindAdjacent      // {tag: the variant's name, content: the variant's struct}
)

// A schema describes one type of the session document. It drives both the check
// whether a text is canonical and the rewriting of one that is not.
type schema struct {
	kind     kind
	max      uint64
	elem     *schema
	names    []string // of an enum's values or of the variants
	fields   []field
	tag      string // the member that names the variant; what an enum is called in errors
	content  string
	variants []variant
	unknown  unknown
	look     *schema // the tag, and the content, alone
	bareTag  bool    // the tag must be a name, and not the variant's number
}

// A field is a member of a struct, in the order in which it is written.
type field struct {
	name string
	of   *schema
	// absent is the text that is written when the member is absent. A field without
	// one is required, unless it is nullable: then nothing is written.
	absent string
	// nullable means that null reads as absent.
	nullable bool
	lead     string // `"name":`
}

// A variant is one case of a tagged type.
type variant struct {
	name   string
	fields []field
	lead   string // `"tag":"name"`
}

// unknown says what happens to a member that a type does not have.
type unknown uint8

const (
	checkUnknown  unknown = iota // it is read by the rules for any value, and dropped
	skipUnknown                  // it is dropped, whatever its depth, numbers or encoding
	refuseUnknown                // it is an error
)

var (
	stringValue = &schema{kind: kindString}
	boolValue   = &schema{kind: kindBool}
	uint64Value = &schema{kind: kindUint, max: 1<<64 - 1}
	uint32Value = &schema{kind: kindUint, max: 1<<32 - 1}
	jsonValue   = &schema{kind: kindJSON}

	stopReason = &schema{kind: kindEnum, tag: "stop_reason", names: []string{
		"end_turn", "tool_use", "max_tokens", "stop_sequence", "content_filter", "cancelled",
	}}

	usageFields = fields(
		field{name: "input_tokens", of: uint64Value},
		field{name: "output_tokens", of: uint64Value},
		field{name: "cache_creation_tokens", of: uint64Value, absent: "null", nullable: true},
		field{name: "cache_read_tokens", of: uint64Value, absent: "null", nullable: true},
	)

	providerMeta = tagged(&schema{kind: kindInternal, tag: "provider", variants: []variant{
		{name: "anthropic", fields: fields(field{name: "signature", of: stringValue})},
		{name: "anthropic_redacted", fields: fields(field{name: "data", of: stringValue})},
		{name: "anthropic_compaction", fields: fields(field{name: "content", of: stringValue})},
		{name: "gemini", fields: fields(field{name: "thoughtSignature", of: stringValue})},
		{name: "open_ai", fields: fields(
			field{name: "id", of: stringValue},
			field{name: "encrypted_content", of: stringValue, nullable: true},
		)},
	}})

	block = tagged(&schema{kind: kindAdjacent, tag: "block_type", content: "data", variants: []variant{
		{name: "text", fields: fields(
			field{name: "text", of: stringValue},
			field{name: "meta", of: providerMeta, nullable: true},
		)},
		{name: "reasoning", fields: fields(
			field{name: "text", of: stringValue, absent: `""`},
			field{name: "meta", of: providerMeta, nullable: true},
		)},
		{name: "tool_use", fields: fields(
			field{name: "id", of: stringValue},
			field{name: "name", of: stringValue},
			field{name: "args", of: jsonValue},
			field{name: "meta", of: providerMeta, nullable: true},
		)},
	}})

	blockData = &schema{kind: kindStruct} // its fields are the variant's

	toolCall = &schema{kind: kindStruct, fields: fields(
		field{name: "id", of: stringValue},
		field{name: "name", of: stringValue},
		field{name: "args", of: jsonValue},
	)}

	toolResult = &schema{kind: kindStruct, fields: fields(
		field{name: "tool_use_id", of: stringValue},
		field{name: "content", of: stringValue},
		field{name: "is_error", of: boolValue, absent: "false"},
	)}

	message = tagged(&schema{kind: kindInternal, tag: "role", bareTag: true, variants: []variant{
		{name: "system", fields: fields(field{name: "content", of: stringValue})},
		{name: "user", fields: fields(field{name: "content", of: stringValue})},
		{name: "assistant", fields: fields(
			field{name: "content", of: stringValue},
			field{name: "tool_calls", of: list(toolCall), absent: "[]"},
			field{name: "stop_reason", of: stopReason},
			field{name: "usage", of: &schema{kind: kindStruct, fields: usageFields}},
		)},
		{name: "block_assistant", fields: fields(
			field{name: "blocks", of: list(block)},
			field{name: "stop_reason", of: stopReason},
		)},
		{name: "tool_results", fields: fields(field{name: "results", of: list(toolResult)})},
	}})

	systemTime = &schema{kind: kindStruct, unknown: refuseUnknown, fields: fields(
		field{name: "secs_since_epoch", of: uint64Value},
		field{name: "nanos_since_epoch", of: uint32Value},
	)}

	sessionUsage = &schema{kind: kindStruct, unknown: skipUnknown, fields: usageFields}

	// document is the session itself. It is never written: an absent text says only
	// that the member may be absent.
	document = &schema{kind: kindStruct, unknown: skipUnknown, fields: fields(
		field{name: "version", of: uint32Value, absent: "1"},
		field{name: "id", of: stringValue},
		field{name: "messages", of: list(message)},
		field{name: "created_at", of: systemTime},
		field{name: "updated_at", of: systemTime},
		field{name: "metadata", of: jsonValue, absent: "{}"},
		field{name: "usage", of: sessionUsage, absent: "{}"},
	)}
)

// The members of document, by their index.
const (
	memberVersion = iota
	memberID
	memberMessages
	memberCreatedAt
	memberUpdatedAt
	memberMetadata
	memberUsage
)

func fields(all ...field) []field {
	for i := range all {
		all[i].lead = `"` + all[i].name + `":`
	}
	return all
}

func tagged(s *schema) *schema {
	s.look = &schema{kind: kindStruct, fields: fields(field{name: s.tag})}
	if s.kind == kindAdjacent {
		s.look.fields = append(s.look.fields, field{name: s.content})
	}
	for i := range s.variants {
		s.variants[i].lead = `"` + s.tag + `":"` + s.variants[i].name + `"`
		s.names = append(s.names, s.variants[i].name)
	}
	return s
}

func list(of *schema) *schema { return &schema{kind: kindList, elem: of} }

// find returns the index of the field with that name, or -1.
func find(all []field, name []byte) int {
	for i := range all {
		if all[i].name == string(name) {
			return i
		}
	}
	return -1
}
