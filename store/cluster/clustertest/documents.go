package clustertest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/cluster"
)

func copied(tr *trial) {
	h := tr.handle()
	own := []byte("document")
	ok, err := h.Write(tr.ctx, own, 0)
	require.NoError(tr, err)
	require.True(tr, ok)
	copy(own, "changed!")
	revision := h.stands("document")
	first, _ := h.read()
	second, _ := h.read()
	copy(first, "changed!")
	require.Equal(tr, "document", string(second), "two reads share a slice")
	_ = append(second[:4], "changed!"...)
	h.stays("document", revision)
}

func anyBytes(tr *trial) {
	h := tr.handle()
	var all strings.Builder
	for b := range 256 {
		all.WriteByte(byte(b))
	}
	for _, document := range []string{"", all.String(), "", "\x00", "\xff\xfe", "null", "'\";--\n", "{}"} {
		h.put(document)
		tr.handle().stands(document)
	}
	h.put("")
	require.False(tr, h.write("anew", 0), "an empty document is one")
}

func large(tr *trial) {
	h := tr.handle()
	whole := strings.Repeat("0123456789abcdef", cluster.MaxDocument/16)
	h.put(whole)
	tr.handle().stands(whole)
	h.put("small again")
	for n := 1; n < len(whole); n = 3*n + 1 {
		h.put(whole[:n])
	}
}

func tooLarge(tr *trial) {
	h := tr.handle()
	size := 64 << 20
	if testing.Short() {
		size = 4 << 20
	}
	before := h.put("what stood before")
	document := strings.Repeat("too large", size/9)
	ok, err := h.Write(tr.ctx, []byte(document), before)
	if err == nil {
		require.True(tr, ok, "it was refused, as if another had written")
		h.stands(document)
	} else {
		require.False(tr, ok)
		require.NoError(tr, tr.ctx.Err(), "it is refused at once, not when time is over: %v", err)
		h.stays("what stood before", before)
	}
	h.put("it goes on")
}

func ended(tr *trial) {
	h := tr.handle()
	try := func(document string, revision uint64) {
		tr.Helper()
		cause := errors.New("the cause")
		ctx, cancel := context.WithCancelCause(tr.ctx)
		cancel(cause)
		_, _, err := h.Read(ctx)
		assert.True(tr, errors.Is(err, context.Canceled) || errors.Is(err, cause), "Read: %v", err)
		ok, err := h.Write(ctx, []byte(document), revision)
		assert.False(tr, ok)
		assert.True(tr, errors.Is(err, context.Canceled) || errors.Is(err, cause), "Write: %v", err)
	}
	try("never", 0)
	h.absent()
	revision := h.put("document")
	try("never", revision)
	h.stays("document", revision)
	require.True(tr, h.write("later", revision))
}

// names are pairs that become one where a name is joined, folded, trimmed, cut or
// cleaned.
func names(tr *trial) {
	all := []string{
		"a", "A", "b", "a-b", "a_b", "a.b", "a/b", "a b", "a=b", "a:b", "ab", "a--b", "a-", "-a", "a.", ".a", "a ", " a",
		"a\x00", "a\x00b", "a%2fb", "a=2fb", "a/../b", "..", ".", "", "a*", "a>", "a.>", "*", "$a", "ä", "a\u0308", "a'b", `a"b`, `a\b`, "a\xff",
		strings.Repeat("n", 63), strings.Repeat("n", 64), strings.Repeat("n", 255), strings.Repeat("n", 256), strings.Repeat("n", 5000),
	}
	taken := map[string]handle{}
	for _, name := range all {
		d, err := tr.open(name)
		if err == nil {
			_, _, err = d.Read(tr.ctx)
		}
		if err != nil {
			require.NoError(tr, tr.ctx.Err(), "%.80q", name)
			continue // it is refused
		}
		h := handle{tr, d}
		h.absent()
		require.True(tr, h.write("of "+name, 0), "%.80q", name)
		taken[name] = h
	}
	require.Contains(tr, taken, "a", "letters are a name")
	require.Contains(tr, taken, "b", "letters are a name")
	for name := range taken {
		d, err := tr.open(name)
		require.NoError(tr, err, "%.80q", name)
		handle{tr, d}.stands("of " + name)
	}
}
