package lincheck

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// A finished run of Check is a line of Config.Record.
type finished struct {
	Ended      time.Time `json:"ended"`
	Seconds    float64   `json:"seconds"`
	Histories  int       `json:"histories"`
	Operations int       `json:"operations"` // those of the audits too
	Fault      bool      `json:"fault,omitzero"`
}

// note adds a run to a record, and returns what all runs in it come to. Tests of several
// processes may share a record.
func note(record string, last finished) (all string, err error) {
	line, err := json.Marshal(last)
	if err != nil {
		return "", err
	}
	file, err := os.OpenFile(record, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := file.Write(append(line, '\n')); err != nil {
		return "", err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	all, err = sum(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", record, err)
	}
	return all, nil
}

// sum says for how long, and how many operations, Check has run clean.
func sum(record io.Reader) (string, error) {
	lines, all, clean, faults := json.NewDecoder(record), finished{}, 0, 0
	for {
		var r finished
		switch err := lines.Decode(&r); {
		case err == io.EOF:
			return fmt.Sprintf("%d runs were clean: %v, %d histories, %d operations, since %s; %d found a fault", clean,
				time.Duration(all.Seconds*float64(time.Second)).Round(time.Second), all.Histories, all.Operations,
				all.Ended.Format(time.DateOnly), faults), nil
		case err != nil:
			return "", fmt.Errorf("after %d runs: %w", clean+faults, err)
		}
		if all.Ended.IsZero() || r.Ended.Before(all.Ended) {
			all.Ended = r.Ended
		}
		if r.Fault {
			faults++
			continue
		}
		clean++
		all.Seconds += r.Seconds
		all.Histories += r.Histories
		all.Operations += r.Operations
	}
}
