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

// ErrMissing means that this machine cannot run a server, and why.
var ErrMissing = errors.New("postgrestest: no PostgreSQL server can be run here")

const (
	superuser = "loopstore"
	// ready is how long a server may take to answer after its start.
	ready = time.Minute
)

// A Server is a running server, or one that was stopped and may run again. Its
// methods are for one goroutine.
type Server struct {
	programs string // the directory that they are in
	dir      string
	port     int
	settings []string
	process  *exec.Cmd // nil while it does not run
	guard    *exec.Cmd // ends the server if this process ends first
}

// Start runs a server until the test ends. Settings are like "fsync=off". The
// test is skipped where no server can be run.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	s, err := New(settings...)
	switch {
	case errors.Is(err, ErrMissing):
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOf(t, s) })
	return s
}

func closeOf(t testing.TB, s *Server) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// New runs a server until its Close. Where none can be run it returns
// ErrMissing.
func New(settings ...string) (*Server, error) {
	s, err := prepare(settings)
	if err != nil {
		return nil, err
	}
	err = s.run("initdb", "-D", s.data(), "-U", superuser, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	if err == nil {
		err = s.Run()
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Standby runs a server that follows this one until the test ends. It commits
// synchronously if synchronous_standby_names of s has its name.
func (s *Server) Standby(t testing.TB, name string) *Server {
	t.Helper()
	f, err := prepare(s.settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOf(t, f) })
	from := fmt.Sprintf("%s application_name=%s", s.dsn(), name)
	if err := f.run("pg_basebackup", "-D", f.data(), "-R", "-X", "stream", "-c", "fast", "--no-sync", "-d", from); err != nil {
		t.Fatal(err)
	}
	if err := f.Run(); err != nil {
		t.Fatal(err)
	}
	return f
}

// prepare makes the directory of a server, and finds a port.
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

// find returns the directory of the programs, the newest if there are more.
func find() (string, error) {
	if err := possible(); err != nil {
		return "", fmt.Errorf("%w: %w", ErrMissing, err)
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if inPath, err := exec.LookPath("initdb"); err == nil {
		found = append(found, inPath)
	}
	if len(found) == 0 {
		return "", fmt.Errorf("%w: install Debian's package postgresql", ErrMissing)
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(newest), nil
}

// version is the number in the path of a program of Debian's.
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

// command is one of the programs, run as who may run it.
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

// Run runs a server again that was stopped or killed, and returns when it
// answers.
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

// watch starts a guard, which waits for the end of a pipe that only this process
// holds, so that a test which is killed leaves nothing behind.
func (s *Server) watch() error {
	s.guard = exec.Command("sh", "-c", `read -r _; kill -QUIT "$1"; sleep 1; rm -rf "$2"`, "sh", strconv.Itoa(s.process.Process.Pid), s.dir)
	disown(s.guard)
	if _, err := s.guard.StdinPipe(); err != nil {
		return err
	}
	return s.guard.Start()
}

// answers waits until the server does.
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

// URL is where the server is, for pgxpool.ParseConfig. The user may do
// everything.
func (s *Server) URL() string { return s.dsn() + " dbname=postgres" }

func (s *Server) dsn() string {
	return fmt.Sprintf("host=127.0.0.1 port=%d user=%s", s.port, superuser)
}

// Addr is where it listens, a host with a port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Promote makes a standby a server that writes.
func (s *Server) Promote() error { return s.run("pg_ctl", "promote", "-w", "-D", s.data()) }

// Stop stops the server, which cuts its connections. It does nothing if it does
// not run.
func (s *Server) Stop() error { return s.end(os.Interrupt) }

// Kill kills the server without a warning. The processes of its connections end
// when they see that.
func (s *Server) Kill() error { return s.end(os.Kill) }

func (s *Server) end(signal os.Signal) error {
	if s.process == nil {
		return nil
	}
	if err := s.process.Process.Signal(signal); err != nil {
		return err
	}
	err := errors.Join(ended(s.guard.Process.Kill()), ended(s.guard.Wait()), ended(s.process.Wait()))
	s.process, s.guard = nil, nil
	return err
}

// ended leaves out that a process which was to end has ended.
func ended(err error) error {
	if _, exited := errors.AsType[*exec.ExitError](err); exited || errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// Close stops the server at once and removes its directory.
func (s *Server) Close() error { return errors.Join(s.end(syscall.SIGQUIT), remove(s.dir)) }

// remove removes a directory in which processes that are about to end may still
// write.
func remove(dir string) (err error) {
	for range 100 {
		if err = os.RemoveAll(dir); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}
