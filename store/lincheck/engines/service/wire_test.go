//go:build unix

package service_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"syscall"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/cluster"
)

// A question is one of two calls, as it goes over HTTP.
type question struct {
	Runtime  store.RuntimeID
	Commit   *store.BoundaryCommit `json:",omitempty"` // else a load of a receipt
	Run      store.RunID
	Sequence uint64
}

// An answer is what came of it.
type answer struct {
	Receipt *store.RunBoundaryReceipt `json:",omitempty"` // nil if there is none
	Failure string                    `json:",omitempty"`
	Unknown bool                      // store.ErrOutcomeUnknown

	// Of a *cluster.NotHolderError.
	NotHolder bool
	Partition int
	Holder    cluster.Member
}

func answerOf(err error) (a answer) {
	if err != nil {
		a.Failure = err.Error()
	}
	a.Unknown = errors.Is(err, store.ErrOutcomeUnknown)
	if e, ok := errors.AsType[*cluster.NotHolderError](err); ok {
		a.NotHolder, a.Partition, a.Holder = true, e.Partition, e.Holder
	}
	return a
}

func (a answer) err() error {
	switch {
	case a.Failure == "":
		return nil
	case a.NotHolder:
		return &cluster.NotHolderError{Partition: a.Partition, Holder: a.Holder}
	case a.Unknown:
		return fmt.Errorf("%w: %s", store.ErrOutcomeUnknown, a.Failure)
	}
	return errors.New(a.Failure)
}

// handler answers the questions that come over HTTP.
func handler(s store.RuntimeStore) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q question
		err := json.NewDecoder(r.Body).Decode(&q)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		var receipt store.RunBoundaryReceipt
		found := true
		if q.Commit != nil {
			receipt, err = s.CommitSessionBoundary(r.Context(), q.Runtime, *q.Commit)
		} else {
			receipt, found, err = s.LoadBoundaryReceipt(r.Context(), q.Runtime, q.Run, q.Sequence)
		}
		a := answerOf(err)
		if err == nil && found {
			a.Receipt = &receipt
		}
		if err := json.NewEncoder(w).Encode(a); err != nil {
			panic(err)
		}
	})
}

// A client is the store of another process, as far as the two calls go.
type client struct {
	store.RuntimeStore
	http *http.Client
	url  string
}

func (c client) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, commit store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	a, err := c.ask(ctx, question{Runtime: id, Commit: &commit})
	if err != nil {
		return store.RunBoundaryReceipt{}, err
	}
	return *a.Receipt, nil
}

func (c client) LoadBoundaryReceipt(ctx context.Context, id store.RuntimeID, run store.RunID, sequence uint64) (store.RunBoundaryReceipt, bool, error) {
	a, err := c.ask(ctx, question{Runtime: id, Run: run, Sequence: sequence})
	if err != nil || a.Receipt == nil {
		return store.RunBoundaryReceipt{}, false, err
	}
	return *a.Receipt, true, nil
}

// ask sends a question. What came of a commit is unknown unless it was answered, or
// nobody was there to take it.
func (c client) ask(ctx context.Context, q question) (a answer, err error) {
	body, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return a, err
	}
	got, err := c.http.Do(r)
	if err == nil {
		defer func() { _ = got.Body.Close() }()
		err = json.NewDecoder(got.Body).Decode(&a)
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return a, fmt.Errorf("no such member: %w", err)
	case err != nil:
		return a, fmt.Errorf("%w: %w", store.ErrOutcomeUnknown, err)
	}
	if err := a.err(); err != nil {
		return a, err
	}
	if q.Commit != nil && a.Receipt == nil {
		return a, fmt.Errorf("%w: the answer has no receipt", store.ErrOutcomeUnknown)
	}
	return a, nil
}
