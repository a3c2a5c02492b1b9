package storetest

// A spelling is one message, as its canonical text and as other texts with the same
// digest.
type spelling struct {
	name      string
	digest    string // of each of the texts, by package session
	canonical string
	others    []string
}

// snapshots returns documents with the message, one for each text, the canonical one
// first. The last one has its members in another order, lacks one and has an unknown
// one.
func (s *spelling) snapshots() [][]byte {
	all := [][]byte{document("[" + s.canonical + "]")}
	for _, text := range s.others {
		all = append(all, document("[ "+text+"\n]"))
	}
	return append(all, []byte(`{"messages":[`+s.canonical+`],"usage":{"output_tokens":7,"input_tokens":5},"metadata":{"b":1.50,"a":[null]},"more":{"messages":[]},`+
		`"updated_at":{"nanos_since_epoch":0,"secs_since_epoch":3},"created_at":{"secs_since_epoch":1,"nanos_since_epoch":2},"id":"0195B1C2000070008000000000000001"}`))
}

// spellings cover every role.
func spellings() []spelling {
	return []spelling{
		{"user", "c67dddfa938ac3269f2b1ed9f6c66e08a9b3a0ee7ba01124bfe67129dc5841d7",
			`{"role":"user","content":"a é / 日 \"\\\n\u0001"}`,
			[]string{
				`{"content":"a é / 日 \"\\\n\u0001","role":"user"}`,
				`{"role":"user","content":"a \u00e9 \/ \u65e5 \u0022\u005c\u000a\u0001"}`,
				`{"role":"user","name":"x","content":"a é / 日 \"\\\n\u0001","meta":{"content":"y"}}`,
				"{\t\"role\" :\"user\" ,\r\n \"content\": \"a é / 日 \\\"\\\\\\n\\u0001\" }",
			}},
		{"system", "c1b2ad8cb22792bf6d0ca8f82743585046f2759b3e0e86c5af3ace43b0c1c9be",
			`{"role":"system","content":""}`,
			[]string{`{"content":"","role":"system"}`}},
		{"assistant", "4e0070f3886c837fc24f2a534ed0f054938730007fa3638ad8f21242f0d4cd87",
			`{"role":"assistant","content":"x","tool_calls":[{"id":"t","name":"n","args":{"a":[1.5,-0.0,1e+16,18446744073709551615,{}],"b":null}}],"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":2,"cache_creation_tokens":null,"cache_read_tokens":3}}`,
			[]string{
				`{"usage":{"cache_read_tokens":3,"output_tokens":2,"input_tokens":1},"stop_reason":"tool_use","tool_calls":[{"args":{"b":null,"a":[1.50,-0,1E16,18446744073709551615,{}]},"name":"n","id":"t"}],"content":"\u0078","role":"assistant"}`,
				`{"role":"assistant","content":"x","tool_calls":[{"id":"t","name":"n","args":{"b":1,"b":null,"a":[15e-1,-0.0,10000000000000000.0,18446744073709551615,{ }]}}],"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":2,"cache_read_tokens":3,"more":0}}`,
			}},
		{"assistant without tool calls", "c619508bf87c4549ad11cdcb64bf9523feefc59530c7c9c911d55a22d759cbbe",
			`{"role":"assistant","content":"x","tool_calls":[],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2,"cache_creation_tokens":null,"cache_read_tokens":null}}`,
			[]string{`{"role":"assistant","content":"x","stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2}}`}},
		{"block_assistant", "01da8a1996e9854036c3b71b04ac84246de5fd945d81a904bdbc8ed2bb002160",
			`{"role":"block_assistant","blocks":[{"block_type":"reasoning","data":{"text":""}},{"block_type":"text","data":{"text":"é","meta":{"provider":"gemini","thoughtSignature":"s"}}},{"block_type":"tool_use","data":{"id":"t","name":"n","args":{"a":1,"b":2}}}],"stop_reason":"max_tokens"}`,
			[]string{
				`{"stop_reason":"max_tokens","blocks":[{"data":{},"block_type":"reasoning"},{"data":{"meta":{"thoughtSignature":"s","provider":"gemini"},"text":"\u00e9"},"block_type":"text"},{"block_type":"tool_use","data":{"args":{"b":2,"a":1},"name":"n","id":"t"}}],"role":"block_assistant"}`,
			}},
		{"tool_results", "c28f0b5ba0f2b9c0e115b6e0a7e3b2d6e1cb794711d1c19d84ad2ffb8efae2ab",
			`{"role":"tool_results","results":[{"tool_use_id":"t","content":"x","is_error":false},{"tool_use_id":"u","content":"","is_error":true}]}`,
			[]string{`{"role":"tool_results","results":[{"content":"x","tool_use_id":"t"},{"is_error":true,"content":"","tool_use_id":"u","more":[]}]}`}},
	}
}
