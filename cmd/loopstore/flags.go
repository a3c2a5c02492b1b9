package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/loopstore/loopstore/cmd/loopstore/internal/demo"
	"github.com/loopstore/loopstore/cmd/loopstore/internal/term"
)

// demoFlags are the flags of the demo.
type demoFlags struct {
	demo.Settings
	json, quiet bool
	http        string   // the address to show the store at, empty if nowhere
	notes       []string // what the user should know about the flags
}

const (
	maxCallers      = 1_000 // each keeps histograms, some 80 KB
	fewestMembers   = 2
	mostMembers     = 9
	defaultDuration = 5 * time.Second

	defaultClusterDuration = 15 * time.Second
	leastClusterDuration   = 10 * time.Second // enough for all that happens there, on most machines
)

// parse reads the flags and returns the other arguments, the files.
func (s *demoFlags) parse(args []string, help io.Writer) (files []string, err error) {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.IntVar(&s.Runtimes, "runtimes", 100, fmt.Sprintf("how many runtimes there are, at most %d", demo.MaxRuntimes))
	flags.IntVar(&s.Turns, "turns", 0, "end when each runtime has taken this many turns, with a journal those\nof earlier processes too; 0 for as many as there is time for")
	flags.Func("duration", fmt.Sprintf("end after this `time`, such as 30s, even if turns are left (default %s,\nwith -cluster %s, and no limit with -turns)", defaultDuration, defaultClusterDuration), s.setDuration)
	flags.IntVar(&s.Callers, "callers", 8, fmt.Sprintf("how many goroutines share the runtimes, at most %d; no more than there\nare runtimes, because a runtime is with one at a time", maxCallers))
	flags.StringVar(&s.Journal, "journal", "", "keep the store in this `directory`; killed at any moment and started again,\nthe demo continues where it stopped")
	flags.Func("cluster", fmt.Sprintf("spread the runtimes over this many `members`, from %d to %d, on NATS\nservers in this process; a member is killed and a server stopped", fewestMembers, mostMembers), s.setCluster)
	flags.BoolVar(&s.json, "json", false, "print JSON instead of tables")
	flags.StringVar(&s.Export, "export", "", "export the store to this `file` at the end, for\n\"loopstore inspect\" and \"loopstore verify\"")
	flags.StringVar(&s.http, "http", "", "show the store to browsers at this `address`, such as :8080 or\nlocalhost:8080, until Ctrl-C after the report")
	flags.BoolVar(&s.quiet, "quiet", false, "show no progress")
	err = flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		showHelp(help, flags, demoHelp, demoNotes)
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	files = flags.Args()
	if err := cmp.Or(strayFlag(args, files), s.check()); err != nil {
		return nil, err
	}
	if s.Duration == 0 && s.Turns == 0 {
		s.Duration = defaultDuration
		if s.Members > 0 {
			s.Duration = defaultClusterDuration
		}
	}
	if s.Members > 0 && s.Duration > 0 && s.Duration < leastClusterDuration {
		s.notes = append(s.notes, fmt.Sprintf("%s may be too short: a kill, the take-over and the stop of a server need about %s", term.Brief(s.Duration), leastClusterDuration))
	}
	flags.Visit(func(f *flag.Flag) {
		if f.Name == "callers" && s.Callers > s.Runtimes {
			s.notes = append(s.notes, fmt.Sprintf("%s, not %d: a runtime is with one caller at a time", term.Counted(int64(s.Runtimes), "caller"), s.Callers))
		}
	})
	s.Callers = min(s.Callers, s.Runtimes)
	return files, nil
}

// showHelp answers -h.
func showHelp(w io.Writer, flags *flag.FlagSet, help, notes string) {
	term.Say(w, "%s", help)
	flags.SetOutput(w)
	flags.PrintDefaults()
	term.Say(w, "%s", notes)
}

func (s *demoFlags) setDuration(text string) (err error) {
	s.Duration, err = time.ParseDuration(text)
	switch {
	case err != nil:
		return errors.New("a time is a number with a unit, such as 5s")
	case s.Duration <= 0:
		return errors.New("it must be more than 0")
	}
	return nil
}

// check returns an error if the flags are out of bounds or do not go together.
func (s *demoFlags) check() error {
	for _, c := range []struct {
		name        string
		value, most int
	}{{"runtimes", s.Runtimes, demo.MaxRuntimes}, {"callers", s.Callers, maxCallers}} {
		if c.value < 1 || c.value > c.most {
			return fmt.Errorf("-%s is %d, and must be from 1 to %d", c.name, c.value, c.most)
		}
	}
	if s.Turns < 0 {
		return fmt.Errorf("-turns is %d, and must not be negative", s.Turns)
	}
	if s.Members > 0 {
		return s.checkCluster()
	}
	return nil
}

func (s *demoFlags) setCluster(text string) (err error) {
	s.Members, err = strconv.Atoi(text)
	if err != nil || s.Members < fewestMembers || s.Members > mostMembers {
		return fmt.Errorf("it must be a number from %d to %d", fewestMembers, mostMembers)
	}
	return nil
}

// checkCluster returns an error if there is a flag that does not go with -cluster.
func (s *demoFlags) checkCluster() error {
	for _, c := range []struct{ name, value string }{{"journal", s.Journal}, {"export", s.Export}, {"http", s.http}} {
		if c.value != "" {
			return fmt.Errorf("-%s does not go with -cluster: it is for one store in this process", c.name)
		}
	}
	return nil
}

// strayFlag returns an error if there is a flag among the files, where it would not
// be read. After -- anything is a file.
func strayFlag(args, files []string) error {
	if at := len(args) - len(files); at > 0 && args[at-1] == "--" {
		return nil
	}
	for _, name := range files {
		if strings.HasPrefix(name, "-") {
			return fmt.Errorf("%s comes after %s, but flags go before files", name, files[0])
		}
	}
	return nil
}
