package archive_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/archive"
	"github.com/loopstore/loopstore/store/session"
	"github.com/loopstore/loopstore/store/state"
)

// refused returns why a file is refused, which it must be.
func refused(t testing.TB, file []byte) *archive.Error {
	t.Helper()
	state, err := archive.Read(bytes.NewReader(file))
	require.Error(t, err)
	require.Nil(t, state)
	refusal, ok := errors.AsType[*archive.Error](err)
	require.True(t, ok, "%v", err)
	return refusal
}

func lineOf(file []byte, at int) int { return 1 + bytes.Count(file[:at], []byte("\n")) }

func TestTruncatedAnywhereIsRefused(t *testing.T) {
	file := sample(t)
	for n := 0; n < len(file); n += every {
		refusal := refused(t, file[:n])
		require.Equal(t, lineOf(file, n), refusal.Line, "cut at byte %d", n)
		require.ErrorIs(t, refusal, io.ErrUnexpectedEOF)
	}
}

func TestEveryAlteredByteIsFoundOnItsLine(t *testing.T) {
	file := sample(t)
	for n := 0; n < len(file); n += every {
		for _, flip := range []byte{1, 0x20, 0x80, file[n] ^ '\n', file[n] ^ ' '} {
			if flip == 0 {
				continue
			}
			file[n] ^= flip
			require.Equal(t, lineOf(file, n), refused(t, file).Line, "byte %d, ^ %#x", n, flip)
			file[n] ^= flip
		}
	}
	read(t, file)
}

func TestMovedLinesAreFound(t *testing.T) {
	lines := bytes.SplitAfter(sample(t), []byte("\n"))
	lines = lines[:len(lines)-1] // nothing comes after the last line feed
	for i := range lines {
		without := slices.Delete(slices.Clone(lines), i, i+1)
		assert.Equal(t, i+1, refused(t, bytes.Join(without, nil)).Line, "without line %d", i+1)
		doubled := slices.Insert(slices.Clone(lines), i, lines[i])
		assert.Equal(t, i+2, refused(t, bytes.Join(doubled, nil)).Line, "line %d twice", i+1)
		for j := range i {
			swapped := slices.Clone(lines)
			swapped[i], swapped[j] = swapped[j], swapped[i]
			assert.Equal(t, j+1, refused(t, bytes.Join(swapped, nil)).Line, "lines %d and %d swapped", j+1, i+1)
		}
	}
}

func TestWhatIsNoExportIsRefusedAtOnce(t *testing.T) {
	file := sample(t)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write(file)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	for name, text := range map[string]string{
		"gzip": packed.String(), "blank line first": "\n" + string(file), "BOM": "\ufeff" + string(file),
		"CRLF": strings.ReplaceAll(string(file), "\n", "\r\n"), "other JSON": `{"a":1}`, "other lines": `{"type":"runtime"}` + "\n",
		"deep nesting": strings.Repeat("[", 1<<20),
	} {
		assert.Equal(t, 1, refused(t, []byte(text)).Line, name)
	}
	assert.ErrorIs(t, refused(t, nil), io.ErrUnexpectedEOF)

	opening, _, _ := bytes.Cut(file, []byte(`"version"`))
	endless := &counted{r: io.MultiReader(bytes.NewReader(opening), zeros{})}
	_, err = archive.Read(endless)
	require.ErrorContains(t, err, "line 1: not an export")
	require.Less(t, endless.n, 1<<20, "a header has no such length")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type counted struct {
	r io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

func TestALongLineTakesMemoryForItselfOnly(t *testing.T) {
	const size = 100 << 20
	opening, _, _ := bytes.Cut(sample(t), []byte(`{"type":"runtime"`))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := archive.Read(io.MultiReader(bytes.NewReader(opening), io.LimitReader(zeros{}, size)))
	runtime.ReadMemStats(&after)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.ErrorContains(t, err, "line 2")
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(12*size), "what the growing of one buffer takes")
}

func TestAnotherVersionIsRefused(t *testing.T) {
	header := `{"type":"header","format":"loopstore","version":4,"compression":"none"}` + "\n"
	refusal := refused(t, []byte(header))
	require.ErrorIs(t, refusal, archive.ErrVersion)
	require.EqualError(t, refusal, "line 1: unknown version of the format: 4, and this program knows up to 3")
}

// seal adds a line with its check to a file: what somebody who knows the format
// can do, and a random change cannot.
func seal(file []byte, text string) []byte {
	file = append(file, text...)
	sum := sha256.Sum256(file)
	return append(file, `,"check":"`+hex.EncodeToString(sum[:8])+"\"}\n"...)
}

// sealAll makes a file of lines without checks, with its end.
func sealAll(lines []string) (file []byte) {
	for _, text := range lines {
		file = seal(file, text)
	}
	return seal(file, fmt.Sprintf(`{"type":"end","lines":%d,"sha256":"%x"`, len(lines)+1, sha256.Sum256(file)))
}

var checkPattern = regexp.MustCompile(`,"check":"[0-9a-f]{16}"}$`)

// unseal returns the lines of a file without their checks, and without the end.
func unseal(file []byte) []string {
	lines := strings.Split(strings.TrimSuffix(string(file), "\n"), "\n")
	for i := range lines {
		lines[i] = checkPattern.ReplaceAllString(lines[i], "")
	}
	return lines[:len(lines)-1]
}

// An alteration of one line, and how the file is refused for it.
type alteration struct {
	line     int // that is changed
	old, new string
	reported int // the line of the error
	reason   string
}

func checkRules(t *testing.T, file []byte, all []alteration) {
	lines := unseal(file)
	require.Equal(t, string(file), string(sealAll(lines)), "a file is sealed as Write does it")
	for _, c := range all {
		altered := slices.Clone(lines)
		require.Contains(t, altered[c.line-1], c.old, "line %d", c.line)
		altered[c.line-1] = strings.Replace(altered[c.line-1], c.old, c.new, 1)
		refusal := refused(t, sealAll(altered))
		assert.ErrorContains(t, refusal, c.reason, "%s to %.80s", c.old, c.new)
		assert.Equal(t, c.reported, refusal.Line, "%s to %.80s: %v", c.old, c.new, refusal)
		assert.NotContains(t, refusal.Error(), "secret", "an error holds nothing of the file")
		assert.Less(t, len(refusal.Error()), 300)
	}
}

const (
	aRun     = `"run_id":"01000000-0000-0000-0000-000000000000"`
	otherRun = `"run_id":"02000000-0000-0000-0000-000000000000"`
	tooDeep  = 10_001
)

// A wrong file whose checks are right is refused for what is wrong in it.
func TestEveryRuleIsChecked(t *testing.T) {
	checkRules(t, sample(t), []alteration{
		{1, `"revision":5`, `"revision":4`, 15, "version is not one of the revisions"},
		{1, `"runtimes":3`, `"runtimes":2`, 15, `not a line of type "session", which comes next`},
		{1, `"runtimes":3`, `"runtimes":18446744073709551615`, 27, `not a line of type "runtime"`},
		{1, `"runtimes":3`, `"runtimes":18446744073709551616`, 1, "a JSON number is not what belongs there"},
		{1, `"runtimes":3`, `"runtimes":-1`, 1, "a JSON number is not what belongs there"},
		{1, `"runs":2`, `"runs":3`, 1, "the header's counts are not those of the lines"},
		{1, `"versions":6`, `"versions":5`, 1, "the header's counts are not those of the lines"},
		{1, `"parts":9`, `"parts":10`, 1, "the header's counts are not those of the lines"},
		{1, `"sessions":2`, `"sessions":1`, 28, `not a line of type "end"`},
		{1, `"sessions":2`, `"sessions":2,"more":1`, 1, "not spelled as it is written"},
		{2, `"version":1`, `"version":0`, 2, "version is not one of the revisions"},
		{2, `"version":1`, `"version":6`, 2, "version is not one of the revisions"},
		{2, `"runtime_id":"a\nb"`, `"runtime_id":"a\u000ab"`, 2, "not spelled as it is written"},
		{2, `"runtime_id":"a\nb"`, `"runtime_id":"\ud800"`, 2, "malformed JSON"},
		{2, `"runtime_id":"a\nb"`, `"runtime_id":"` + "\xff" + `"`, 2, "malformed JSON"},
		{2, `"runtime_id":"a\nb"`, `"runtime_id":"x","runtime_id":"a\nb"`, 2, "not spelled as it is written"},
		{2, `"runtime_id":"a\nb"`, `"runtime_id":""`, 8, "there is one with its id already"},
		{2, `"versions":1`, `"versions":0`, 3, `not a line of type "input_state"`},
		{2, `"versions":1`, `"versions":2`, 5, `not a line of type "version"`},
		{2, `"input_states":1`, `"input_states":4611686018427387904`, 6, `not a line of type "input_state"`},
		{2, `,"latest_receipt":{` + aRun + `,"sequence":0}`, ``, 2, "no latest receipt"},
		{2, `"sequence":0}`, `"sequence":1}`, 2, "no latest receipt"},
		{2, `"latest_receipt":{` + aRun, `"latest_receipt":{` + otherRun, 2, "no latest receipt"},
		{15, `"number":1}`, `"number":0}`, 15, "forked from no version"},
		{15, `"origin":{"runtime_id":"a\nb",`, `"origin":{`, 15, "not spelled as it is written"},
		{15, `"origin":{`, `"origin":{"more":1,`, 15, "not spelled as it is written"},

		{3, `"number":1`, `"number":0`, 3, "the numbers of the versions do not ascend from 1"},
		{20, `"number":3`, `"number":2`, 20, "the numbers of the versions do not ascend from 1"},
		{24, `"number":9`, `"number":9223372036854775808`, 24, "the numbers of the versions do not ascend from 1"},
		{3, `"number":1`, `"number":1,"made":0`, 3, "not spelled as it is written"},
		{3, `"receipt":{`, `"receipt":{"more":1,`, 3, "not spelled as it is written"},
		{3, `"meerkat"`, `"secret"`, 3, "a JSON string is not what belongs there"},
		{3, `"meerkat"`, `"Meerkat"`, 3, "a JSON string is not what belongs there"},
		{3, `"meerkat"`, `"lines"`, 3, "invalid session snapshot"},
		{3, `"meerkat"`, `"opaque"`, 3, "another digest, or number of messages"},
		{3, `"meerkat"`, `"unset"`, 3, "another digest, or number of messages"},
		{3, `"messages":2`, `"messages":3`, 3, "another digest, or number of messages"},
		{3, `,"messages":2`, ``, 3, "another digest, or number of messages"},
		{3, `"digest":"6`, `"digest":"06`, 3, "another digest, or number of messages"},
		{3, `"digest":"6`, `"digest":"`, 3, "another digest, or number of messages"},
		{4, `hello`, `hullo`, 3, "another digest, or number of messages"},
		{4, `\"messages\"`, `\"massages\"`, 3, "invalid session snapshot: "},
		{9, `"part":2`, `"part":2,"digest":""`, 9, "not spelled as it is written"},
		{9, `"part":2`, `"part":2,"digest":"00","messages":0`, 9, "another digest, or number of messages"},
		{9, `"part":2`, `"part":2,"messages":0`, 9, "another digest, or number of messages"},
		{9, `"format":"unset",`, ``, 9, "not spelled as it is written"},
		{23, `"messages":4`, `"messages":5,"messages":4`, 23, "not spelled as it is written"},
		{23, `,"messages":4`, ``, 23, "another digest, or number of messages"},
		{16, `"messages":2`, `"messages":1`, 16, "another digest, or number of messages"},
		{17, `"[1]\n2"`, `"[1] 2"`, 16, "invalid session snapshot: "},
		{21, `\"x\"`, `\"x`, 20, "invalid session snapshot: "},

		{3, `"parts":1`, `"parts":0`, 3, "parts that are not there"},
		{3, `"parts":1`, `"parts":2`, 5, `not a line of type "part"`},
		{3, `"parts":1`, `"parts":18446744073709551615`, 5, `not a line of type "part"`},
		{3, `,"part":1`, ``, 3, "parts that are not there, or do not belong to it"},
		{16, `"part":5`, `"part":4`, 16, "parts that are not there, or do not belong to it"},
		{16, `"part":5`, `"part":6`, 16, "parts that are not there, or do not belong to it"},
		{16, `"part":5`, `"part":1`, 16, "parts that are not there, or do not belong to it"},
		{23, `"format":"opaque"`, `"format":"opaque","part":0`, 23, "not spelled as it is written"},
		{27, `"part":2`, `"part":10`, 27, "parts that are not there, or do not belong to it"},
		{4, `"number":1`, `"number":2`, 4, "not the number of the part that comes next"},
		{4, `"number":1`, `"number":0`, 4, "not the number of the part that comes next"},
		{17, `"[1]\n2"`, `""`, 17, "neither bytes nor a list"},
		{17, `"[1]\n2"`, `"` + strings.Repeat("x", session.MaxBytes+1) + `"`, 17, "more than a part has"},
		{17, `,"text":"[1]\n2"`, ``, 17, "neither bytes nor a list"},
		{17, `"text":"[1]\n2"`, `"parts":[]`, 17, "neither bytes nor a list"},
		{17, `"text":"[1]\n2"`, `"parts":null`, 17, "neither bytes nor a list"},
		{17, `"text":"[1]\n2"`, `"base64":""`, 17, "neither bytes nor a list"},
		{17, `"text":"[1]\n2"`, `"base64":"eA=="`, 17, "not spelled as it is written"},
		{17, `"text":`, `"base64":"/w==","text":`, 17, "or both"},
		{10, `"base64":"/w=="`, `"base64":"/x=="`, 10, "not spelled as it is written"},
		{10, `"base64":"/w=="`, `"base64":"/w="`, 10, "a JSON string is not what belongs there"},
		{10, `"base64":"/w=="`, `"text":"\ufffd","base64":null`, 10, "not spelled as it is written"},
		{19, `"parts":`, `"text":"x","parts":`, 19, "or both"},
		{19, `"parts":`, `"base64":"/w==","parts":`, 19, "or both"},
		{19, `[3,4]`, `[4,3]`, 19, "a list of parts that do not come before it, in their order"},
		{19, `[3,4]`, `[3,3]`, 19, "a list of parts that do not come before it, in their order, each once"},
		{19, `[3,4]`, `[3,5]`, 19, "a list of parts that do not come before it"},
		{19, `[3,4]`, `[3,0]`, 19, "a list of parts that do not come before it"},
		{19, `[3,4]`, `[3,18446744073709551615]`, 19, "a list of parts that do not come before it"},
		{19, `[3,4]`, `[3]`, 19, "a list of parts that do not come before it, in their order"},
		{19, `[3,4]`, `[4]`, 16, "parts that are not there, or do not belong to it"},
		{19, `[3,4]`, `[3,4.0]`, 19, "neither bytes nor a list"},
		{19, `[3,4]`, `[3,-4]`, 19, "neither bytes nor a list"},
		{19, `[3,4]`, `[3,"4"]`, 19, "neither bytes nor a list"},
		{19, `[3,4]`, `[` + strings.Repeat("1,", session.MaxParts) + `4]`, 19, "neither bytes nor a list"},
		{22, `[3,4,6]`, `[3,4,3]`, 22, "each once"},
		{22, `[3,4,6]`, `[3,4]`, 20, "parts that are not there, or do not belong to it"},
		{22, `[3,4,6]`, `[5,6]`, 22, "a list of parts on other levels"},
		{26, `[6,8,3]`, `[1,6,8,3,4,2,10]`, 26, "a list of parts that do not come before it"},

		{5, `"{ }"`, `"{}"`, 5, "not spelled as it is written"},
		{5, `"{ }"`, `"{ "`, 5, "persisted_input: not valid JSON"},
		{5, `"{ }"`, `"null "`, 5, "persisted_input: null"},
		{5, `"{ }"`, `"` + strings.Repeat("[", tooDeep) + " " + strings.Repeat("]", tooDeep) + `"`, 5, "persisted_input: not valid JSON"},
		{5, `"accepted"`, `"secret"`, 5, "current_state: expected one of"},
		{5, `"attempt_count":0`, `"attempt_count":0,"persisted_input":{}`, 5, "not spelled as it is written"},
		{5, `"attempt_count":0`, `"attempt_count":0,"persisted_input":` + strings.Repeat("[", tooDeep) + strings.Repeat("]", tooDeep), 5, "malformed JSON"},
		{6, `"highest_sequence":0`, `"highest_sequence":00`, 6, "malformed JSON"},
		{6, `"receipts":1`, `"receipts":0`, 6, "a run without receipts"},
		{6, `"receipts":1`, `"receipts":2`, 8, `not a line of type "receipt"`},
		{7, aRun, otherRun, 7, "a receipt of another run"},
		{7, `"sequence":0`, `"sequence":1`, 7, "the sequences do not ascend to the highest"},
		{7, `"boundary":"run_start"`, `"boundary":"secret"`, 7, "boundary: expected one of"},
		{12, `"sequence":3`, `"sequence":5`, 13, "the sequences do not ascend to the highest"},
		{13, `"sequence":5`, `"sequence":6`, 13, "the sequences do not ascend to the highest"},
		{14, otherRun, aRun, 14, "there is one with its id already"},
		{27, `"runtime_id":""`, `"runtime_id":"nobody"`, 27, "filed by a runtime that is not there"},
		{27, `"format":"unset"`, `"format":"meerkat"`, 27, "invalid session snapshot"},
		{28, `"session_id":"07`, `"session_id":"08`, 28, "there is one with its id already"},
		{28, `"messages":4`, `"messages":4,"more":1`, 28, "not spelled as it is written"},
		{28, `"format":"opaque"`, `"format":"lines"`, 28, "another digest, or number of messages"},
	})
}

// What a store goes on from after it took over the highest numbers that it may
// can be written and taken over again.
func TestAStoreGoesOnFromTheHighestNumbers(t *testing.T) {
	const most = 1<<64 - 1
	lines := unseal(sample(t))
	numbered := func(revision, sequence uint64) []byte {
		altered := slices.Clone(lines)
		replace := func(line int, what string, by uint64) {
			name, _, _ := strings.Cut(what, ":")
			require.Contains(t, altered[line-1], what)
			altered[line-1] = strings.Replace(altered[line-1], what, fmt.Sprintf("%s:%d", name, by), 1)
		}
		replace(1, `"revision":5`, revision)
		replace(8, `"version":4`, revision)
		replace(8, `"sequence":5`, sequence)
		replace(11, `"highest_sequence":5`, sequence)
		replace(13, `"sequence":5`, sequence)
		replace(14, `"highest_sequence":9`, sequence)
		return sealAll(altered)
	}
	for _, revision := range []uint64{1 << 63, most} {
		assert.EqualError(t, refused(t, numbered(revision, 5)), "line 1: no store comes to such a revision")
	}
	held := read(t, numbered(state.MaxRevision-1, most))
	for _, run := range []store.RunID{{1}, {2}, {3}} {
		_, err := ops.Run(held, ops.CommitSessionBoundary{RuntimeID: "", Commit: store.BoundaryCommit{
			Session: store.SessionDelta{SessionSnapshot: documentOf(store.SessionID{9}, 1, "x")}, RunID: run, Boundary: store.RunStart,
		}})
		if run != (store.RunID{3}) {
			require.ErrorIs(t, err, store.ErrSequenceExhausted)
		} else {
			require.NoError(t, err)
		}
	}
	assert.EqualValues(t, uint64(state.MaxRevision), held.Revision())
	last := pictureOf(held)
	_, err := ops.Run(held, ops.PersistRuntimeState{RuntimeID: "", State: store.RuntimeIdle})
	require.ErrorIs(t, err, store.ErrRevisionExhausted)
	_, err = ops.Run(held, ops.LoadRuntimeState{RuntimeID: ""})
	require.NoError(t, err, "it can be read")
	assert.Equal(t, last, pictureOf(held))
	assert.Equal(t, last, pictureOf(read(t, write(t, held))))
}

func TestWhatIsThereTwiceIsRefused(t *testing.T) {
	lines := unseal(sample(t))
	for _, c := range []struct {
		counted  int // the line that counts them
		what     string
		from, to int // the lines that are doubled
	}{{1, "sessions", 28, 28}, {2, "input_states", 5, 5}, {2, "runs", 6, 7}} {
		doubled := slices.Insert(slices.Clone(lines), c.to, lines[c.from-1:c.to]...)
		for n := 2; n > 0; n-- {
			doubled[c.counted-1] = strings.Replace(doubled[c.counted-1], fmt.Sprintf("%q:%d", c.what, n), fmt.Sprintf("%q:%d", c.what, n+1), 1)
		}
		refusal := refused(t, sealAll(doubled))
		assert.ErrorContains(t, refusal, "there is one with its id already", c.what)
		assert.Equal(t, c.to+1, refusal.Line, c.what)
	}
}

func TestTheEndCountsAndDigestsTheLines(t *testing.T) {
	var file []byte
	lines := unseal(sample(t))
	for _, text := range lines {
		file = seal(file, text)
	}
	sum := sha256.Sum256(file)
	for _, c := range []struct {
		lines int
		sum   []byte
	}{{len(lines), sum[:]}, {len(lines) + 1, sum[:31]}} {
		refusal := refused(t, seal(file, fmt.Sprintf(`{"type":"end","lines":%d,"sha256":"%x"`, c.lines, c.sum)))
		assert.EqualError(t, refusal, "line 29: the number of lines or their SHA-256 is another")
	}
	refusal := refused(t, append(sample(t), '\n'))
	assert.EqualError(t, refusal, "line 30: more lines after the end")
}
