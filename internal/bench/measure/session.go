package measure

import (
	"bytes"
	"fmt"
	"strings"
)

// Session returns a session document of about size bytes.
func Session(size int) []byte {
	const message = `{"role":"user","content":"%s"},{"role":"block_assistant","blocks":[{"block_type":"text","data":{"text":"%[1]s"}}],"stop_reason":"end_turn"}`
	turn := fmt.Sprintf(message, strings.Repeat("some words ", 40))
	turns := make([]string, max(1, size/len(turn)))
	for i := range turns {
		turns[i] = turn
	}
	return fmt.Appendf(nil, `{"version":1,"id":"0195b1c2-0000-7000-8000-000000000001","messages":[%s],"created_at":{"secs_since_epoch":1,"nanos_since_epoch":2},"updated_at":{"secs_since_epoch":3,"nanos_since_epoch":4},"metadata":{},"usage":{"input_tokens":0,"output_tokens":0,"cache_creation_tokens":null,"cache_read_tokens":null}}`,
		strings.Join(turns, ","))
}

// Sessions returns two session documents of about size bytes. Their first messages differ,
// so that neither is the other one grown.
func Sessions(size int) (two [2][]byte) {
	two[0] = Session(size)
	two[1] = bytes.Replace(two[0], []byte("some"), []byte("Some"), 1)
	return two
}

// Grown returns a document of [Session] with a message of 1 KB added.
func Grown(session []byte) []byte {
	message := `,{"role":"user","content":"` + strings.Repeat("x", 1<<10) + `"}],"created_at"`
	return bytes.Replace(session, []byte(`],"created_at"`), []byte(message), 1)
}

// Counted returns a session document of about size bytes that counts its tokens in
// front of its messages.
func Counted(size, tokens int) []byte {
	session := Session(size)
	usage := session[bytes.Index(session, []byte(`,"usage"`)) : len(session)-1]
	session = bytes.Replace(session, append(usage, '}'), []byte("}"), 1)
	counted := bytes.Replace(usage, []byte(`"input_tokens":0`), fmt.Appendf(nil, `"input_tokens":%d`, tokens), 1)
	return bytes.Replace(session, []byte(`,"id"`), append(counted, `,"id"`...), 1)
}

// Lines returns JSON Lines of about size bytes, no two of which are alike.
func Lines(size int) []byte {
	var lines []byte
	for n := 0; len(lines) < size; n++ {
		lines = fmt.Appendf(lines, `{"role":"user","content":"%d%s"}`+"\n", n, strings.Repeat("some words ", 40))
	}
	return lines
}

// line is a line of 1 KB.
var line = `{"role":"user","content":"` + strings.Repeat("x", 1<<10) + `"}` + "\n"
