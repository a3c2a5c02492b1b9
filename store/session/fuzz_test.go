package session

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// seeds are documents of every kind of message, in several spellings.
func seeds(f *testing.F, add func(string)) {
	f.Helper()
	for _, messages := range []string{
		``, one,
		`["user","a"],["tool_results",[["i","c"],{"is_error":true,"content":"\u00e9","tool_use_id":""}]]`,
		`{"role":"assistant","content":"","tool_calls":[{"id":"c","name":"n","args":{"b":[1,-0,1.5e3,"\u001F"],"a":{"$serde_json::private::RawValue":"[1 ,2]"}}}],"stop_reason":{"tool_use":null},"usage":[1,2,null,4]}`,
		`{"stop_reason":"end_turn","blocks":[{"data":{"text":"\ud83d\ude00","meta":{"provider":"open_ai","id":"i","encrypted_content":null}},"block_type":"text"},["reasoning",{"meta":{"signature":"s","provider":"anthropic"}}]],"role":"block_assistant"}`,
		`{"role":"block_assistant","blocks":[{"block_type":"tool_use","data":{"id":"i","name":"n","args":{"a":18446744073709551616,"a":1e-7}}}],"stop_reason":"cancelled"} , {"role":"system","content":"x","y":[[[]]]}`,
	} {
		add(head + messages + tail)
	}
	add(`[1,"0195b1c2-0000-7000-8000-000000000001",[["user","x"]],[1,2],[3,4],{"m":[1e308]},[0,0,null,null]]`)
	add(`{"unknown":[{"\ud800":1e999}],` + (head + one + tail)[1:])
}

// rewritten reads a document with every message written anew, none hashed
// where it lies: the same rules by another way.
func rewritten(text string) (digest [sha256.Size]byte, err error) {
	r := newReader(text)
	_, err = r.members(document, document.fields, func(i int) error {
		if i != memberMessages {
			return r.member(i, new(Document), new(Document))
		}
		r.out = nil
		if err := r.rewrite(document.fields[i].of); err != nil {
			return err
		}
		digest = sha256.Sum256(r.out)
		return nil
	})
	if err == nil {
		err = r.end()
	}
	return digest, err
}

// FuzzRead reads anything without a panic, in two ways and as the reference
// does: all refuse it, or all have the same digest.
func FuzzRead(f *testing.F) {
	seeds(f, func(text string) { f.Add(text) })
	f.Fuzz(func(t *testing.T, text string) {
		before := strings.Clone(text)
		d, err := Read(text)
		require.Equal(t, before, text)
		digest, slowErr := rewritten(text)
		require.Equal(t, err == nil, slowErr == nil, "%v, but %v", err, slowErr)
		want, ok := reference(text)
		require.Equal(t, err == nil, ok, "%v, but the reference: %t", err, ok)
		if err != nil {
			e := err.(*Error)
			require.LessOrEqual(t, e.Offset, len(text))
			require.NotEmpty(t, e.Reason)
			return
		}
		require.Equal(t, digest, d.Digest())
		require.Equal(t, want, d.Digest())
	})
}

// FuzzReplace goes on from one document to another.
func FuzzReplace(f *testing.F) {
	seeds(f, func(text string) {
		f.Add(text, text)
		f.Add(text, strings.Replace(text, tail, ","+one+tail, 1))
	})
	f.Fuzz(func(t *testing.T, text, next string) {
		last, err := Read(text)
		if err != nil {
			last = new(Document)
		}
		want, wantErr := Read(next)
		got, err := last.Replace(FormatMeerkat, next, 0)
		if wantErr != nil {
			require.Equal(t, wantErr, err)
			return
		}
		require.NoError(t, err)
		require.Equal(t, want.Digest(), got.Digest())
		require.Equal(t, want.MessageCount(), got.MessageCount())
		require.Equal(t, want.ID(), got.ID())
	})
}
