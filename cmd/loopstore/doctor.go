package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"

	"github.com/loopstore/loopstore/cmd/loopstore/internal/term"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/jetstream"
	"github.com/loopstore/loopstore/store/journal/postgres"
)

// doctorSettings are the flags of doctor.
type doctorSettings struct {
	nats, system, creds, prefix string
	replicas                    int
	postgres, schema            string
	json                        bool
}

// doctorPatience is how long servers may take to answer.
const doctorPatience = 10 * time.Second

// doctor is the subcommand.
func doctor(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var s doctorSettings
	err := s.parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		term.Say(stderr, "loopstore doctor: %s\n\"loopstore doctor -h\" lists the flags\n", s.hide(err.Error()))
		return exitUsage
	}
	findings, err := s.diagnose(ctx)
	if err != nil {
		term.Say(stderr, "loopstore doctor: %s\n", s.hide(err.Error()))
		if _, ok := errors.AsType[misuse](err); ok {
			return exitUsage
		}
		return interruptedOr(ctx, exitFailed)
	}
	d := newDiagnosis(findings)
	if err := d.write(stdout, s.json); err != nil {
		term.Say(stderr, "loopstore doctor: %v\n", err)
		return exitFailed
	}
	if d.failed() {
		return exitFailed
	}
	return exitOK
}

func (s *doctorSettings) parse(args []string, help io.Writer) error {
	flags := flag.NewFlagSet("doctor", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&s.nats, "nats", "", "check the NATS servers at this `URL`, or at several with commas\nbetween them")
	flags.StringVar(&s.system, "system", "", "also ask the NATS servers for their own settings, as the user of the\nsystem account that this `URL` names")
	flags.StringVar(&s.creds, "creds", "", "the credentials `file` of the user of -nats")
	flags.StringVar(&s.prefix, "prefix", "loopstore", "the `text` that the names of the streams begin with")
	flags.IntVar(&s.replicas, "replicas", 3, "how many servers should keep each stream: 1, 3 or 5")
	flags.StringVar(&s.postgres, "postgres", "", "check the PostgreSQL server at this `URL`, or with these settings,\nsuch as \"host=db user=me\"")
	flags.StringVar(&s.schema, "schema", "loopstore", "the `name` of the schema that holds the tables")
	flags.BoolVar(&s.json, "json", false, "print JSON instead of a table")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		showHelp(help, flags, doctorHelp, doctorNotes)
	}
	if err != nil {
		return err
	}
	if n := flags.NArg(); n > 0 {
		return fmt.Errorf("it takes no arguments, not %d", n)
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	return s.check(given)
}

// check returns an error if the flags do not go together.
func (s *doctorSettings) check(given map[string]bool) error {
	switch {
	case (s.nats == "") == (s.postgres == ""):
		return errors.New("it takes either -nats or -postgres")
	case s.replicas != 1 && s.replicas != 3 && s.replicas != 5:
		return fmt.Errorf("-replicas is %d, and must be 1, 3 or 5", s.replicas)
	}
	for _, name := range []string{"system", "creds", "prefix", "replicas"} {
		if given[name] && s.postgres != "" {
			return fmt.Errorf("-%s goes with -nats", name)
		}
	}
	if given["schema"] && s.nats != "" {
		return errors.New("-schema goes with -postgres")
	}
	for name, urls := range map[string]string{"nats": s.nats, "system": s.system} {
		if _, err := natsURLs(urls); err != nil {
			return fmt.Errorf("-%s: %w", name, err)
		}
	}
	return nil
}

func (s *doctorSettings) diagnose(ctx context.Context) ([]journal.Finding, error) {
	if s.postgres != "" {
		return s.diagnosePostgres(ctx)
	}
	return s.diagnoseNATS(ctx)
}

func (s *doctorSettings) diagnoseNATS(ctx context.Context) ([]journal.Finding, error) {
	var options []nats.Option
	if s.creds != "" {
		options = append(options, nats.UserCredentials(s.creds))
	}
	conn, err := connectNATS(s.nats, options...)
	if err != nil {
		return nil, fmt.Errorf("-nats: %w", err)
	}
	defer conn.Close()
	var system *nats.Conn
	if s.system != "" {
		if system, err = connectNATS(s.system); err != nil {
			return nil, fmt.Errorf("-system: %w", err)
		}
		defer system.Close()
	}
	engine, err := jetstream.New(conn, jetstream.Options{Prefix: s.prefix, Replicas: s.replicas, Patience: doctorPatience})
	if err != nil {
		return nil, misuse(err.Error())
	}
	return engine.Diagnose(ctx, system)
}

// connectNATS does not wait for a server to come back: whoever asks wants an answer
// now.
func connectNATS(urls string, options ...nats.Option) (*nats.Conn, error) {
	options = append(options, nats.Name("loopstore doctor"), nats.NoReconnect(), nats.Timeout(doctorPatience/2))
	return nats.Connect(urls, options...)
}

func (s *doctorSettings) diagnosePostgres(ctx context.Context) ([]journal.Finding, error) {
	config, err := pgxpool.ParseConfig(s.postgres)
	if err != nil {
		return nil, errPostgresURL // err may quote a part of the password
	}
	config.ConnConfig.ConnectTimeout = doctorPatience
	pool, err := postgres.NewPool(ctx, config)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	return postgres.New(pool, postgres.Options{Schema: s.schema}).Diagnose(ctx)
}
