package archive

import (
	"fmt"
	"unicode/utf8"

	"github.com/loopstore/loopstore/store"
)

// What a file of version 1 has otherwise: a runtime has its snapshot, whole, and a
// filed one too unless it is the same.

type header1 struct {
	Format      string `json:"format"`
	Version     uint64 `json:"version"`
	Revision    uint64 `json:"revision"`
	Runtimes    uint64 `json:"runtimes"`
	InputStates uint64 `json:"input_states"`
	Runs        uint64 `json:"runs"`
	Receipts    uint64 `json:"receipts"`
	Snapshots   uint64 `json:"snapshots"`
	Sessions    uint64 `json:"sessions"`
}

type runtime1 struct {
	RuntimeID     store.RuntimeID    `json:"runtime_id"`
	Version       uint64             `json:"version"`
	RuntimeState  store.RuntimeState `json:"runtime_state,omitzero"`
	Snapshots     uint64             `json:"snapshots"`
	InputStates   uint64             `json:"input_states"`
	Runs          uint64             `json:"runs"`
	DroppedRuns   uint64             `json:"dropped_runs"`
	LatestReceipt *boundary          `json:"latest_receipt,omitzero"`
}

type snapshot1 struct {
	Digest   string  `json:"digest,omitzero"`
	Messages *uint64 `json:"messages,omitzero"`
	Text     *string `json:"text,omitzero"`
	Base64   []byte  `json:"base64,omitzero"`
}

type filedSession1 struct {
	SessionID store.SessionID `json:"session_id"`
	RuntimeID store.RuntimeID `json:"runtime_id"`
	Snapshot  *snapshot1      `json:"snapshot,omitzero"`
}

func (header1) kind() string       { return "header" }
func (runtime1) kind() string      { return "runtime" }
func (snapshot1) kind() string     { return "snapshot" }
func (filedSession1) kind() string { return "session" }

func (r *reader) header1() (header, error) {
	var l header1
	if err := r.decode(&l); err != nil {
		return header{}, err
	}
	return header{
		Format: l.Format, Version: formatVersion, Revision: l.Revision, Runtimes: l.Runtimes, InputStates: l.InputStates,
		Runs: l.Runs, Receipts: l.Receipts, Versions: l.Snapshots, Sessions: l.Sessions,
	}, r.confirm(l)
}

func (r *reader) runtime1() (runtime, error) {
	var l runtime1
	if err := r.take(&l); err != nil {
		return runtime{}, err
	}
	if l.Snapshots > 1 {
		return runtime{}, r.fail(errTwo)
	}
	return runtime{
		RuntimeID: l.RuntimeID, Version: l.Version, RuntimeState: l.RuntimeState, Versions: l.Snapshots,
		InputStates: l.InputStates, Runs: l.Runs, DroppedRuns: l.DroppedRuns, LatestReceipt: l.LatestReceipt,
	}, nil
}

func (r *reader) snapshot1(id store.RuntimeID, snapshots uint64) error {
	if snapshots == 0 {
		return nil
	}
	var l snapshot1
	if err := r.read(&l); err != nil {
		return err
	}
	s, err := r.snapshotOf1(&l)
	if err != nil {
		return err
	}
	r.state.PutSnapshot(id, s, nil)
	return r.confirm(l)
}

// snapshotOf1 returns the snapshot of a line. It reads a session document and
// compares the digest.
func (r *reader) snapshotOf1(l *snapshot1) (*store.Snapshot, error) {
	text := bytesIn(l.Text, l.Base64)
	if (l.Text != nil) == (l.Base64 != nil) || l.Base64 != nil && utf8.ValidString(text) {
		return nil, r.fail(errSpelling)
	}
	format := store.FormatUnset
	if l.Digest != "" {
		format = store.FormatMeerkat
	}
	s, err := store.Snapshot{}.Replace(format, text, 0)
	if err != nil {
		return nil, r.fail(fmt.Errorf("%w: %w", store.ErrInvalidSnapshot, err))
	}
	if l.Digest != s.Digest() || (l.Messages != nil) != (l.Digest != "") || l.Messages != nil && *l.Messages != s.MessageCount() {
		return nil, r.fail(errDigest)
	}
	return &s, nil
}

func (r *reader) session1() error {
	var l filedSession1
	if err := r.read(&l); err != nil {
		return err
	}
	by, own := r.state.Version(l.RuntimeID), r.state.Snapshot(l.RuntimeID)
	filed := own
	if l.Snapshot != nil {
		var err error
		if filed, err = r.snapshotOf1(l.Snapshot); err != nil {
			return err
		}
		if own != nil && own.Equal(*filed) {
			return r.fail(errSpelling)
		}
	}
	switch {
	case by == 0, filed == nil:
		return r.fail(errFiled)
	case r.state.Session(l.SessionID) != nil:
		return r.fail(errTwice)
	}
	r.putSession(l.RuntimeID, by, l.SessionID, filed)
	return r.confirm(l)
}
