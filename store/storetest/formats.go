package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/session"
)

func formats() []promise {
	return []promise{
		{words: "a session of any format comes back, with its digest and count", try: formatsComeBack},
		{words: "without a format a session is what it always was", try: unsetIsWhatItWas},
		{words: "a whole text replaces one of any format", try: formatsReplaceEachOther},
		{words: "the digest is of the whole text, whatever stood before", try: digestIsOfTheWholeText},
		{words: "what is not of its format is refused, and changes nothing", try: notOfItsFormatIsRefused},
		{words: "a format that is unknown, or cannot be so, is refused", try: badFormatsAreRefused},
		{words: "every write copies the session that it is given", try: sessionsAreCopied},
		{words: "a session of 1 MB comes back", try: largeSessionsComeBack},
		{words: "a session of any format is filed under a key", try: formatsAreFiled},
		{words: "a batch that is refused leaves the session as it was", try: needs[batch.Committer](refusedFormatsInABatch)},
		{words: "the errors of the context and of Close come before those of a format", try: endsComeBeforeFormats},
	}
}

func onlyUnset(f Factory, _ store.RuntimeStore) (missing string) {
	if f.OnlyUnset {
		return "the Factory says OnlyUnset"
	}
	return ""
}

func formatsComeBack(tr *trial) {
	for _, w := range tr.sessionWays() {
		for _, c := range contents() {
			id := store.RuntimeID(w.name + c.name)
			tr.put(w, id, c.delta(), c)
			tr.holds(id, c, w.name)
		}
	}
}

func unsetIsWhatItWas(tr *trial) {
	want := meerkatOf(2, 5)
	for _, w := range tr.sessionWays() {
		id := store.RuntimeID(w.name)
		known := want
		if w.name == "AtomicApply" {
			known = content{name: "as it came", text: want.text}
		}
		tr.put(w, id, store.SessionDelta{SessionSnapshot: []byte(want.text)}, known)
		tr.holds(id, known, w.name)
		_, err := w.do(tr.Context(), id, store.SessionDelta{SessionSnapshot: []byte("{}\n")})
		if w.name == "CommitSessionBoundary" || w.name == "CommitBoundary" {
			tr.refused(w.name+" of lines without a format", err, store.ErrInvalidSnapshot)
			continue
		}
		require.NoError(tr, err, w.name)
		tr.holds(id, content{name: "as it came", text: "{}\n"}, w.name)
		if has[batch.Committer](tr) { // it is there, and has no digest
			for _, digest := range []string{"", digestOf("{}\n")} {
				_ = tr.conflictOf(batch.Batch{If: []batch.Condition{batch.SessionDigestIs{RuntimeID: id, Digest: digest}}})
			}
		}
	}
}

func formatsReplaceEachOther(tr *trial) {
	all := []content{
		{name: "as it came", text: "{}\n"}, {name: "as it came, empty"}, meerkatOf(2, 3), linesOf(""), linesOf("{}\n"), linesOf("{}\n[]\n"),
		opaqueOf("", 3), opaqueOf("{}\n", 5),
	}
	for _, w := range tr.sessionWays() {
		for _, before := range all {
			for _, c := range all {
				if c.format == store.FormatUnset && strings.HasPrefix(w.name, "Commit") {
					continue // which takes that for Meerkat's
				}
				tr.put(tr.sessionWays()[1], "a", before.delta(), before)
				tr.put(w, "a", c.delta(), c)
				tr.holds("a", c, w.name+" after "+before.name)
			}
		}
	}
}

// A store may go on from what it holds.
func digestIsOfTheWholeText(tr *trial) {
	line := func(n, size int) string {
		return fmt.Sprintf(`{"n":%d,"text":"%s"}`+"\n", n, strings.Repeat("x", size))
	}
	var text strings.Builder
	for n := range 300 {
		text.WriteString(line(n, n))
	}
	half := strings.Index(text.String()[len(text.String())/2:], "\n") + len(text.String())/2 + 1
	for i, text := range []string{
		text.String(), text.String(), text.String() + line(1, 1), text.String() + line(1, 2), line(7, 7) + text.String(), text.String()[half:], text.String()[:half], text.String()[:half] + line(2, 9) + text.String()[half:],
		strings.Replace(text.String(), "xxxx", "xxxxyz", 1), strings.ToUpper(text.String()), text.String()[:half] + text.String()[:half], "", text.String(),
	} {
		for _, w := range tr.sessionWays() {
			c, o := linesOf(text), opaqueOf(text[:len(text)*9/10], uint64(i))
			tr.put(w, store.RuntimeID(w.name), c.delta(), c)
			tr.holds(store.RuntimeID(w.name), c, fmt.Sprint(w.name, " ", i))
			tr.put(w, store.RuntimeID(w.name+" opaque"), o.delta(), o)
			tr.holds(store.RuntimeID(w.name+" opaque"), o, fmt.Sprint(w.name, " ", i))
		}
	}
}

// A badText is not JSON Lines, and says in which line.
type badText struct {
	text string
	line int
}

func badLines() []badText {
	return []badText{
		{`{"a":1}`, 1}, {"{}\n{\"a\":", 2}, {"{}\n\"half", 2}, {"\n", 1}, {"{}\n\n", 2}, {"{}\n \t\r\n{}\n", 2}, {" ", 1},
		{"{} {}\n", 1}, {"{}\r{}\n", 1}, {"{}\n{}\n[\n]\n", 3}, {"\"a\nb\"\n", 1}, {"{}\n\"\xff\"\n", 2}, {"\"\xed\xa0\x80\"\n", 1},
		{"\ufeff{}\n", 1}, {"nul\n", 1}, {"01\n", 1}, {"{}\n'a'\n", 2}, {"{}\n\x00\n", 2}, {"{}\n{\"a\":1,}\n", 2}, {"\"\x01\"\n", 1},
		{"{}\n" + strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001) + "\n", 2}, {"{}\n{}\n\u0085{}\n", 3}, {"1.\n", 1}, {"{}\n}\n", 2},
	}
}

// isInvalid checks that a text was refused for what is wrong in one of its lines, if
// that is told.
func (tr *trial) isInvalid(call string, err error, text string, line int) {
	tr.Helper()
	tr.refused(call, err, store.ErrInvalidSnapshot)
	where, ok := errors.AsType[*session.Error](err)
	require.True(tr, ok, "%s: the error must wrap a *session.Error, and is %v", call, err)
	require.Equal(tr, line, where.Line, "%s of %.40q: the line, in %v", call, text, err)
	if line > 0 {
		lines := strings.SplitAfter(text, "\n")
		before := len(strings.Join(lines[:line-1], ""))
		require.GreaterOrEqual(tr, where.Offset, before, "%s of %.40q: the offset is in line %d", call, text, line)
		require.LessOrEqual(tr, where.Offset, before+len(lines[line-1]), "%s of %.40q: the offset is in line %d", call, text, line)
	}
}

func notOfItsFormatIsRefused(tr *trial) {
	tr.fill("a")
	tr.fill("lines")
	stands := linesOf("{}\n[1]\n")
	tr.put(tr.sessionWays()[0], "lines", stands.delta(), stands)
	a, lines := tr.view("a"), tr.view("lines")
	for _, w := range tr.sessionWays() {
		for _, bad := range badLines() {
			d := store.SessionDelta{SessionSnapshot: []byte(bad.text), Format: store.FormatLines}
			for _, id := range []store.RuntimeID{"a", "none"} {
				_, err := w.do(tr.Context(), id, d)
				tr.isInvalid(w.name, err, bad.text, bad.line)
			}
			// What stands may not be read again, and counts all the same.
			d.SessionSnapshot = []byte(stands.text + bad.text)
			_, err := w.do(tr.Context(), "lines", d)
			tr.isInvalid(w.name, err, stands.text+bad.text, bad.line+2)
		}
		for _, bad := range []string{"", "x", "{}", "{}\n", string(document("[]"))[1:], string(document("[{}]"))} {
			_, err := w.do(tr.Context(), "a", store.SessionDelta{SessionSnapshot: []byte(bad), Format: store.FormatMeerkat})
			tr.isInvalid(w.name, err, bad, 0)
		}
	}
	assert.Equal(tr, a, tr.view("a"), "what was there")
	assert.Equal(tr, lines, tr.view("lines"), "what was there")
	tr.holds("lines", stands, "after all refusals")
	assert.Equal(tr, view{}, tr.view("none"), "nothing was there")
}

func badFormatsAreRefused(tr *trial) {
	tr.fill("a")
	before := tr.view("a")
	text := string(document("[]"))
	for _, d := range []store.SessionDelta{
		{Format: store.FormatOpaque + 1}, {Format: math.MaxUint8}, {Format: store.FormatOpaque + 1, Append: true}, {Append: true},
		{Format: store.FormatMeerkat, Append: true}, {Messages: 1}, {Format: store.FormatMeerkat, Messages: 1}, {Format: store.FormatLines, Messages: math.MaxUint64},
		{Format: store.FormatLines, Messages: 1, Append: true},
	} {
		for _, d.SessionSnapshot = range [][]byte{nil, []byte(text), []byte(text + "\n")} {
			for _, w := range tr.sessionWays() {
				for _, id := range []store.RuntimeID{"a", "none"} {
					_, err := w.do(tr.Context(), id, d)
					tr.refused(fmt.Sprintf("%s with %v, append %v, %d messages", w.name, d.Format, d.Append, d.Messages), err, store.ErrInvalidValue)
				}
			}
		}
	}
	assert.Equal(tr, before, tr.view("a"), "what was there")
	assert.Equal(tr, view{}, tr.view("none"), "nothing was there")
}

// What is not looked at would be stored as something else.
func otherFormatsAreRefused(tr *trial) {
	formats := []store.SessionDelta{{Format: math.MaxUint8}}
	if tr.factory.OnlyUnset {
		formats = append(formats, store.SessionDelta{Format: store.FormatMeerkat}, store.SessionDelta{Format: store.FormatLines},
			store.SessionDelta{Format: store.FormatOpaque}, store.SessionDelta{Append: true}, store.SessionDelta{Messages: 1})
	}
	for _, d := range formats {
		for _, w := range tr.sessionWays() {
			d.SessionSnapshot = document("[]")
			_, err := w.do(tr.Context(), "a", d)
			tr.refused(fmt.Sprintf("%s with %v, append %v, %d messages", w.name, d.Format, d.Append, d.Messages), err, store.ErrInvalidValue)
		}
	}
	assert.Equal(tr, view{}, tr.view("a"), "nothing was stored")
}

func sessionsAreCopied(tr *trial) {
	for _, w := range tr.sessionWays() {
		for _, c := range contents() {
			id := store.RuntimeID(w.name + c.name)
			want := c
			for range 3 { // what stands may be shared the second time, and the third
				d := c.delta()
				tr.put(w, id, d, want)
				require.Equal(tr, c.text, string(d.SessionSnapshot), "%s changed its argument", w.name)
				clear(d.SessionSnapshot)
				tr.holds(id, want, w.name+", whose argument was changed")
			}
		}
	}
}

func largeSessionsComeBack(tr *trial) {
	large := func(seed int) string {
		var b strings.Builder
		for n := seed; b.Len() < 1<<20; n += 7 {
			fmt.Fprintf(&b, `{"n":%d,"text":"%s"}`+"\n", n, strings.Repeat(fmt.Sprint(n*n), n%50))
		}
		return b.String()
	}
	for _, w := range tr.sessionWays() {
		for _, c := range []content{linesOf(large(1)), opaqueOf(large(2)[1:], 9), meerkatOf(1000, 1000)} {
			tr.put(w, "a", c.delta(), c)
			tr.holds("a", c, w.name)
			if !c.format.Grows() {
				continue
			}
			grown := c.added("{}\n", 10)
			tr.put(w, "a", grown.delta(), grown)
			moved := content{format: c.format, text: "[0]\n"}.added(grown.text, 11)
			tr.put(w, "a", moved.delta(), moved)
			tr.holds("a", moved, w.name)
		}
	}
}

func formatsAreFiled(tr *trial) {
	for i, c := range contents() {
		if c.format == store.FormatMeerkat {
			continue // it has an id of its own
		}
		a := applying(store.RunID{1}, uint64(i))
		a.Session, a.SessionStoreKey = new(c.delta()), &store.SessionID{byte(i)}
		tr.apply("a", a)
		tr.holds("a", c, "AtomicApply with a key")
		if s, ok := tr.store.(sessionLoader); ok {
			filed, ok, err := s.LoadSession(tr.Context(), *a.SessionStoreKey)
			require.NoError(tr, err)
			require.True(tr, ok)
			tr.shows(filed, c, "LoadSession")
		}
	}
}

func refusedFormatsInABatch(tr *trial) {
	stands := linesOf("{}\n")
	tr.put(tr.sessionWays()[0], "a", stands.delta(), stands)
	before := tr.everything()
	good := putSession("a", linesOf("[]\n").delta())
	for _, bad := range []struct {
		d  store.SessionDelta
		is error
	}{
		{store.SessionDelta{SessionSnapshot: []byte("{}"), Format: store.FormatLines}, store.ErrInvalidSnapshot},
		{store.SessionDelta{SessionSnapshot: []byte("{"), Format: store.FormatLines, Append: true}, store.ErrInvalidSnapshot},
		{store.SessionDelta{SessionSnapshot: []byte("{}\n"), Format: store.FormatOpaque, Append: true}, store.ErrInvalidValue},
		{store.SessionDelta{Format: 9}, store.ErrInvalidValue},
		{store.SessionDelta{Append: true}, store.ErrInvalidValue},
	} {
		_, err := tr.tryBatch(batch.Batch{Then: []batch.Write{good, setting("a", store.RuntimeIdle), putSession("a", bad.d)}})
		tr.refused("Commit", err, bad.is)
		at, ok := errors.AsType[*batch.WriteError](err)
		require.True(tr, ok, "the error must wrap a *batch.WriteError, and is %v", err)
		require.Equal(tr, 2, at.Index, "the write that was refused")
		require.Equal(tr, before, tr.everything())
		tr.holds("a", stands, "after a batch that was refused")
	}
}

func endsComeBeforeFormats(tr *trial) {
	bad := []store.SessionDelta{{Format: 9}, {Append: true}, {SessionSnapshot: []byte("{"), Format: store.FormatLines}}
	refuse := func(ctx context.Context, want error) {
		for _, w := range tr.sessionWays() {
			for _, d := range bad {
				_, err := w.do(ctx, "a", d)
				tr.refused(w.name, err, want)
			}
		}
	}
	for _, e := range tr.ended() {
		refuse(e.ctx, e.err)
	}
	assert.Equal(tr, view{}, tr.view("a"), "nothing was there")
	if has[io.Closer](tr) {
		tr.close()
		refuse(tr.Context(), store.ErrClosed)
	}
}
