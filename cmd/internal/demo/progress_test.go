package demo

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/ops"
)

func TestProgressTellsWhatHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := stalled{make(chan string)}
		done := tally{events: make(chan string, 1)}
		stop := showProgress(w, &done)
		require.Equal(t, "  1.0s  0 turns, 0 operations, now 0 per second\n", <-w.lines)
		done.events <- "it rains"
		require.Equal(t, "  1.0s  it rains\n", <-w.lines)
		stop()
	})
}

// A stalled writer hands over what it is to write.
type stalled struct{ lines chan string }

func (w stalled) Write(p []byte) (int, error) {
	w.lines <- string(p)
	return len(p), nil
}

func TestProgressEndsBeforeTheTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := stalled{make(chan string)}
		var done tally
		done.turns.Store(1234)
		done.operations[0].Store(50_000)
		stop := showProgress(w, &done)
		require.Equal(t, "  1.0s  1,234 turns, 50,000 operations, now 50,000 per second\n", <-w.lines)
		done.operations[0].Add(20_000)
		require.Equal(t, "  2.0s  1,234 turns, 70,000 operations, now 20,000 per second\n", <-w.lines)
		time.Sleep(time.Second) // it writes, and nobody reads

		stopped := make(chan struct{})
		go func() {
			stop()
			close(stopped)
		}()
		synctest.Wait()
		select {
		case <-stopped:
			t.Fatal("stopped while it still has to write")
		default:
		}
		require.Equal(t, "  3.0s  1,234 turns, 70,000 operations, now 0 per second\n", <-w.lines)
		<-stopped
	})
}

// A screen is a terminal of some lines, which understands what a Place writes to it.
type screen struct {
	lines []string
	at    int
}

func (s *screen) Terminal() bool { return true }

func (s *screen) Write(p []byte) (int, error) {
	if len(s.lines) == 0 {
		s.lines = []string{""}
	}
	for text := string(p); text != ""; {
		var up int
		if n, _ := fmt.Sscanf(text, "\x1b[%dA", &up); n == 1 {
			s.at -= up
			text = text[strings.Index(text, "A")+1:]
			continue
		}
		if rest, ok := strings.CutPrefix(text, "\r\x1b[J"); ok {
			s.lines, text = append(s.lines[:s.at:s.at], ""), rest
			continue
		}
		if text[0] == '\n' {
			s.at++
			s.lines = append(s.lines, "")
		} else {
			s.lines[s.at] += text[:1]
		}
		text = text[1:]
	}
	return len(p), nil
}

func TestATableIsWrittenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(screen)
		done := tally{events: make(chan string)}
		stop := showProgress(s, &done)
		time.Sleep(time.Second + time.Millisecond)
		synctest.Wait()
		require.Equal(t, []string{"  1.0s  0 turns", "", "operation                       count now a second", "all                                 0            0", ""}, s.lines)
		done.turns.Store(1)
		done.operations[ops.KindPersistInputState].Store(1000)
		done.events <- "it rains"
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		table := []string{
			"  1.0s  it rains", "  1.2s  1 turn", "", "operation                       count now a second",
			"persist_input_state             1,000        5,000", "all                             1,000        5,000", "",
		}
		require.Equal(t, table, s.lines)
		done.events <- "it has stopped"
		synctest.Wait()
		require.Equal(t, slices.Insert(table, 1, "  1.2s  it has stopped"), s.lines)
		stop()
		require.Equal(t, []string{"  1.0s  it rains", "  1.2s  it has stopped", ""}, s.lines, "the report follows")
	})
}
