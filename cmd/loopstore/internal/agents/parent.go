package agents

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/loopstore/loopstore/cmd/internal/term"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk"
)

// Settings are what the demo is asked to do.
type Settings struct {
	Dir   string // of the journal and the notebook; what an earlier demo has left there goes on
	Kills int    // of the child
	// Child returns the command of a child. It calls Serve with Dir, and with its standard
	// input and output.
	Child func() *exec.Cmd
}

const (
	agents   = 20
	notes    = 20 // to each agent
	patience = time.Minute
)

// A parent sends the notes to its children, one after another.
type parent struct {
	Settings
	first [agents]int // the number of each agent's first note
	sent  int         // notes that are stored; they go round the agents
	tried int         // notes that a child was given
	saw   map[event]int
}

// Run has children answer all notes, kills each but the last, and checks what they have
// left. It says how far it is in lines to progress. An error means that it could not be done.
func Run(ctx context.Context, s Settings, progress func(line string)) (*Outcome, error) {
	if err := own(ctx, s.Dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, err
	}
	book, err := openNotebook(notebookIn(s.Dir)) // it comes first: see own
	if err == nil {
		err = book.close()
	}
	if err != nil {
		return nil, err
	}
	p := &parent{Settings: s, saw: make(map[event]int)}
	if p.first, err = p.found(ctx); err != nil {
		return nil, err
	}
	start := time.Now()
	for life := range s.Kills + 1 {
		if err := p.live(ctx, life); err != nil {
			return nil, err
		}
		if life < s.Kills {
			progress(fmt.Sprintf("killed %d of %s: %s answered, %s recovered, %s asked about", life+1, term.Counted(int64(s.Kills), "time"),
				term.Counted(int64(p.saw[ended]), "message"), term.Counted(int64(p.saw[recovered]), "turn"), term.Counted(int64(p.saw[asked]), "call")))
		}
	}
	o := &Outcome{
		Agents: agents, Kills: s.Kills, Elapsed: time.Since(start),
		Repeated: p.saw[repeated], Recovered: p.saw[recovered], Asked: p.saw[asked],
	}
	return o, p.check(ctx, o)
}

// own returns an error if a directory has anything in it that no earlier demo has made: a
// journal or a notebook of somebody else would be written to.
func own(ctx context.Context, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var found []string
	for _, e := range entries {
		found = append(found, filepath.Join(dir, e.Name()))
	}
	const advice = "name a new directory, or that of an earlier demo"
	for _, name := range found {
		if name != StateIn(dir) && name != notebookIn(dir) {
			return fmt.Errorf("it holds %s, which is none of the demo's: %s", term.Named(filepath.Base(name), 80), advice)
		}
	}
	if len(found) == 0 {
		return nil
	}
	partitions, err := disk.Partitions(ctx, StateIn(dir), disk.Options{})
	book, noted := os.Stat(notebookIn(dir))
	begun := noted == nil && book.Size() == 0 // or the demo was killed while it made the journal
	switch {
	case errors.Is(err, journal.ErrInUse), errors.Is(err, journal.ErrCorrupt):
		return err
	case err != nil && !begun:
		return fmt.Errorf("what it holds is none of the demo's: %s: %w", advice, err)
	case slices.ContainsFunc(partitions, func(name string) bool { return name != partition }):
		return fmt.Errorf("what it holds is none of the demo's: %s", advice)
	}
	return nil
}

// live lets a child live: the last one until all is done, any other until its kill.
func (p *parent) live(ctx context.Context, life int) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("a child was not done after %v", patience))
	defer cancel()
	cmd := p.Child()
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	kill := func() { _ = cmd.Process.Kill() } // the error is that it has ended
	defer context.AfterFunc(ctx, kill)()

	until := agents * notes * (life + 1) / (p.Kills + 1)
	last := life == p.Kills
	// A child says for each note that it is stored, and that its turn has ended: so it is
	// at work when it is killed.
	moment := rand.N(2*(until-p.sent) + 2)
	if !last && moment == 0 { // while it opens the store
		time.Sleep(rand.N(10 * thinking))
		kill()
	}
	for i := p.sent; i < until && err == nil; i++ {
		err = json.NewEncoder(in).Encode(p.note(i)) // a pipe has room for all of them
	}
	if last {
		err = errors.Join(err, in.Close())
	}
	said, tried := 0, p.tried
	p.tried = until
	var wrong error // whether it was killed or not
	for reports := json.NewDecoder(out); wrong == nil; {
		var r report
		if reports.Decode(&r) != nil { // it has ended
			break
		}
		p.saw[r.Event]++
		if r.Event == stored || r.Event == repeated {
			switch {
			case r.Note != p.note(p.sent):
				wrong = fmt.Errorf("a child has stored note %v instead of %v", r.Note, p.note(p.sent))
			case r.Event == repeated && p.sent >= tried:
				wrong = fmt.Errorf("note %v was stored before it was sent: does another demo use the directory?", r.Note)
			}
			p.sent++
		}
		if said++; said == moment && !last {
			time.Sleep(rand.N(2 * thinking))
			kill()
		}
	}
	if wrong != nil {
		kill()
	}
	ended := cmd.Wait()
	switch {
	case wrong != nil:
		err = wrong
	case last || said < moment || complaint.Len() > 0: // who is killed does not complain
		err = errors.Join(err, ended)
	default:
		err = nil // of the pipe of a child that was killed
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("a child: %w: %s", err, bytes.TrimSpace(complaint.Bytes()))
	}
	return nil
}

// note returns the i-th note that is sent.
func (p *parent) note(i int) note {
	agent := i % agents
	return note{Agent: agent, Number: p.first[agent] + i/agents}
}
