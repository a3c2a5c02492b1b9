package measure

import (
	"context"
	"sync"
)

// handOffName is the subject in the results of hand-offs.
const handOffName = "bare hand-off"

// A HandOff is a goroutine that answers pooled requests and does nothing else.
// [NewHandOff] starts one.
type HandOff struct {
	inbox chan *handOffRequest
	pool  sync.Pool
	ended chan struct{}
}

type handOffRequest struct{ answer chan error }

// NewHandOff starts the goroutine.
func NewHandOff() *HandOff {
	h := &HandOff{inbox: make(chan *handOffRequest, 128), ended: make(chan struct{})}
	h.pool.New = func() any { return &handOffRequest{make(chan error, 1)} }
	go func() {
		defer close(h.ended)
		for r := range h.inbox {
			r.answer <- nil
		}
	}()
	return h
}

// Call hands a request to the goroutine and waits for the answer, or for ctx.
func (h *HandOff) Call(ctx context.Context) error {
	r := h.pool.Get().(*handOffRequest)
	select {
	case h.inbox <- r:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-r.answer:
		h.pool.Put(r) // not after ctx.Done: then its answer is still to come
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends the goroutine. No call may run at the same time, or later.
func (h *HandOff) Close() {
	close(h.inbox)
	<-h.ended
}

func handOffs() []cell {
	cells := forCallers("hand_off", callerCounts, func(_ context.Context, b *bench) error {
		h := NewHandOff()
		b.call = func(ctx context.Context, _, _ int) error { return h.Call(ctx) }
		b.end = h.Close
		return nil
	})
	for i := range cells {
		cells[i].alone = true
	}
	return cells
}
