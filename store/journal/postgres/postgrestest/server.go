// Package postgrestest runs PostgreSQL servers for tests and benchmarks, each in a
// directory of its own, on a port of the loopback interface. It needs the server's
// programs, which Debian's package postgresql has, and finds them in PATH or under
// /usr/lib/postgresql. The server refuses to run as root, so root runs it as the user
// postgres.
package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrMissing means that this machine cannot run a server. The text says why.
var ErrMissing = errors.New("postgrestest: no PostgreSQL server can be run here")

const (
	superuser = "loopstore"
	ready     = time.Minute // for a server to answer after its start
)

// A Server is a server that runs, or was stopped and may run again. It is not safe for
// concurrent use.
type Server struct {
	programs string // their directory
	dir      string
	port     int
	settings []string
	process  *exec.Cmd // nil while the server does not run
	guard    *exec.Cmd // stops the server if this process ends first
	hung     []*os.Process
}

// Start runs a server until the test ends. Settings are like "fsync=off". The test is
// skipped where no server can run.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	s, err := New(settings...)
	if errors.Is(err, ErrMissing) {
		t.Skip(err)
	}
	return keep(t, s, err)
}

// keep closes a server when the test ends.
func keep(t testing.TB, s *Server, err error) *Server {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// New runs a server until its Close. Where none can run it returns ErrMissing.
func New(settings ...string) (*Server, error) {
	return launch(settings, "initdb", "-U", superuser, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
}

// Standby runs a server that follows this one until the test ends. It commits
// synchronously if synchronous_standby_names of s has its name.
func (s *Server) Standby(t testing.TB, name string) *Server {
	t.Helper()
	from := fmt.Sprintf("%s application_name=%s", s.dsn(), name)
	f, err := launch(s.settings, "pg_basebackup", "-R", "-X", "stream", "-c", "fast", "--no-sync", "-d", from)
	return keep(t, f, err)
}

// launch runs a server on the data that a program creates.
func launch(settings []string, program string, args ...string) (*Server, error) {
	s, err := prepare(settings)
	if err != nil {
		return nil, err
	}
	if err = s.run(program, append(args, "-D", s.data())...); err == nil {
		err = s.Run()
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// prepare creates the directory of a server, and finds a port.
func prepare(settings []string) (*Server, error) {
	programs, err := find()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "loopstore-postgres-")
	if err != nil {
		return nil, err
	}
	s := &Server{programs: programs, dir: dir, settings: slices.Clone(settings)}
	if err = giveAway(dir); err == nil {
		s.port, err = freePort()
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// find returns the directory of the programs, the newest one if there are several.
func find() (string, error) {
	if err := possible(); err != nil {
		return "", fmt.Errorf("%w: %w", ErrMissing, err)
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if inPath, err := exec.LookPath("initdb"); err == nil {
		found = append(found, inPath)
	}
	if len(found) == 0 {
		return "", fmt.Errorf("%w: install Debian's package postgresql", ErrMissing)
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(newest), nil
}

// version returns the number in the path of one of Debian's programs, 0 if it has none.
func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return n
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// command returns a command for one of the programs, which runs as a user who may run
// it.
func (s *Server) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.programs, program), args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	disown(cmd)
	return cmd
}

func (s *Server) run(program string, args ...string) error {
	if out, err := s.command(program, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("postgrestest: %s: %w\n%s", program, err, out)
	}
	return nil
}

// Run starts a server that was stopped or killed, and returns when it answers.
func (s *Server) Run() error {
	args := []string{"-D", s.data(), "-p", strconv.Itoa(s.port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=" + s.dir}
	for _, setting := range s.settings {
		args = append(args, "-c", setting)
	}
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the server has its own
	cmd := s.command("postgres", args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	s.process = cmd
	return errors.Join(s.watch(), s.answers())
}

// watch starts the guard, so that a killed test leaves nothing behind. The guard waits
// for the end of a pipe that only this process holds.
func (s *Server) watch() error {
	s.guard = exec.Command("sh", "-c", `read -r _; kill -QUIT "$1"; sleep 1; rm -rf "$2"`, "sh", strconv.Itoa(s.process.Process.Pid), s.dir)
	disown(s.guard)
	if _, err := s.guard.StdinPipe(); err != nil {
		return err
	}
	return s.guard.Start()
}

// answers waits until the server answers.
func (s *Server) answers() error {
	ctx, cancel := context.WithTimeout(context.Background(), ready)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.URL())
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("postgrestest: the server does not answer: %w\n%s", err, log)
		}
	}
}

// URL returns the connection string of a superuser, for pgxpool.ParseConfig.
func (s *Server) URL() string { return s.dsn() + " dbname=postgres" }

func (s *Server) dsn() string {
	return fmt.Sprintf("host=127.0.0.1 port=%d user=%s", s.port, superuser)
}

// Addr returns the host and port at which the server listens.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Promote turns a standby into a server that takes writes.
func (s *Server) Promote() error { return s.run("pg_ctl", "promote", "-w", "-D", s.data()) }

// Stop stops the server and cuts its connections. It does nothing if the server does
// not run.
func (s *Server) Stop() error { return s.end(os.Interrupt) }

// Kill kills the server without warning. The processes of its connections end when
// they notice.
func (s *Server) Kill() error { return s.end(os.Kill) }

func (s *Server) end(signal os.Signal) error {
	if s.process == nil {
		return nil
	}
	if err := s.Resume(); err != nil {
		return err
	}
	if err := s.process.Process.Signal(signal); err != nil {
		return err
	}
	err := errors.Join(ended(s.guard.Process.Kill()), ended(s.guard.Wait()), ended(s.process.Wait()))
	s.process, s.guard = nil, nil
	return err
}

// ended returns nil for the errors of a process that has ended as it should.
func ended(err error) error {
	if _, exited := errors.AsType[*exec.ExitError](err); exited || errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// Close stops the server at once and removes its directory.
func (s *Server) Close() error { return errors.Join(s.end(syscall.SIGQUIT), remove(s.dir)) }

// remove removes a directory. Processes that are about to end may still write there.
func remove(dir string) (err error) {
	for range 100 {
		if err = os.RemoveAll(dir); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}
