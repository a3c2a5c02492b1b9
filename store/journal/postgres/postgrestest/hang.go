package postgrestest

import (
	"context"
	"errors"
	"os"

	"github.com/jackc/pgx/v5"
)

// Hang suspends all processes of the server, as if its machine had frozen: connections
// stay open, new ones too are accepted, and nothing answers.
func (s *Server) Hang() (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), ready)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	if err := s.suspend(s.process.Process.Pid); err != nil { // so that no process is added
		return err
	}
	rows, err := conn.Query(ctx, `select pid from pg_stat_activity where pid <> pg_backend_pid()`)
	if err != nil {
		return err
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	for _, pid := range pids {
		if err == nil {
			err = s.suspend(pid)
		}
	}
	return err
}

func (s *Server) suspend(pid int) error {
	process, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	s.hung = append(s.hung, process)
	return ended(process.Signal(suspend))
}

// Resume lets the server go on after Hang. It does nothing if the server does not hang.
func (s *Server) Resume() (err error) {
	for _, process := range s.hung {
		err = errors.Join(err, ended(process.Signal(resume)))
	}
	s.hung = nil
	return err
}
