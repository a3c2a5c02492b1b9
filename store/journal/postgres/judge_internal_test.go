package postgres

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
)

// What a try that did not match has seen says what came of those before.
func TestJudge(t *testing.T) {
	me, next, third := [16]byte{1}, [16]byte{2}, [16]byte{3}
	batch, other := [16]byte{10}, [16]byte{11}
	p := &partition{holder: me, head: journal.Head{Position: journal.Position{Index: 7}}}
	for _, c := range []struct {
		what           string
		seen           sight
		certain, after error // when no try before may have stored it, and when one may
	}{
		{"it is the last batch", sight{me, next, 8, 3, batch}, nil, nil},
		{"nothing has come", sight{me, next, 7, 3, other}, errUnmatched, errUnmatched},
		{"another batch of mine", sight{me, next, 8, 3, other}, journal.ErrCorrupt, journal.ErrCorrupt},
		{"two batches of mine", sight{me, next, 9, 3, other}, journal.ErrCorrupt, journal.ErrCorrupt},
		{"an older state", sight{me, next, 6, 3, other}, journal.ErrCorrupt, journal.ErrCorrupt},
		{"the next holder came first", sight{next, me, 7, 7, other}, journal.ErrFenced, journal.ErrFenced},
		{"the next holder came first, and has appended", sight{next, me, 9, 7, other}, journal.ErrFenced, journal.ErrFenced},
		{"the next holder came after it", sight{next, me, 8, 8, batch}, journal.ErrFenced, nil},
		{"the next holder came after it, and has appended", sight{next, me, 12, 8, other}, journal.ErrFenced, nil},
		{"two holders came first", sight{third, next, 7, 7, other}, journal.ErrFenced, journal.ErrFenced},
		{"two holders came after it", sight{third, next, 8, 8, batch}, journal.ErrFenced, nil},
		{"two holders came, and the first has appended", sight{third, next, 8, 8, other}, journal.ErrFenced, journal.ErrAmbiguous},
		{"two holders came, and both have appended", sight{third, next, 9, 8, other}, journal.ErrFenced, journal.ErrAmbiguous},
		{"another holder began with less than I have stored", sight{next, third, 9, 6, other}, journal.ErrCorrupt, journal.ErrCorrupt},
	} {
		for uncertain, want := range map[bool]error{false: c.certain, true: c.after} {
			require.ErrorIs(t, p.judge(&write{id: batch, uncertain: uncertain}, c.seen), want, "%s, %t", c.what, uncertain)
		}
	}
}
