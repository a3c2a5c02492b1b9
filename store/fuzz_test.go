package store_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
)

// FuzzValues reads anything as each of the values without a panic. What was
// read is valid, and is written so that it reads the same.
func FuzzValues(f *testing.F) {
	for _, text := range []string{
		bare, full, receipt, `"2016-12-31T23:59:60.5+01:30"`, `"-0001-1-1 1:2:3 UTC"`,
		`{"outcome_type":"superseded","superseded_by":"{0195b1c2-0000-7000-8000-000000000001}"}`,
		`{"source_input_ids":["urn:uuid:0195b1c2-0000-7000-8000-000000000001"],"source_type":"coalescing"}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		roundTrip[store.InputState](t, text)
		roundTrip[store.RunBoundaryReceipt](t, text)
		roundTrip[store.HistoryEntry](t, text)
		roundTrip[store.PolicySnapshot](t, text)
		roundTrip[store.PolicyDecision](t, text)
		roundTrip[store.TerminalOutcome](t, text)
		roundTrip[store.ReconstructionSource](t, text)
		roundTrip[store.Time](t, text)
		roundTrip[store.RunID](t, text)
		roundTrip[store.RuntimeState](t, text)
		roundTrip[store.RunApplyBoundary](t, text)
		roundTrip[store.InputLifecycleState](t, text)
		roundTrip[store.InputDurability](t, text)
		roundTrip[store.ApplyMode](t, text)
		roundTrip[store.WakeMode](t, text)
		roundTrip[store.QueueMode](t, text)
		roundTrip[store.ConsumePoint](t, text)
		roundTrip[store.OutcomeType](t, text)
		roundTrip[store.AbandonReason](t, text)
		roundTrip[store.SourceType](t, text)
	})
}

func roundTrip[T any](t *testing.T, text []byte) {
	var v, again T
	if json.Unmarshal(text, &v) != nil || string(text) == "null" {
		return
	}
	out, err := json.Marshal(v)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(out, &again), string(out))
	once, err := json.Marshal(again)
	require.NoError(t, err)
	require.Equal(t, string(out), string(once))
}
