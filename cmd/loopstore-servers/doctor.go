package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/loopstore/loopstore/cmd/internal/cli"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/jetstream"
	"github.com/loopstore/loopstore/store/journal/postgres"
)

// doctorSettings are the flags of doctor.
type doctorSettings struct {
	nats, system, creds, prefix, domain string
	replicas                            int
	postgres, schema                    string
	json                                bool
}

// patience is how long servers may take to answer.
const patience = 10 * time.Second

func doctorCommand() *cobra.Command {
	var s doctorSettings
	cmd := &cobra.Command{
		Use: "doctor", Short: "check servers that keep journals for settings that may lose a write", Long: doctorHelp, Args: cli.None,
		Example: "  loopstore-servers doctor --nats nats://host:4222 --system nats://admin:secret@host:4222\n" +
			"  loopstore-servers doctor --postgres postgres://user@host/database",
		RunE: func(cmd *cobra.Command, _ []string) error {
			findings, err := s.diagnose(cmd)
			if err != nil {
				return err
			}
			d := newDiagnosis(findings)
			if err := d.write(cmd.OutOrStdout(), s.json); err != nil {
				return err
			}
			if d.failed() {
				return cli.ErrFailed
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&s.nats, "nats", "", "check the NATS servers at this `URL`, or at several with commas\nbetween them")
	flags.StringVar(&s.system, "system", "", "also ask the NATS servers for their own settings, as the user of the\nsystem account that this `URL` names")
	flags.StringVar(&s.creds, "creds", "", "the credentials `file` of the user of --nats")
	flags.StringVar(&s.prefix, "prefix", "loopstore", "the `text` that the names of the streams begin with")
	flags.StringVar(&s.domain, "domain", "", "the `name` of the JetStream domain, if it is not that of the server at\n--nats")
	flags.IntVar(&s.replicas, "replicas", 3, "how many servers should keep each stream: 1, 3 or 5")
	flags.StringVar(&s.postgres, "postgres", "", "check the PostgreSQL server at this `URL`, or with these settings,\nsuch as \"host=db user=me\"")
	flags.StringVar(&s.schema, "schema", "loopstore", "the `name` of the schema that holds the tables")
	flags.BoolVar(&s.json, "json", false, "print JSON instead of a table")
	cli.Connects(flags, "nats", "system", "postgres")
	return cmd
}

// check returns an error if the flags do not go together.
func (s *doctorSettings) check(cmd *cobra.Command) error {
	switch {
	case (s.nats == "") == (s.postgres == ""):
		return cli.Misused("it takes either --nats or --postgres")
	case s.replicas != 1 && s.replicas != 3 && s.replicas != 5:
		return cli.Misused(fmt.Sprintf("--replicas is %d, and must be 1, 3 or 5", s.replicas))
	}
	for _, name := range []string{"system", "creds", "prefix", "domain", "replicas"} {
		if s.postgres != "" && cmd.Flags().Changed(name) {
			return cli.Misused(fmt.Sprintf("--%s goes with --nats", name))
		}
	}
	if s.nats != "" && cmd.Flags().Changed("schema") {
		return cli.Misused("--schema goes with --postgres")
	}
	return nil
}

func (s *doctorSettings) diagnose(cmd *cobra.Command) ([]journal.Finding, error) {
	if err := s.check(cmd); err != nil {
		return nil, err
	}
	if s.postgres != "" {
		return s.diagnosePostgres(cmd.Context())
	}
	return s.diagnoseNATS(cmd.Context())
}

func (s *doctorSettings) diagnoseNATS(ctx context.Context) ([]journal.Finding, error) {
	var options []nats.Option
	if s.creds != "" {
		if info, err := os.Stat(s.creds); err != nil || !info.Mode().IsRegular() {
			return nil, cli.Misused("--creds: there is no such file") // its content, if that was given, has secrets
		}
		options = append(options, nats.UserCredentials(s.creds))
	}
	at, err := natsAddress("nats", s.nats)
	if err != nil {
		return nil, err
	}
	conn, err := at.connect(ctx, options...)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	hidden := at.hidden
	var system *nats.Conn
	if s.system != "" {
		at, err := natsAddress("system", s.system)
		if err != nil {
			return nil, err
		}
		if system, err = at.connect(ctx); err != nil {
			return nil, err
		}
		defer system.Close()
		hidden = append(hidden, at.hidden...)
	}
	engine, err := jetstream.New(conn, jetstream.Options{Prefix: s.prefix, Domain: s.domain, Replicas: s.replicas, Patience: patience})
	if err != nil {
		return nil, cli.Misuse{Err: err}
	}
	findings, err := engine.Diagnose(ctx, system)
	return hide(findings, hidden), hideError(err, hidden)
}

// connect does not wait for a server to come back: whoever asks wants an answer now.
func (a *address) connect(ctx context.Context, options ...nats.Option) (*nats.Conn, error) {
	options = append(options, nats.Name("loopstore-servers doctor"), nats.NoReconnect(), nats.Timeout(patience/2),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // else it prints what the server says
	return cli.Within(ctx, func() (*nats.Conn, error) {
		conn, err := nats.Connect(a.text, options...)
		return conn, a.failed(err)
	})
}

func (s *doctorSettings) diagnosePostgres(ctx context.Context) ([]journal.Finding, error) {
	at, err := cli.Within(ctx, func() (*address, error) { return postgresAddress(s.postgres) }) // files that it names may be pipes
	if err != nil {
		return nil, err
	}
	at.config.ConnConfig.ConnectTimeout = patience
	pool, err := postgres.NewPool(ctx, at.config)
	if err != nil {
		return nil, at.failed(err)
	}
	defer func() {
		_, _ = cli.Within(ctx, func() (any, error) { pool.Close(); return nil, nil })
	}()
	if err := ping(ctx, pool); err != nil {
		return nil, errors.Join(context.Cause(ctx), at.failed(err))
	}
	findings, err := postgres.New(pool, postgres.Options{Schema: s.schema}).Diagnose(ctx)
	return hide(findings, at.hidden), hideError(err, at.hidden)
}

// ping returns the error of a connection that cannot be made.
func ping(ctx context.Context, pool *pgxpool.Pool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return pool.Ping(ctx)
}
