package session_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/session"
)

// conversation returns a document of some size with messages of 1 KB, and the same one
// with a message more.
func conversation(size int) (text, grown string) {
	r := rand.New(rand.NewPCG(1, 1))
	var messages []string
	for n := 0; n <= size; n += 1 << 10 {
		messages = append(messages, user(bytesLike(r, "words", 990)))
	}
	all := func(messages []string) string { return document("[" + strings.Join(messages, ",") + "]") }
	return all(messages[:len(messages)-1]), all(messages)
}

// BenchmarkText is what a text costs that comes in the place of one of 1 MB, or 10.
func BenchmarkText(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	more := chat(r, 1<<10)
	for _, mb := range []int{1, 10} {
		text := chat(r, mb<<20)
		standing := session.TextOf(text)
		front := text[:20] + "7" + text[20:] + more
		for name, do := range map[string]func(){
			"new":       func() { session.TextOf(text) },
			"clone":     func() { _ = strings.Clone(text) }, // to compare with
			"the same":  func() { standing.Replace(text) },
			"append":    func() { standing.Append(more) },
			"in front":  func() { standing.Replace(front) },
			"window":    func() { standing.Replace(front[50_000:]) },
			"otherwise": func() { standing.Replace(front[:60_000]) },
		} {
			b.Run(fmt.Sprintf("%s/mb=%d", name, mb), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					do()
				}
			})
		}
		grown := text + more
		b.Run(fmt.Sprintf("grown/mb=%d", mb), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				standing.Replace(grown)
			}
		})
	}
}

// BenchmarkDocument is what it costs to read a session that grew by 1 KB.
func BenchmarkDocument(b *testing.B) {
	for _, mb := range []int{1, 10} {
		text, grown := conversation(mb << 20)
		more := chat(rand.New(rand.NewPCG(1, 3)), 1<<10)
		more = more[:strings.LastIndexByte(more, '\n')+1]
		if more == "" {
			more = "{}\n"
		}
		line := text + "\n"
		for _, of := range []struct {
			format      session.Format
			text, grown string
		}{
			{session.FormatMeerkat, text, grown},
			{session.FormatLines, line, line + more},
			{session.FormatOpaque, line, line + more},
			{session.FormatUnset, line, line + more},
		} {
			last, err := (*session.Document)(nil).Replace(of.format, of.text, 0)
			require.NoError(b, err)
			b.Run(fmt.Sprintf("whole/%v/mb=%d", of.format, mb), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					_, err = last.Replace(of.format, of.grown, 0)
				}
				require.NoError(b, err)
			})
			b.Run(fmt.Sprintf("new/%v/mb=%d", of.format, mb), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					_, err = (*session.Document)(nil).Replace(of.format, of.grown, 0)
				}
				require.NoError(b, err)
			})
			if of.format.Grows() {
				b.Run(fmt.Sprintf("append/%v/mb=%d", of.format, mb), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						var addition session.Addition
						addition, err = session.ReadAddition(of.format, more, 0)
						addition.To(last)
					}
					require.NoError(b, err)
				})
			}
		}
	}
}
