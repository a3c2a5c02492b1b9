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
	header := `{"type":"header","format":"loopstore","version":2,"compression":"none"}` + "\n"
	refusal := refused(t, []byte(header))
	require.ErrorIs(t, refusal, archive.ErrVersion)
	require.EqualError(t, refusal, "line 1: unknown version of the format: 2")
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

// A wrong file whose checks are right is refused for what is wrong in it.
func TestEveryRuleIsChecked(t *testing.T) {
	file := sample(t)
	lines := unseal(file)
	require.Equal(t, string(file), string(sealAll(lines)), "a file is sealed as Write does it")
	const (
		run   = `"run_id":"01000000-0000-0000-0000-000000000000"`
		other = `"run_id":"02000000-0000-0000-0000-000000000000"`
		deep  = 10_001
	)
	for _, c := range []struct {
		line     int // that is changed
		old, new string
		reported int // the line of the error
		reason   string
	}{
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
		{2, `,"latest_receipt":{` + run + `,"sequence":0}`, ``, 2, "no latest receipt"},
		{2, `"sequence":0}`, `"sequence":1}`, 2, "no latest receipt"},
		{2, `"latest_receipt":{` + run, `"latest_receipt":{` + other, 2, "no latest receipt"},
		{3, `"messages":2`, `"messages":3`, 3, "another digest, or number of messages"},
		{3, `"messages":2,`, ``, 3, "another digest, or number of messages"},
		{3, `"digest":"`, `"digest":"0`, 3, "another digest, or number of messages"},
		{3, `hello`, `hullo`, 3, "another digest, or number of messages"},
		{3, `\"messages\"`, `\"massages\"`, 3, "invalid session snapshot: "},
		{3, `"text":`, `"base64":"","text":`, 3, "not spelled as it is written"},
		{4, `"{ }"`, `"{}"`, 4, "not spelled as it is written"},
		{4, `"{ }"`, `"{ "`, 4, "persisted_input: not valid JSON"},
		{4, `"{ }"`, `"null "`, 4, "persisted_input: null"},
		{4, `"{ }"`, `"` + strings.Repeat("[", deep) + " " + strings.Repeat("]", deep) + `"`, 4, "persisted_input: not valid JSON"},
		{4, `"accepted"`, `"secret"`, 4, "current_state: expected one of"},
		{4, `"attempt_count":0`, `"attempt_count":0,"persisted_input":{}`, 4, "not spelled as it is written"},
		{4, `"attempt_count":0`, `"attempt_count":0,"persisted_input":` + strings.Repeat("[", deep) + strings.Repeat("]", deep), 4, "malformed JSON"},
		{5, `"highest_sequence":0`, `"highest_sequence":00`, 5, "malformed JSON"},
		{5, `"receipts":1`, `"receipts":0`, 5, "a run without receipts"},
		{5, `"receipts":1`, `"receipts":2`, 7, `not a line of type "receipt"`},
		{6, run, other, 6, "a receipt of another run"},
		{6, `"sequence":0`, `"sequence":1`, 6, "the sequences do not ascend to the highest"},
		{6, `"boundary":"run_start"`, `"boundary":"secret"`, 6, "boundary: expected one of"},
		{8, `"base64":"/w=="`, `"base64":"/x=="`, 8, "not spelled as it is written"},
		{8, `"base64":"/w=="`, `"base64":"eA=="`, 8, "not spelled as it is written"},
		{8, `"base64":"/w=="`, `"base64":"/w="`, 8, "a JSON string is not what belongs there"},
		{8, `"base64":"/w=="`, `"digest":"00","messages":0,"base64":"/w=="`, 8, "invalid session snapshot"},
		{10, `"sequence":3`, `"sequence":5`, 11, "the sequences do not ascend to the highest"},
		{11, `"sequence":5`, `"sequence":6`, 11, "the sequences do not ascend to the highest"},
		{12, other, run, 12, "there is one with its id already"},
		{13, `"runtime_id":""`, `"runtime_id":"nobody"`, 13, "filed by a runtime that is not there"},
		{13, `"runtime_id":""`, `"runtime_id":"","snapshot":{"base64":"/w=="}`, 13, "not spelled as it is written"},
		{13, `"runtime_id":""`, `"runtime_id":"","snapshot":{"digest":"00","messages":0,"text":"x"}`, 13, "invalid session snapshot"},
		{13, `"runtime_id":""`, `"runtime_id":"","snapshot":{"digest":"","text":"x"}`, 13, "not spelled as it is written"},
	} {
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

// What a store goes on from after it took over the highest numbers that it may
// can be written and taken over again.
func TestAStoreGoesOnFromTheHighestNumbers(t *testing.T) {
	const most = 1<<64 - 1
	lines := unseal(sample(t))
	numbered := func(revision, sequence uint64) []byte {
		altered := slices.Clone(lines)
		altered[0] = strings.Replace(altered[0], `"revision":4`, fmt.Sprintf(`"revision":%d`, revision), 1)
		altered[6] = strings.Replace(altered[6], `"version":4`, fmt.Sprintf(`"version":%d`, revision), 1)
		altered[6] = strings.Replace(altered[6], `"sequence":5`, fmt.Sprintf(`"sequence":%d`, sequence), 1)
		altered[8] = strings.Replace(altered[8], `"highest_sequence":5`, fmt.Sprintf(`"highest_sequence":%d`, sequence), 1)
		altered[10] = strings.Replace(altered[10], `"sequence":5`, fmt.Sprintf(`"sequence":%d`, sequence), 1)
		altered[11] = strings.Replace(altered[11], `"highest_sequence":9`, fmt.Sprintf(`"highest_sequence":%d`, sequence), 1)
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
	assert.EqualValues(t, state.MaxRevision, held.Revision())
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
	}{{1, "sessions", 13, 13}, {2, "input_states", 4, 4}, {2, "runs", 5, 6}} {
		doubled := slices.Insert(slices.Clone(lines), c.to, lines[c.from-1:c.to]...)
		doubled[c.counted-1] = strings.Replace(doubled[c.counted-1], `"`+c.what+`":1`, `"`+c.what+`":2`, 1)
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
		assert.EqualError(t, refusal, "line 14: the number of lines or their SHA-256 is another")
	}
	refusal := refused(t, append(sample(t), '\n'))
	assert.EqualError(t, refusal, "line 15: more lines after the end")
}
