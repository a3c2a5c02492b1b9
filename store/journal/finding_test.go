package journal_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/loopstore/loopstore/store/journal"
)

func TestStatusNames(t *testing.T) {
	for status, name := range map[journal.Status]string{
		journal.OK: "OK", journal.Unknown: "UNKNOWN", journal.Risk: "RISK", journal.Broken: "BROKEN", -1: "Status(-1)", 4: "Status(4)",
	} {
		assert.Equal(t, name, status.String())
	}
}
