package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/natsext"

	"github.com/loopstore/loopstore/store/journal"
)

// Diagnose checks what the engine's promises depend on: the servers, the limits of
// the account, and the settings of the existing streams. system is a connection of a
// user of the system account: nobody else may ask the servers for their own settings.
// If it is nil, these are unknown. Diagnose changes nothing. An error means that the
// servers did not answer.
func (e *Engine) Diagnose(ctx context.Context, system *nats.Conn) ([]journal.Finding, error) {
	account, err := persist(ctx, e, e.js.AccountInfo)
	if err != nil {
		return nil, fmt.Errorf("jetstream: %w", err)
	}
	all := append(e.judgeConnection(), judgeAccount(account)...)
	servers, err := e.judgeServers(ctx, system)
	if err != nil {
		return nil, fmt.Errorf("jetstream: asking the servers: %w", err)
	}
	all = append(append(all, servers...), e.judgeRoutes(ctx, system)...)
	streams, err := e.judgeStreams(ctx)
	return append(all, streams...), err
}

func status(ok bool, otherwise journal.Status) journal.Status {
	if ok {
		return journal.OK
	}
	return otherwise
}

func (e *Engine) judgeConnection() []journal.Finding {
	version, room := e.conn.ConnectedServerVersion(), e.conn.MaxPayload()
	var major, minor int
	_, _ = fmt.Sscanf(version, "%d.%d", &major, &minor)
	limit := batchLimit(roomIn(room))
	return []journal.Finding{
		{Status: status(major > 2 || major == 2 && minor >= 12, journal.Broken), Setting: "server version", Value: version,
			Advice: "at least 2.12, which has atomic batches"},
		{Status: status(limit >= maxBatch, journal.Risk), Setting: "max_payload", Value: fmt.Sprintf("%d bytes: batches of up to %d", room, limit),
			Advice: fmt.Sprintf("large enough for batches of %d bytes, or larger ones are refused", maxBatch)},
	}
}

func judgeAccount(a *js.AccountInfo) []journal.Finding {
	left := func(limit int64, used uint64) string {
		if limit < 0 {
			return "no limit"
		}
		return fmt.Sprintf("%d of %d", used, limit)
	}
	full := a.Limits.MaxStore >= 0 && a.Store >= uint64(a.Limits.MaxStore)
	return []journal.Finding{
		{Status: status(!full, journal.Broken), Setting: "account's storage", Value: left(a.Limits.MaxStore, a.Store),
			Advice: "some left, or every append is refused"},
		{Status: journal.OK, Setting: "account's streams", Value: left(int64(a.Limits.MaxStreams), uint64(a.Streams)), Advice: "one a partition"},
	}
}

// jsz is what a server reports of its JetStream.
type jsz struct {
	Server struct {
		Name string `json:"name"`
	} `json:"server"`
	Data struct {
		Disabled bool `json:"disabled"`
		Config   struct {
			SyncAlways   bool          `json:"sync_always"`
			SyncInterval time.Duration `json:"sync_interval"`
		} `json:"config"`
	} `json:"data"`
	Error *struct {
		Description string `json:"description"`
	} `json:"error"`
}

const syncAdvice = "always: with any other, servers acknowledge what is only in their memory, and lose it if power fails at most of them at once"

// gather is how long judgeServers waits for one more server to answer.
const gather = 300 * time.Millisecond

// judgeServers asks all servers how often they sync.
func (e *Engine) judgeServers(ctx context.Context, system *nats.Conn) (all []journal.Finding, err error) {
	if system == nil {
		return []journal.Finding{{Status: journal.Unknown, Setting: "sync_interval", Advice: syncAdvice + " (a user of the system account can ask)"}}, nil
	}
	ctx, cancel := e.within(ctx)
	defer cancel()
	answers, err := natsext.RequestMany(ctx, system, "$SYS.REQ.SERVER.PING.JSZ", []byte(`{"config":true}`), natsext.RequestManyStall(gather))
	if err != nil {
		return nil, err
	}
	for m, err := range answers {
		if errors.Is(err, nats.ErrNoResponders) {
			break
		}
		var z jsz
		if err == nil {
			err = json.Unmarshal(m.Data, &z)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, z.judge())
	}
	if len(all) == 0 {
		return nil, errors.New("none answers: is this a user of the system account?")
	}
	slices.SortFunc(all, func(a, b journal.Finding) int { return strings.Compare(a.Setting, b.Setting) })
	return append(all, journal.Finding{Status: status(len(all) >= e.options.Replicas, journal.Risk), Setting: "servers",
		Value: fmt.Sprint(len(all)), Advice: fmt.Sprintf("at least %d, as many as there are replicas", e.options.Replicas)}), nil
}

func (z *jsz) judge() journal.Finding {
	f := journal.Finding{Setting: "sync_interval of " + z.Server.Name, Value: "always", Advice: syncAdvice}
	switch {
	case z.Error != nil:
		f.Status, f.Value = journal.Unknown, z.Error.Description
	case z.Data.Disabled:
		f.Status, f.Value = journal.OK, "keeps no streams"
	case !z.Data.Config.SyncAlways:
		f.Status, f.Value = journal.Risk, z.Data.Config.SyncInterval.String()
	}
	return f
}

// judgeStreams checks the streams of the existing partitions.
func (e *Engine) judgeStreams(ctx context.Context) (all []journal.Finding, err error) {
	list := e.js.ListStreams(ctx)
	for info := range list.Info() {
		if !strings.HasPrefix(info.Config.Name, e.options.Prefix+"-") {
			continue
		}
		before := len(all)
		for _, f := range e.judge(info.Config) {
			if f.Status != journal.OK {
				f.Setting = f.Setting + " of stream " + info.Config.Name
				all = append(all, f)
			}
		}
		if lagging := behind(info); lagging != "" {
			all = append(all, journal.Finding{Status: journal.Risk, Setting: "replicas of stream " + info.Config.Name, Value: lagging,
				Advice: "all of them current, or the stream survives fewer failures"})
		}
		if len(all) == before {
			all = append(all, journal.Finding{Setting: "stream " + info.Config.Name,
				Value: fmt.Sprintf("%d entries, %d bytes", info.State.Msgs, info.State.Bytes)})
		}
	}
	if err := list.Err(); err != nil && !errors.Is(err, js.ErrEndOfData) {
		return all, fmt.Errorf("jetstream: listing the streams: %w", err)
	}
	return all, nil
}

// behind says which replicas of a stream lag, "" if none does.
func behind(info *js.StreamInfo) string {
	switch {
	case info.Cluster == nil:
		return ""
	case info.Cluster.Leader == "":
		return "no leader"
	}
	var names []string
	for _, r := range info.Cluster.Replicas {
		if r.Offline || !r.Current {
			names = append(names, r.Name)
		}
	}
	if names == nil {
		return ""
	}
	return "not current: " + strings.Join(names, ", ")
}
