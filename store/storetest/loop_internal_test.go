package storetest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store/journal/journaltest"
)

// New finds a loop's goroutine in the text of stacks. This fails when that text no
// longer looks as New expects.
func TestTheLoopsGoroutineIsFound(t *testing.T) {
	engine := journaltest.NewEngine()
	for name, open := range map[string]func(partition string) (*loopstore.Loop, error){
		"in memory": func(string) (*loopstore.Loop, error) { return loopstore.New(loopstore.Options{}), nil },
		"durable": func(partition string) (*loopstore.Loop, error) {
			return loopstore.Open(t.Context(), engine, partition, loopstore.Options{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			loop, err := open("one")
			require.NoError(t, err)
			other, err := open("other")
			require.NoError(t, err)
			_, _, err = loop.LoadRuntimeState(t.Context(), "a") // so that its goroutine has begun
			require.NoError(t, err)
			assert.Contains(t, ownerOf(loop), "(*Loop).own", "the loop is open")
			require.NoError(t, loop.Close())
			assert.Empty(t, stillThere(loop), "the loop is closed, and the other is not")
			require.NoError(t, other.Close())
		})
	}
}

// Stacks that differ only in numbers and addresses are shown once.
func TestStacksAreGrouped(t *testing.T) {
	stack := "goroutine %d [select]:\na/b.(*C).do(0x%x, {0x1, 0x2})\n\t/src/c.go:7 +0x%x\ncreated by a/b.New in goroutine %d\n\t/src/c.go:5 +0x2"
	var stacks []string
	for i := range 300 {
		stacks = append(stacks, fmt.Sprintf(stack, i, i, i, i))
	}
	text := grouped(append(stacks, "goroutine 7 [running]:\nmain.main()"))
	assert.Equal(t, "300 goroutines, [select]:\na/b.(*C).do\n\t/src/c.go:7\ncreated by a/b.New\n\t/src/c.go:5\n\n"+
		"1 goroutines, [running]:\nmain.main()\n\n", text)
}
