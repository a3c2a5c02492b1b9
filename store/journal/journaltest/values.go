package journaltest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
)

func values() []promise {
	return []promise{
		{words: "an empty value is not an absent key", try: emptyValue},
		{words: "keys and values are any bytes", try: anyBytes},
		{words: "an empty key is a key, or is refused", try: emptyKey},
		{words: "a key that begins like another is another", try: prefixes},
		{words: "a large value comes back", try: largeValue},
	}
}

func emptyValue(tr *trial) {
	j := tr.open("p", nil)
	tr.append(j, put("a", ""), journal.Change{Key: []byte("b")}, put("c", "x"), put("d", "x"))
	tr.append(j, put("c", ""), del("d"))
	j = tr.stands("p", contents{"a": "", "b": "", "c": ""})
	tr.append(j, del("a"), put("b", "1"))
	tr.stands("p", contents{"b": "1", "c": ""})
}

func anyBytes(tr *trial) {
	j := tr.open("p", nil)
	want := contents{}
	var changes []journal.Change
	for b := range 256 {
		for _, key := range []string{string([]byte{byte(b)}), string([]byte{'k', byte(b), 0, byte(b)})} {
			want[key] = strings.Repeat(string([]byte{byte(255 - b)}), b)
			changes = append(changes, put(key, want[key]))
		}
	}
	tr.append(j, changes...)
	tr.stands("p", want)
}

func emptyKey(tr *trial) {
	j := tr.open("p", nil)
	tr.append(j, put("a", "1"))
	want := contents{"a": "1"}
	_, err := j.Append(tr.ctx, batch(put("", "empty")))
	if err != nil {
		require.ErrorIs(tr, err, journal.ErrRejected)
	} else {
		want[""] = "empty"
	}
	tr.append(j, put("b", "2"))
	want["b"] = "2"
	tr.stands("p", want)
}

func prefixes(tr *trial) {
	j := tr.open("p", nil)
	want := contents{}
	var changes []journal.Change
	for n := range 200 {
		key := strings.Repeat("k", n+1)
		want[key] = key
		changes = append(changes, put(key, key))
	}
	tr.append(j, changes...)
	for n := 0; n < 200; n += 3 {
		tr.append(j, del(strings.Repeat("k", n+1)))
		delete(want, strings.Repeat("k", n+1))
	}
	tr.stands("p", want)
}

func largeValue(tr *trial) {
	j := tr.open("p", nil)
	size := 64 << 20
	if testing.Short() {
		size = 1 << 20
	}
	if n := j.Limits().ValueBytes; n > 0 {
		size = min(size, n)
	}
	if n := j.Limits().BatchBytes; n > 0 {
		size = min(size, int(n)-10)
	}
	want := contents{"a": "before", "b": noise(1, size), "c": "after"}
	tr.append(j, put("a", want["a"]), put("c", want["c"]))
	tr.append(j, put("b", want["b"]))
	j = tr.stands("p", want)
	want["b"] = "small"
	tr.append(j, put("b", want["b"]))
	tr.stands("p", want)
}
