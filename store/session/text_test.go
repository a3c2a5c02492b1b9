package session_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/session"
)

// borrowed calls do with a text that is overwritten afterwards, as a caller may do
// with his bytes.
func borrowed[T any](t *testing.T, text string, do func(string) T) T {
	t.Helper()
	if text == "" {
		return do("")
	}
	given := []byte(text)
	got := do(unsafe.String(&given[0], len(given)))
	require.True(t, text == string(given), "the caller's bytes were changed")
	clear(given)
	return got
}

func textOf(t *testing.T, text string) session.Text {
	t.Helper()
	return borrowed(t, text, session.TextOf)
}

// holds requires that a text has these bytes, whichever way it is asked, and that its
// parts are as they should be.
func holds(t *testing.T, text session.Text, want string) {
	t.Helper()
	require.Equal(t, len(want), text.Len())
	require.True(t, want == text.String(), "another text")
	require.True(t, "front"+want == string(text.AppendTo([]byte("front"))), "AppendTo")
	var w strings.Builder
	n, err := text.WriteTo(&w)
	require.NoError(t, err)
	require.EqualValues(t, len(want), n)
	require.True(t, want == w.String(), "WriteTo")
	got, err := io.ReadAll(text.Reader())
	require.NoError(t, err)
	require.True(t, want == string(got), "Reader")
	again := textOf(t, want)
	require.True(t, text.Equal(again))
	require.False(t, text.Equal(again.Append("x")))
	if want != "" {
		other := []byte(want)
		other[len(other)/2] ^= 1
		require.False(t, text.Equal(again.Replace(string(other))))
	}
	at := 0
	for part := range text.Parts() {
		require.NotEmpty(t, part)
		require.LessOrEqual(t, len(part), session.MaxBytes)
		if at += len(part); utf8.ValidString(want) {
			require.True(t, utf8.ValidString(part), "a character is split at byte %d", at)
		}
	}
	isTree(t, text)
}

// isTree requires that no part is there twice, all are of the same depth, and a list
// has as many as it may. A journal that lists a part twice is refused by its size, so
// a text must never do that.
func isTree(t *testing.T, text session.Text) {
	t.Helper()
	if text.Root() == nil {
		return
	}
	there := make(map[*session.Part]bool)
	floor := []*session.Part{text.Root()}
	for depth := 0; len(floor) > 0; depth++ {
		var next []*session.Part
		for i, p := range floor {
			require.False(t, there[p], "a part is there twice")
			there[p] = true
			require.Equal(t, p.Parts() == nil, floor[0].Parts() == nil, "parts beside lists")
			if list := p.Parts(); list != nil {
				require.LessOrEqual(t, len(list), session.MaxParts)
				if i < len(floor)-1 {
					require.GreaterOrEqual(t, len(list), 8)
				}
				next = append(next, list...)
			}
		}
		if depth > 0 {
			require.LessOrEqual(t, depth, 2+bitsOf(text.Len()/4096)/3, "too deep")
		}
		floor = next
	}
	require.Equal(t, len(there), text.Root().Count())
}

func bitsOf(n int) (bits int) {
	for ; n > 0; n /= 2 {
		bits++
	}
	return bits
}

// The kinds of bytes that texts are tried with.
var kinds = map[string]func(r *rand.Rand) string{
	"binary": func(r *rand.Rand) string { return string([]byte{byte(r.Uint32())}) },
	"equal":  func(*rand.Rand) string { return "a" },
	"words":  func(r *rand.Rand) string { return fmt.Sprintf("%x ", r.IntN(1000)) },
	"2":      func(r *rand.Rand) string { return string(rune(0x80 + r.IntN(0x700))) },
	"3":      func(r *rand.Rand) string { return string(rune(0x4000 + r.IntN(0x2000))) },
	"4":      func(r *rand.Rand) string { return string(rune(0x10000 + r.IntN(0x1000))) },
	"mixed":  func(r *rand.Rand) string { return string([]rune{'a', 'é', '語', '😀'}[r.IntN(4)]) },
	"ends":   func(*rand.Rand) string { return "\x80\x80\x80\x80" },
	"starts": func(*rand.Rand) string { return "\xf0" },
}

func bytesLike(r *rand.Rand, kind string, size int) string {
	var b strings.Builder
	for b.Len() < size {
		b.WriteString(kinds[kind](r))
	}
	return b.String()
}

func anySize(r *rand.Rand) int {
	switch r.IntN(4) {
	case 0:
		return r.IntN(5)
	case 1:
		return r.IntN(2000)
	case 2:
		return session.MaxBytes*(1+r.IntN(3)) + r.IntN(9) - 4
	}
	return r.IntN(100_000)
}

// change edits a text anywhere.
func change(r *rand.Rand, kind, text string) string {
	more := bytesLike(r, kind, anySize(r))
	at := []int{0, r.IntN(len(text) + 1), len(text)}[r.IntN(3)]
	switch end := min(len(text), at+r.IntN(20_000)); r.IntN(5) {
	case 0:
		return text[:at] + text[end:]
	case 1:
		return text[:at] + more + text[end:]
	case 2:
		return text[at:]
	case 3:
		return text[:at]
	}
	return text[:at] + more + text[at:]
}

// TestTextProperty compares texts that come about in any way with plain strings. How
// they are cut depends on the bytes only, whatever came before.
func TestTextProperty(t *testing.T) {
	for kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			for seed := range uint64(3) {
				r := rand.New(rand.NewPCG(seed, 17))
				var text session.Text
				want := ""
				var all []session.Text
				var wants []string
				for range 16 {
					switch r.IntN(6) {
					case 0:
						want = bytesLike(r, kind, anySize(r))
						text = textOf(t, want)
					case 1, 2:
						want = change(r, kind, want)
						text = borrowed(t, want, text.Replace)
					default:
						more := bytesLike(r, kind, anySize(r))
						if r.IntN(3) == 0 && more != "" { // perhaps half a character
							more = more[:1+r.IntN(len(more))]
						}
						want += more
						text = borrowed(t, more, text.Append)
					}
					if len(want) > 1<<18 {
						want = want[:r.IntN(1<<18)]
						text = borrowed(t, want, text.Replace)
					}
					holds(t, text, want)
					all, wants = append(all, text), append(wants, want)
				}
				for i := range all { // nor has any changed since
					require.True(t, wants[i] == all[i].String())
				}
			}
		})
	}
}

// FuzzText does any changes to a text. Each takes three bytes of what: which one,
// where, and how much.
func FuzzText(f *testing.F) {
	f.Add([]byte{0, 0, 200, 1, 9, 3, 2, 200, 100, 3, 0, 0}, "some text")
	f.Add([]byte{2, 0, 255, 2, 0, 255, 1, 255, 1, 3, 128, 1}, "a")
	f.Add([]byte{0, 0, 255, 1, 0, 1, 1, 0, 1, 2, 0, 255}, "éß語😀")
	f.Add([]byte{2, 0, 17, 2, 0, 16, 2, 0, 33, 3, 3, 3}, "\x80\xff\xf0\x90")
	f.Fuzz(func(t *testing.T, what []byte, like string) {
		var text session.Text
		want := ""
		for ; len(what) >= 3 && len(want) < 1<<20; what = what[3:] {
			more := ""
			if like != "" {
				more = strings.Repeat(like, 1+int(what[2])*512/len(like))
			}
			at := int(what[1]) * len(want) / 255
			switch what[0] % 4 {
			case 0:
				want = more
				text = textOf(t, want)
			case 1:
				want = want[:at] + more + want[at:]
				text = borrowed(t, want, text.Replace)
			case 2:
				want += more
				text = borrowed(t, more, text.Append)
			case 3:
				want = want[:at] + want[min(len(want), at+int(what[2])):]
				text = borrowed(t, want, text.Replace)
			}
			holds(t, text, want)
		}
	})
}

// A text that is read in small steps is read whole.
func TestTextReader(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, size := range []int{0, 1, session.MaxBytes, 3*session.MaxBytes + 1} {
		want := bytesLike(r, "binary", size)
		text := textOf(t, want)
		require.NoError(t, iotest.TestReader(text.Reader(), []byte(want)))
		got, err := io.ReadAll(iotest.OneByteReader(text.Reader()))
		require.NoError(t, err)
		require.True(t, want == string(got))
		n, err := text.Reader().Read(nil)
		require.NoError(t, err)
		require.Zero(t, n)
	}
}

// A writer's error is returned, with how much it has taken.
func TestTextWriteToFails(t *testing.T) {
	text := textOf(t, strings.Repeat("a", 3*session.MaxBytes))
	broken := errors.New("broken")
	n, err := text.WriteTo(writerFunc(func(p []byte) (int, error) { return 7, broken }))
	require.ErrorIs(t, err, broken)
	require.EqualValues(t, 7, n)
	for range text.Parts() { // and who has seen enough may stop
		break
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// Parts that moved are shared, wherever they are now.
func TestTextMoved(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	a, b := chat(r, 300<<10), chat(r, 300<<10)
	text := textOf(t, a+b)
	moved := text.Replace(b + a)
	holds(t, moved, b+a)
	assert.LessOrEqual(t, fresh(text, moved), 96<<10)
	twice := text.Replace(b + a + b) // but none is there twice
	holds(t, twice, b+a+b)
}

// fresh returns how many bytes there are in the parts that one text has and others
// have not.
func fresh(text, next session.Text) (n int) {
	for p := range partsOf(next, partsOf(text, nil)) {
		n += len(p.Bytes())
	}
	return n
}

// partsOf returns all parts of a text but some.
func partsOf(text session.Text, but map[*session.Part]bool) map[*session.Part]bool {
	found := make(map[*session.Part]bool)
	var find func(p *session.Part)
	find = func(p *session.Part) {
		if p != nil && !but[p] {
			found[p] = true
			for _, part := range p.Parts() {
				find(part)
			}
		}
	}
	find(text.Root())
	return found
}

// chat returns JSON Lines as a conversation has them.
func chat(r *rand.Rand, size int) string {
	words := make([]string, 2000)
	for i := range words {
		words[i] = bytesLike(r, "words", 1+r.IntN(8))
	}
	var b strings.Builder
	for b.Len() < size {
		b.WriteString(`{"role":"user","content":"`)
		for range 20 + r.IntN(200) {
			b.WriteString(words[min(int(r.ExpFloat64()*200), len(words)-1)])
		}
		b.WriteString("\"}\n")
	}
	return b.String()[:size]
}

// A text that comes in the place of another takes memory for what is new, and for
// little beside it.
func TestTextSharing(t *testing.T) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 5))
		text, more := chat(r, 1<<20), chat(r, 100<<10)
		middle := 500_000 + r.IntN(10_000)
		for name, of := range map[string]struct {
			next string
			most int
		}{
			"the same":              {text, 0},
			"1 KB more":             {text + more[:1024], session.MaxBytes + 1024},
			"a digit more in front": {text[:20] + "7" + text[20:] + more[:1024], 48 << 10},
			"a window moves on":     {text[100<<10:] + more[:1024], 64 << 10},
			"one message edited":    {text[:middle] + more[:700] + text[middle+200:], 48 << 10},
			"one message gone":      {text[:middle] + text[middle+800:], 48 << 10},
			"two messages edited":   {text[:middle] + "x" + text[middle:900_000] + "y" + text[900_000:], 80 << 10},
			"cut short":             {text[:middle], session.MaxBytes},
			"only the end":          {text[middle:], 48 << 10},
		} {
			before := textOf(t, text)
			next := borrowed(t, of.next, before.Replace)
			holds(t, next, of.next)
			assert.LessOrEqual(t, fresh(before, next), of.most, name)
			lists := 0
			for p := range partsOf(next, partsOf(before, nil)) {
				if p.Parts() != nil {
					lists++
				}
			}
			assert.LessOrEqual(t, lists, 8, name)
		}
		before := textOf(t, text)
		assert.LessOrEqual(t, fresh(before, borrowed(t, more[:1024], before.Append)), session.MaxBytes+1024)
	}
}

// An edit of a few bytes moves all that follows. That is shared even if it repeats, so
// that any place looks like any other.
func TestTextThatRepeatsIsEdited(t *testing.T) {
	const more = "and something more"
	for _, size := range []int{1, 200, 2000, 4000, 16_000, 64_000, 1 << 20} {
		message := `{"role":"user","content":"` + strings.Repeat("x", size) + "\"}\n"
		messages := strings.Repeat(message, 1+1<<20/len(message))
		text := textOf(t, `{"count":9}`+messages+`{"count":9}`+messages)
		for name, next := range map[string]string{
			"a digit more":         `{"count":10}` + messages + `{"count":9}` + messages + more,
			"a digit less":         `{"count":}` + messages + `{"count":9}` + messages + more,
			"another digit":        `{"count":8}` + messages + `{"count":9}` + messages + more,
			"two digits elsewhere": `{"count":10}` + messages + `{"count":10}` + messages + more,
		} {
			edited := borrowed(t, next, text.Replace)
			require.True(t, next == edited.String())
			isTree(t, edited)
			assert.LessOrEqual(t, fresh(text, edited), 5*session.MaxBytes, "%s, %d", name, size)
		}
	}
}

// 100 versions of 1 MB that grows share nearly all of it, whichever way it grows.
func TestTextVersions(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	text, more := chat(r, 1<<20), chat(r, 100<<10)
	for name, grow := range map[string]func(session.Text, int) session.Text{
		"appended": func(last session.Text, n int) session.Text { return last.Append(more[n-1<<10 : n]) },
		"replaced": func(last session.Text, n int) session.Text { return last.Replace(text + more[:n]) },
		"front": func(last session.Text, n int) session.Text {
			return last.Replace(fmt.Sprintln(n*977) + text + more[:n])
		},
	} {
		t.Run(name, func(t *testing.T) {
			last := session.TextOf(text)
			all := partsOf(last, nil)
			for n := 1 << 10; n <= 100<<10; n += 1 << 10 {
				last = grow(last, n)
				for p := range partsOf(last, all) {
					all[p] = true
				}
			}
			bytes, lists := 0, 0
			for p := range all {
				bytes += len(p.Bytes())
				lists += 8 * len(p.Parts())
			}
			t.Logf("%d parts, %d bytes, %d in lists", len(all), bytes, lists)
			if name != "front" { // where the first part is another too, each time
				assert.LessOrEqual(t, bytes+lists+64*len(all), 5<<19)
			}
			assert.LessOrEqual(t, bytes+lists+64*len(all), 4<<20)
		})
	}
}

// A text of one part that is read over and over is not copied.
func TestTextOfOnePart(t *testing.T) {
	text := textOf(t, strings.Repeat("a", 4<<10))
	assert.Zero(t, testing.AllocsPerRun(10, func() { _ = text.String() }))
	assert.True(t, bytes.Equal(text.AppendTo(nil), []byte(text.String())))
}
