package lincheck

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// A document is a session document with what a receipt says of it.
type document struct {
	text   string
	digest string // of the messages, which are written as the digest takes them
	count  uint64
}

// document makes a conversation that ends with a message of the call's own. It
// may begin with messages that other documents begin with too, and be large
// then, so that a store can go on from the document that it has.
func (g *generator) document() document {
	var messages []string
	if g.seldom("long conversation", 4) {
		messages = append(messages, common[:g.pick("common messages", len(common)+1)]...)
	}
	messages = append(messages, message("user", g.text(0)))
	conversation := "[" + strings.Join(messages, ",") + "]"
	sum := sha256.Sum256([]byte(conversation))
	return document{
		text: `{"version":1,"id":"0195b1c2-0000-7000-8000-000000000001","messages":` + conversation +
			`,"created_at":{"secs_since_epoch":1,"nanos_since_epoch":2},"updated_at":{"secs_since_epoch":3,"nanos_since_epoch":4}}`,
		digest: hex.EncodeToString(sum[:]),
		count:  uint64(len(messages)),
	}
}

// common are the messages with which long conversations begin.
var common = func() []string {
	all := make([]string, 8)
	for i := range all {
		role := []string{"system", "user"}[min(i, 1)]
		all[i] = message(role, fmt.Sprintf("common-%d %s", i, strings.Repeat("x", 500)))
	}
	return all
}()

func message(role, content string) string {
	return fmt.Sprintf(`{"role":%q,"content":%q}`, role, content)
}
