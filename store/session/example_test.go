package session_test

import (
	"errors"
	"fmt"

	"github.com/loopstore/loopstore/store/session"
)

func ExampleRead() {
	document, err := session.Read(`{
		"id": "0195b1c2-0000-7000-8000-000000000001",
		"messages": [
			{"role": "user", "content": "What is the weather?"},
			{"role": "block_assistant", "stop_reason": "tool_use", "blocks": [
				{"block_type": "text", "data": {"text": "Let me look."}},
				{"block_type": "tool_use", "data": {"id": "t1", "name": "weather", "args": {"city": "Oslo"}}}
			]},
			{"role": "tool_results", "results": [{"tool_use_id": "t1", "content": "rain"}]}
		],
		"created_at": {"secs_since_epoch": 1773331026, "nanos_since_epoch": 0},
		"updated_at": {"secs_since_epoch": 1773331086, "nanos_since_epoch": 0}
	}`)
	fmt.Println(document.MessageCount(), document.HexDigest(), err)

	_, err = session.Read(`{"id": "0195b1c2-0000-7000-8000-000000000001", "messages": [{"role": "robot"}]}`)
	if where, ok := errors.AsType[*session.Error](err); ok {
		fmt.Println(where.Offset, where.Message)
	}
	fmt.Println(err)
	// Output:
	// 3 becb040ad86a783369b06b01494ed7f3a69ad039670b5023069e434b25d5fcef <nil>
	// 69 0
	// unknown role, expected one of system, user, assistant, block_assistant, tool_results at byte 69, in message 0
}
