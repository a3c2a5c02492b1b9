package jetstream_test

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/jetstream"
)

// otherServers stand in front of the shared ones as a domain of their own, and change
// what a stream's configuration is when it is asked for and answered.
func otherServers(t *testing.T, domain string, asked, answered func(config map[string]any)) {
	t.Helper()
	conn, err := cluster.Connect()
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	_, err = conn.Subscribe("$JS."+domain+".API.>", func(m *nats.Msg) {
		subject := "$JS.API." + strings.TrimPrefix(m.Subject, "$JS."+domain+".API.")
		body := m.Data
		if strings.HasPrefix(subject, "$JS.API.STREAM.CREATE.") {
			body = changed(body, func(all map[string]any) { asked(all) })
		}
		if strings.Contains(subject, ".GET.") {
			_ = conn.PublishRequest(subject, m.Reply, body)
			return
		}
		answer, err := conn.Request(subject, body, jetstreamTimeout)
		if err != nil {
			return
		}
		_ = m.Respond(changed(answer.Data, func(all map[string]any) {
			all["domain"] = domain
			streams, _ := all["streams"].([]any)
			for _, stream := range append(streams, all) {
				stream := stream.(map[string]any)
				if config, ok := stream["config"].(map[string]any); ok {
					answered(config)
				}
			}
		}))
	})
	require.NoError(t, err)
	require.NoError(t, conn.Flush())
}

func changed(data []byte, change func(all map[string]any)) []byte {
	var all map[string]any
	if json.Unmarshal(data, &all) != nil {
		return data
	}
	change(all)
	data, _ = json.Marshal(all)
	return data
}

// Servers that ignore a setting make a stream that is not used, and not left behind.
func TestOpenLeavesNoStreamBehind(t *testing.T) {
	otherServers(t, "older", func(config map[string]any) { delete(config, "allow_atomic") }, func(map[string]any) {})
	e := newEngine(t, shared, jetstream.Options{Domain: "older"})
	_, _, err := open(t, e, "p")
	require.ErrorContains(t, err, "its allow atomic is false")
	require.Empty(t, streamNames(t, clientOf(t), prefixOf(t, e)))

	e = newEngine(t, shared, jetstream.Options{Replicas: 5, Patience: time.Second})
	_, _, err = open(t, e, "p")
	require.Error(t, err)
	require.Empty(t, streamNames(t, clientOf(t), prefixOf(t, e)))
}

// A setting of newer servers that this version does not know is no reason not to work,
// and is named by the doctor and to the logger.
func TestSettingThatIsNotKnown(t *testing.T) {
	otherServers(t, "newer", func(map[string]any) {}, func(config map[string]any) { config["forget_after"] = 5 })
	var said log
	e := newEngine(t, shared, jetstream.Options{Domain: "newer", Logger: slog.New(slog.NewTextHandler(&said, nil))})
	j, _, err := open(t, e, "p")
	require.NoError(t, err)
	_, err = j.Append(t.Context(), batchOf(1, change("k", "v")))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return strings.Contains(said.String(), `status=UNKNOWN setting=forget_after value=5`) }, time.Minute, 5*time.Millisecond)
	require.NoError(t, j.Close(t.Context()))
	findings, err := e.Diagnose(t.Context(), nil)
	require.NoError(t, err)
	var found journal.Finding
	for _, f := range findings {
		if f.Setting == "forget_after of stream "+streamOf(t, e, "p") {
			found = f
		}
	}
	assert.Equal(t, journal.Unknown, found.Status)
	assert.Equal(t, "5", found.Value)
}

// A domain that has another name now: the journal is refused, and made the new one's.
func TestDomainIsRenamed(t *testing.T) {
	before := newEngine(t, shared, jetstream.Options{})
	want := fill(t, before)
	otherServers(t, "renamed", func(map[string]any) {}, func(map[string]any) {})
	e := newEngine(t, shared, jetstream.Options{Prefix: prefixOf(t, before), Domain: "renamed"})
	name := streamOf(t, e, "p")
	_, _, err := open(t, e, "p")
	require.ErrorContains(t, err, "its subjects is")
	require.NoError(t, e.Carry(t.Context(), name, "p"))
	got, err := standing(t.Context(), e)
	require.NoError(t, err)
	require.Equal(t, want, got)
	_, _, err = open(t, before, "p")
	require.ErrorContains(t, err, "its subjects is")
}
