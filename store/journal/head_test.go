package journal_test

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
)

type pair struct{ key, value string }

var pairs = []pair{
	{"a", "1"}, {"b", "2"}, {"c", ""}, {"", "3"}, {"\x00", "\x00\x00"}, {"a long key", "a longer value than that"},
}

func digest(pairs ...pair) (d journal.Digest) {
	for _, p := range pairs {
		d.Add([]byte(p.key), []byte(p.value))
	}
	return d
}

func TestDigestKnowsNoOrder(t *testing.T) {
	backwards := slices.Clone(pairs)
	slices.Reverse(backwards)
	assert.Equal(t, digest(pairs...), digest(backwards...))
	assert.NotEqual(t, journal.Digest{}, digest(pairs...))
}

func TestRemoveUndoesAdd(t *testing.T) {
	d := digest(pairs...)
	for i, p := range pairs {
		d.Remove([]byte(p.key), []byte(p.value))
		assert.Equal(t, digest(pairs[i+1:]...), d, "without the first %d", i+1)
	}
	assert.Equal(t, journal.Digest{}, d)

	d.Remove([]byte("a"), []byte("1"))
	d.Add([]byte("a"), []byte("1"))
	assert.Equal(t, journal.Digest{}, d, "in the other order too")
}

func TestPlusAndMinusAreOfWholeSets(t *testing.T) {
	d := digest(pairs[:2]...)
	d.Plus(digest(pairs[2:]...))
	assert.Equal(t, digest(pairs...), d)
	d.Minus(digest(pairs[:3]...))
	assert.Equal(t, digest(pairs[3:]...), d)
	assert.Equal(t, digest(pairs[0]), journal.DigestOf([]byte(pairs[0].key), []byte(pairs[0].value)))
}

// The sum is modulo 2^256: a carry goes from each word to the next, and out of
// the last.
func TestDigestCarries(t *testing.T) {
	modulus := new(big.Int).Lsh(big.NewInt(1), 256)
	for _, start := range []journal.Digest{
		{},
		{math.MaxUint64, math.MaxUint64, math.MaxUint64, math.MaxUint64},
		{math.MaxUint64, 0, math.MaxUint64, 0},
		{1, 0, 0, 0},
	} {
		for _, p := range pairs {
			sum := start
			sum.Add([]byte(p.key), []byte(p.value))
			want := new(big.Int).Add(number(start), number(hashOf(p)))
			require.Zero(t, want.Mod(want, modulus).Cmp(number(sum)), "%v and %q", start, p.key)

			rest := start
			rest.Remove([]byte(p.key), []byte(p.value))
			want.Sub(number(start), number(hashOf(p)))
			require.Zero(t, want.Mod(want, modulus).Cmp(number(rest)), "%v without %q", start, p.key)
		}
	}
}

// hashOf is the SHA-256 of the key's length, the key and the value, which the
// digest of one is.
func hashOf(p pair) (d journal.Digest) {
	text := binary.LittleEndian.AppendUint64(nil, uint64(len(p.key)))
	sum := sha256.Sum256(append(append(text, p.key...), p.value...))
	for i := range d {
		d[i] = binary.LittleEndian.Uint64(sum[8*i:])
	}
	return d
}

func number(d journal.Digest) *big.Int {
	n := new(big.Int)
	for i, word := range d {
		n.Add(n, new(big.Int).Lsh(new(big.Int).SetUint64(word), uint(64*i)))
	}
	return n
}

func TestDigestShowsWhatIsWrong(t *testing.T) {
	right := digest(pairs...)
	for name, wrong := range map[string][]pair{
		"a record is lost":        pairs[1:],
		"a record is there twice": append(slices.Clone(pairs), pairs[0]),
		"a value is altered":      append(slices.Clone(pairs[1:]), pair{"a", "0"}),
		"a value is an older one": append(slices.Clone(pairs[1:]), pair{"a", "before"}),
		"a key is altered":        append(slices.Clone(pairs[1:]), pair{"A", "1"}),
		"two values are swapped":  append(slices.Clone(pairs[2:]), pair{"a", "2"}, pair{"b", "1"}),
		"a byte has moved over":   append(slices.Clone(pairs[1:]), pair{"a1", ""}),
		"a record without value":  append(slices.Clone(pairs), pair{"d", ""}),
	} {
		assert.NotEqual(t, right, digest(wrong...), name)
	}
}

func TestHeadCounts(t *testing.T) {
	var head journal.Head
	for _, p := range pairs {
		head.Put([]byte(p.key), []byte(p.value))
	}
	assert.Equal(t, journal.Head{Keys: uint64(len(pairs)), Digest: digest(pairs...)}, head)
	for _, p := range pairs {
		head.Remove([]byte(p.key), []byte(p.value))
	}
	assert.Equal(t, journal.Head{}, head)
}

func TestBatchBytes(t *testing.T) {
	assert.EqualValues(t, 6, journal.Batch{Changes: []journal.Change{
		{Key: []byte("ab"), Value: []byte("cde")}, {Key: []byte("f"), Delete: true},
	}}.Bytes())
}
