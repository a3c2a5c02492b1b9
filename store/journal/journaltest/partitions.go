package journaltest

import (
	"strings"

	"github.com/stretchr/testify/require"
)

func partitions() []promise {
	return []promise{
		{words: "partitions do not see each other", try: partitionsAreApart},
		{words: "a name is any text, or is refused", try: anyName},
		{words: "positions are of one partition", try: positionsAreApart},
	}
}

func partitionsAreApart(tr *trial) {
	a, b := tr.open("a", nil), tr.open("b", nil)
	tr.append(a, put("k", "a"), put("l", "a"))
	tr.append(b, put("k", "b"))
	tr.append(a, del("k"))
	tr.reopen()
	tr.open("a", contents{"l": "a"})
	tr.open("b", contents{"k": "b"})
	tr.open("c", nil)
}

// Names that look alike, or like a path, are different names.
func anyName(tr *trial) {
	names := []string{
		"", " ", "a", "A", "a ", " a", "a/b", "a/../a", "/", ".", "..", "a\x00", "a\x00b", "\x00", "é", "e\u0301",
		"日本", "%2F", "a\nb", `a\b`, "CON", "-", strings.Repeat("n", 300), strings.Repeat("n", 301),
		strings.Repeat("long/", 10_000),
	}
	taken := map[string]bool{}
	for _, name := range names {
		j, got, err := tr.tryOpen(name)
		if err != nil {
			tr.Logf("the name %.20q (%d bytes) is refused: %v", name, len(name), err)
			continue
		}
		require.Empty(tr, contents(nil).differ(got), "%.20q is a new partition", name)
		tr.append(j, put("name", name))
		taken[name] = true
	}
	require.True(tr, taken["a"] && taken["A"], "plain names are accepted")
	tr.reopen()
	for _, name := range names {
		if taken[name] {
			tr.open(name, contents{"name": name})
		}
	}
}

func positionsAreApart(tr *trial) {
	a, b := tr.open("a", nil), tr.open("b", nil)
	require.EqualValues(tr, 1, tr.append(a, put("k", "1")).Index)
	require.EqualValues(tr, 2, tr.append(a, put("k", "2")).Index)
	require.EqualValues(tr, 1, tr.append(b, put("k", "1")).Index)
	require.EqualValues(tr, 3, tr.append(a, put("k", "3")).Index)
}
