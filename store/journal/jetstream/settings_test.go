package jetstream_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/jetstream"
)

// goodConfig is that of a stream which an engine would make.
func goodConfig(name string) js.StreamConfig {
	return js.StreamConfig{
		Name: name, Subjects: []string{name + ".record"}, Storage: js.FileStorage, Replicas: 3, Discard: js.DiscardNew,
		AllowDirect: true, AllowAtomicPublish: true, DenyDelete: true,
	}
}

// A stream that can lose, add, reorder, alter or refuse entries is not used, and the
// doctor says why.
func TestStreamThatWouldHarmEntriesIsRefused(t *testing.T) {
	client := clientOf(t)
	origin := newPrefix() + "-origin"
	_, err := client.CreateStream(t.Context(), js.StreamConfig{Name: origin, Subjects: []string{origin}, Storage: js.MemoryStorage})
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.DeleteStream(t.Context(), origin) })
	for setting, spoil := range map[string]func(*js.StreamConfig){
		"storage":                  func(c *js.StreamConfig) { c.Storage = js.MemoryStorage },
		"replicas":                 func(c *js.StreamConfig) { c.Replicas = 1 },
		"retention":                func(c *js.StreamConfig) { c.Retention = js.WorkQueuePolicy },
		"discard":                  func(c *js.StreamConfig) { c.MaxMsgs, c.Discard = 10, js.DiscardOld },
		"max messages per subject": func(c *js.StreamConfig) { c.MaxMsgsPerSubject = 1 },
		"discard new per subject":  func(c *js.StreamConfig) { c.MaxMsgsPerSubject, c.DiscardNewPerSubject = 1, true },
		"max age":                  func(c *js.StreamConfig) { c.MaxAge = time.Hour },
		"allow direct":             func(c *js.StreamConfig) { c.AllowDirect = false },
		"allow atomic":             func(c *js.StreamConfig) { c.AllowAtomicPublish = false },
		"no ack":                   func(c *js.StreamConfig) { c.NoAck = true; c.AllowAtomicPublish = false },
		"subjects":                 func(c *js.StreamConfig) { c.Subjects = []string{c.Name + ".other"} },
		"subjects ":                func(c *js.StreamConfig) { c.Subjects = append(c.Subjects, c.Name+".other") },
		"subjects  ":               func(c *js.StreamConfig) { c.Subjects = []string{c.Name + ".>"} },
		"deny purge":               func(c *js.StreamConfig) { c.DenyPurge = true },
		"max message size":         func(c *js.StreamConfig) { c.MaxMsgSize = 100 },
		"sources":                  func(c *js.StreamConfig) { c.Sources = []*js.StreamSource{{Name: origin}} },
		"mirror": func(c *js.StreamConfig) {
			c.Subjects, c.Mirror, c.AllowAtomicPublish = nil, &js.StreamSource{Name: origin}, false
		},
		"subject transform": func(c *js.StreamConfig) {
			c.SubjectTransform = &js.SubjectTransformConfig{Source: ">", Destination: "moved.>"}
		},
		"republish":         func(c *js.StreamConfig) { c.RePublish = &js.RePublish{Source: ">", Destination: "copy.>"} },
		"first sequence":    func(c *js.StreamConfig) { c.FirstSeq = 1000 },
		"allow message TTL": func(c *js.StreamConfig) { c.AllowMsgTTL = true },
		"subject delete marker TTL": func(c *js.StreamConfig) {
			c.AllowMsgTTL, c.AllowRollup, c.DenyPurge, c.SubjectDeleteMarkerTTL = true, true, false, time.Hour
		},
		"allow rollup":            func(c *js.StreamConfig) { c.AllowRollup = true },
		"allow message counter":   func(c *js.StreamConfig) { c.AllowMsgCounter, c.Discard = true, js.DiscardOld },
		"allow message schedules": func(c *js.StreamConfig) { c.AllowMsgSchedules, c.AllowRollup, c.Discard = true, true, js.DiscardOld },
		"persist mode": func(c *js.StreamConfig) {
			c.PersistMode, c.Replicas, c.AllowAtomicPublish = js.AsyncPersistMode, 1, false
		},
	} {
		t.Run(setting, func(t *testing.T) {
			setting := strings.TrimSpace(setting)
			e := newEngine(t, shared, jetstream.Options{})
			c := goodConfig(streamOf(t, e, "p"))
			spoil(&c)
			stream, err := client.CreateStream(t.Context(), c)
			require.NoError(t, err)
			_, _, err = open(t, e, "p")
			require.ErrorContains(t, err, c.Name)
			require.ErrorContains(t, err, "its "+setting+" is")
			require.NotErrorIs(t, err, journal.ErrCorrupt)
			info, err := stream.Info(t.Context())
			require.NoError(t, err)
			require.Equal(t, max(c.FirstSeq, 1)-1, info.State.LastSeq, "something was written")
			all := statuses(t, e, nil)
			assert.Equal(t, journal.Broken, all[setting+" of stream "+c.Name])
			assert.NotContains(t, all, "stream "+c.Name, "the doctor calls it good")
		})
	}
}

// Settings that do no harm are no reason to refuse a stream.
func TestHarmlessSettings(t *testing.T) {
	e := newEngine(t, shared, jetstream.Options{})
	c := goodConfig(streamOf(t, e, "p"))
	c.Description, c.Metadata, c.Compression, c.Duplicates = "ours", map[string]string{"team": "agents"}, js.S2Compression, time.Hour
	c.MaxConsumers, c.ConsumerLimits, c.AllowBatchPublish = 10, js.StreamConsumerLimits{InactiveThreshold: time.Hour}, true
	c.MaxBytes, c.MaxMsgs, c.MaxMsgSize = 1<<30, 1<<20, 1<<20
	_, err := clientOf(t).CreateStream(t.Context(), c)
	require.NoError(t, err)
	j := openJournal(t, e)
	_, err = j.Append(t.Context(), batchOf(1, change("k", strings.Repeat("large", 1<<20))))
	require.NoError(t, err)
	ctx := t.Context()
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		findings, err := e.Diagnose(ctx, nil)
		require.NoError(t, err)
		for _, f := range findings {
			if strings.Contains(f.Setting, c.Name) {
				assert.Equal(t, journal.OK, f.Status, f.Setting)
			}
		}
	}, time.Minute, 50*time.Millisecond)
}

// The doctor says how full a stream is.
func TestDoctorSaysHowFull(t *testing.T) {
	e := newEngine(t, shared, jetstream.Options{})
	c := goodConfig(streamOf(t, e, "p"))
	c.MaxMsgs, c.MaxBytes = 100, 1<<20
	client := clientOf(t)
	_, err := client.CreateStream(t.Context(), c)
	require.NoError(t, err)
	j := openJournal(t, e)
	messages, bytes := "max messages of stream "+c.Name, "max bytes of stream "+c.Name
	find := func(setting string) (found journal.Finding) {
		findings, err := e.Diagnose(t.Context(), nil)
		require.NoError(t, err)
		for _, f := range findings {
			if f.Setting == setting {
				found = f
			}
		}
		return found
	}
	for n := range 7 {
		_, err := j.Append(t.Context(), batchOf(n, change("k", strings.Repeat("x", 10<<10))))
		require.NoError(t, err)
	}
	c.MaxMsgs = 10
	_, err = client.UpdateStream(t.Context(), c)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return find(messages).Value == "8 of 10 (80 %)" }, time.Minute, 20*time.Millisecond)
	assert.Equal(t, journal.Risk, find(messages).Status)
	assert.Equal(t, journal.OK, find(bytes).Status)
	require.Contains(t, find(bytes).Value, "kB of 1.0 MB (7 %)")
	c.MaxMsgs = 8
	_, err = client.UpdateStream(t.Context(), c)
	require.NoError(t, err)
	assert.Equal(t, journal.Broken, find(messages).Status)
	assert.Equal(t, "8 of 8 (100 %)", find(messages).Value)
}

// A bucket that can lose or age out a directory's documents is not used.
func TestBucketThatWouldLoseDocumentsIsRefused(t *testing.T) {
	client := clientOf(t)
	for setting, spoil := range map[string]func(*js.StreamConfig){
		"storage":           func(c *js.StreamConfig) { c.Storage = js.MemoryStorage },
		"replicas":          func(c *js.StreamConfig) { c.Replicas = 1 },
		"max age":           func(c *js.StreamConfig) { c.MaxAge = time.Hour },
		"discard":           func(c *js.StreamConfig) { c.MaxBytes, c.Discard = 1<<20, js.DiscardOld },
		"no ack":            func(c *js.StreamConfig) { c.NoAck = true },
		"subjects":          func(c *js.StreamConfig) { c.Subjects = []string{"$KV." + strings.TrimPrefix(c.Name, "KV_") + ".other"} },
		"republish":         func(c *js.StreamConfig) { c.RePublish = &js.RePublish{Source: ">", Destination: "copy.>"} },
		"max message size":  func(c *js.StreamConfig) { c.MaxMsgSize = 100 },
		"allow message TTL": func(c *js.StreamConfig) { c.AllowMsgTTL = true },
		"subject delete marker TTL": func(c *js.StreamConfig) {
			c.AllowMsgTTL, c.AllowRollup, c.SubjectDeleteMarkerTTL = true, true, time.Hour
		},
	} {
		t.Run(setting, func(t *testing.T) {
			e := newEngine(t, shared, jetstream.Options{})
			bucket := prefixOf(t, e)
			c := js.StreamConfig{
				Name: "KV_" + bucket, Subjects: []string{"$KV." + bucket + ".>"}, Replicas: 3, MaxMsgsPerSubject: 1,
				AllowRollup: true, DenyDelete: true, AllowDirect: true, Discard: js.DiscardNew,
			}
			spoil(&c)
			_, err := client.CreateStream(t.Context(), c)
			require.NoError(t, err)
			t.Cleanup(func() { _ = client.DeleteStream(t.Context(), c.Name) })
			d, err := e.Directory("agents")
			require.NoError(t, err)
			_, _, err = d.Read(t.Context())
			require.ErrorContains(t, err, "bucket "+bucket)
			require.ErrorContains(t, err, "its "+setting+" is")
			_, err = d.Write(t.Context(), []byte("document"), 0)
			require.ErrorContains(t, err, "its "+setting+" is")
			all := statuses(t, e, nil)
			assert.Equal(t, journal.Broken, all[setting+" of bucket KV_"+bucket])
			assert.NotContains(t, all, "bucket KV_"+bucket)
		})
	}
}

// The bucket that the engine makes is a good one.
func TestDoctorLooksAtTheBucket(t *testing.T) {
	e := newEngine(t, shared, jetstream.Options{})
	d, err := e.Directory("agents")
	require.NoError(t, err)
	ok, err := d.Write(t.Context(), []byte("document"), 0)
	require.NoError(t, err)
	require.True(t, ok)
	name := "bucket KV_" + prefixOf(t, e)
	require.Eventually(t, func() bool {
		status, ok := statuses(t, e, nil)[name]
		return ok && status == journal.OK
	}, time.Minute, 50*time.Millisecond)
	require.NoError(t, clientOf(t).DeleteStream(t.Context(), "KV_"+prefixOf(t, e)))
}

// A log is what a logger was told.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// What changes while a holder is at work is logged, once, and when it is good again.
func TestSettingThatChangesIsLogged(t *testing.T) {
	var said log
	e := newEngine(t, shared, jetstream.Options{Logger: slog.New(slog.NewTextHandler(&said, nil))})
	jetstream.LookEvery(e, 10*time.Millisecond)
	client := clientOf(t)
	journals := map[string]journal.Journal{}
	for n := range 3 {
		name := fmt.Sprint("p", n)
		j, _, err := open(t, e, name)
		require.NoError(t, err)
		journals[name] = j
	}
	hears := func(words string) {
		t.Helper()
		require.Eventually(t, func() bool { return strings.Contains(said.String(), words) }, time.Minute, 5*time.Millisecond, words)
	}
	name := streamOf(t, e, "p1")
	c := goodConfig(name)
	c.MaxAge = time.Hour
	_, err := client.UpdateStream(t.Context(), c)
	require.NoError(t, err)
	hears(`level=ERROR msg="a stream's setting is not as it should be" stream="` + name + `" status=BROKEN setting="max age" value=1h0m0s`)
	c.MaxAge = 0
	_, err = client.UpdateStream(t.Context(), c)
	require.NoError(t, err)
	hears(`level=INFO msg="a stream's setting has changed" stream="` + name + `" setting="max age"`)
	require.Equal(t, 1, strings.Count(said.String(), "max age\" value"), "once is enough")
	require.NoError(t, client.DeleteStream(t.Context(), streamOf(t, e, "p0")))
	hears(`stream="` + streamOf(t, e, "p0") + `" status=BROKEN setting=stream value=deleted must_be=`)
	_, err = client.CreateStream(t.Context(), goodConfig(streamOf(t, e, "p0")))
	require.NoError(t, err)
	hears(`status=BROKEN setting=creation`)
	for _, j := range journals {
		require.NoError(t, j.Close(t.Context()))
	}
	require.NotContains(t, said.String(), streamOf(t, e, "p2"), "nothing has changed there")
}

type panicking struct{ slog.Handler }

// A logger that panics does no harm, and after the last Close nothing runs.
func TestLoggerThatPanics(t *testing.T) {
	e := newEngine(t, shared, jetstream.Options{Logger: slog.New(panicking{})})
	jetstream.LookEvery(e, 5*time.Millisecond)
	c := goodConfig(streamOf(t, e, "p"))
	c.DenyDelete = false
	_, err := clientOf(t).CreateStream(t.Context(), c)
	require.NoError(t, err)
	for n := range 20 {
		j, _, err := open(t, e, "p")
		require.NoError(t, err)
		_, err = j.Append(t.Context(), batchOf(n, change("k", "v")))
		require.NoError(t, err)
		require.NoError(t, j.Close(t.Context()))
		require.NoError(t, j.Close(t.Context()))
		require.Zero(t, jetstream.Looking(e))
	}
}

// A bucket that is changed while it is in use ends no service: it is logged.
func TestBucketThatChangesIsLogged(t *testing.T) {
	var said log
	e := newEngine(t, shared, jetstream.Options{Logger: slog.New(slog.NewTextHandler(&said, nil))})
	d, err := e.Directory("agents")
	require.NoError(t, err)
	ok, err := d.Write(t.Context(), []byte("document"), 0)
	require.NoError(t, err)
	require.True(t, ok)
	client := clientOf(t)
	stream, err := client.Stream(t.Context(), "KV_"+prefixOf(t, e))
	require.NoError(t, err)
	c := stream.CachedInfo().Config
	c.MaxAge = time.Hour
	_, err = client.UpdateStream(t.Context(), c)
	require.NoError(t, err)
	jetstream.LookAgain(d)
	_, _, err = d.Read(t.Context())
	require.NoError(t, err)
	require.Contains(t, said.String(), `status=BROKEN setting="max age" value=1h0m0s`)
	require.NoError(t, client.DeleteStream(t.Context(), c.Name))
}

// A directory that was emptied with the means of a bucket is written again.
func TestDirectoryThatWasEmptied(t *testing.T) {
	e := newEngine(t, shared, jetstream.Options{})
	d, err := e.Directory("agents")
	require.NoError(t, err)
	write := func(document string, revision uint64, want bool) {
		t.Helper()
		ok, err := d.Write(t.Context(), []byte(document), revision)
		require.NoError(t, err)
		require.Equal(t, want, ok)
	}
	write("a", 0, true)
	kv, err := clientOf(t).KeyValue(t.Context(), prefixOf(t, e))
	require.NoError(t, err)
	for _, empty := range []func() error{
		func() error { return kv.Delete(t.Context(), "agents") },
		func() error { return kv.Purge(t.Context(), "agents") },
	} {
		require.NoError(t, empty())
		require.Eventually(t, func() bool {
			document, revision, err := d.Read(t.Context())
			return err == nil && document == nil && revision == 0
		}, time.Minute, 5*time.Millisecond)
		write("b", 1, false)
		write("b", 0, true)
		write("c", 0, false)
	}
	require.NoError(t, clientOf(t).DeleteKeyValue(t.Context(), prefixOf(t, e)))
	write("d", 0, true)
	require.NoError(t, clientOf(t).DeleteKeyValue(t.Context(), prefixOf(t, e)))
}
