package archive_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// sampleOfVersion1 is a small file with a line of every kind. The code of version 1
// has written it.
func sampleOfVersion1(t testing.TB) []byte {
	t.Helper()
	file, err := os.ReadFile("testdata/sample-v1.jsonl")
	require.NoError(t, err)
	return file
}

func TestEveryRuleOfVersion1IsChecked(t *testing.T) {
	checkRules(t, sampleOfVersion1(t), []alteration{
		{1, `"revision":4`, `"revision":3`, 7, "version is not one of the revisions"},
		{1, `"runtimes":2`, `"runtimes":1`, 7, `not a line of type "session", which comes next`},
		{1, `"runtimes":2`, `"runtimes":18446744073709551615`, 13, `not a line of type "runtime"`},
		{1, `"runtimes":2`, `"runtimes":18446744073709551616`, 1, "a JSON number is not what belongs there"},
		{1, `"runtimes":2`, `"runtimes":-1`, 1, "a JSON number is not what belongs there"},
		{1, `"runs":2`, `"runs":3`, 1, "the header's counts are not those of the lines"},
		{1, `"sessions":1`, `"sessions":0`, 13, `not a line of type "end"`},
		{1, `"sessions":1`, `"sessions":1,"more":1`, 1, "not spelled as it is written"},
		{2, `"version":1`, `"version":0`, 2, "version is not one of the revisions"},
		{2, `"version":1`, `"version":5`, 2, "version is not one of the revisions"},
		{2, `"runtime_id":"a\nb"`, `"runtime_id":"a\u000ab"`, 2, "not spelled as it is written"},
		{2, `"runtime_id":"a\nb"`, `"runtime_id":"\ud800"`, 2, "malformed JSON"},
		{2, `"runtime_id":"a\nb"`, `"runtime_id":"` + "\xff" + `"`, 2, "malformed JSON"},
		{2, `"runtime_id":"a\nb"`, `"runtime_id":"x","runtime_id":"a\nb"`, 2, "not spelled as it is written"},
		{2, `"runtime_id":"a\nb"`, `"runtime_id":""`, 7, "there is one with its id already"},
		{2, `"snapshots":1`, `"snapshots":0`, 3, `not a line of type "input_state"`},
		{2, `"snapshots":1`, `"snapshots":2`, 2, "more than one snapshot"},
		{2, `"input_states":1`, `"input_states":4611686018427387904`, 5, `not a line of type "input_state"`},
		{2, `,"latest_receipt":{` + aRun + `,"sequence":0}`, ``, 2, "no latest receipt"},
		{2, `"sequence":0}`, `"sequence":1}`, 2, "no latest receipt"},
		{2, `"latest_receipt":{` + aRun, `"latest_receipt":{` + otherRun, 2, "no latest receipt"},
		{3, `"messages":2`, `"messages":3`, 3, "another digest, or number of messages"},
		{3, `"messages":2,`, ``, 3, "another digest, or number of messages"},
		{3, `"digest":"`, `"digest":"0`, 3, "another digest, or number of messages"},
		{3, `hello`, `hullo`, 3, "another digest, or number of messages"},
		{3, `\"messages\"`, `\"massages\"`, 3, "invalid session snapshot: "},
		{3, `"text":`, `"base64":"","text":`, 3, "not spelled as it is written"},
		{4, `"{ }"`, `"{}"`, 4, "not spelled as it is written"},
		{4, `"{ }"`, `"{ "`, 4, "persisted_input: not valid JSON"},
		{4, `"{ }"`, `"null "`, 4, "persisted_input: null"},
		{4, `"{ }"`, `"` + strings.Repeat("[", tooDeep) + " " + strings.Repeat("]", tooDeep) + `"`, 4, "persisted_input: not valid JSON"},
		{4, `"accepted"`, `"secret"`, 4, "current_state: expected one of"},
		{4, `"attempt_count":0`, `"attempt_count":0,"persisted_input":{}`, 4, "not spelled as it is written"},
		{4, `"attempt_count":0`, `"attempt_count":0,"persisted_input":` + strings.Repeat("[", tooDeep) + strings.Repeat("]", tooDeep), 4, "malformed JSON"},
		{5, `"highest_sequence":0`, `"highest_sequence":00`, 5, "malformed JSON"},
		{5, `"receipts":1`, `"receipts":0`, 5, "a run without receipts"},
		{5, `"receipts":1`, `"receipts":2`, 7, `not a line of type "receipt"`},
		{6, aRun, otherRun, 6, "a receipt of another run"},
		{6, `"sequence":0`, `"sequence":1`, 6, "the sequences do not ascend to the highest"},
		{6, `"boundary":"run_start"`, `"boundary":"secret"`, 6, "boundary: expected one of"},
		{8, `"base64":"/w=="`, `"base64":"/x=="`, 8, "not spelled as it is written"},
		{8, `"base64":"/w=="`, `"base64":"eA=="`, 8, "not spelled as it is written"},
		{8, `"base64":"/w=="`, `"base64":"/w="`, 8, "a JSON string is not what belongs there"},
		{8, `"base64":"/w=="`, `"digest":"00","messages":0,"base64":"/w=="`, 8, "invalid session snapshot"},
		{10, `"sequence":3`, `"sequence":5`, 11, "the sequences do not ascend to the highest"},
		{11, `"sequence":5`, `"sequence":6`, 11, "the sequences do not ascend to the highest"},
		{12, otherRun, aRun, 12, "there is one with its id already"},
		{13, `"runtime_id":""`, `"runtime_id":"nobody"`, 13, "filed by a runtime that is not there"},
		{13, `"runtime_id":""`, `"runtime_id":"","snapshot":{"base64":"/w=="}`, 13, "not spelled as it is written"},
		{13, `"runtime_id":""`, `"runtime_id":"","snapshot":{"digest":"00","messages":0,"text":"x"}`, 13, "invalid session snapshot"},
		{13, `"runtime_id":""`, `"runtime_id":"","snapshot":{"digest":"","text":"x"}`, 13, "not spelled as it is written"},
	})
}
