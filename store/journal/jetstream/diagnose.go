package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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
	if err := e.settle(ctx); err != nil {
		return nil, fmt.Errorf("jetstream: %w", err)
	}
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

// judgeStreams checks the streams of the existing partitions, those under former names,
// and the directories' bucket.
func (e *Engine) judgeStreams(ctx context.Context) (all []journal.Finding, err error) {
	streams, silent, err := e.listStreams(ctx)
	if err != nil {
		return nil, fmt.Errorf("jetstream: %w", err)
	}
	for _, info := range streams {
		found, err := e.judgeStream(ctx, info)
		if err != nil {
			return all, fmt.Errorf("jetstream: stream %s: %w", info.Config.Name, err)
		}
		all = append(all, found...)
	}
	for _, name := range slices.Sorted(maps.Keys(silent)) {
		if _, ok := e.partitionOf(name); ok || name == e.bucketStream() {
			all = append(all, journal.Finding{Status: journal.Unknown, Setting: "stream " + name, Value: silent[name], Advice: "seen by the servers"})
		}
	}
	return all, nil
}

// judgeStream checks one stream, if it is this engine's.
func (e *Engine) judgeStream(ctx context.Context, info *streamInfo) (all []journal.Finding, err error) {
	name := info.Config.Name
	kind := "stream "
	if _, ok := e.partitionOf(name); ok {
		if all, err = e.judgeOwner(ctx, info); err != nil {
			return nil, err
		}
		all = append(all, e.judge(info)...)
	} else if name == e.bucketStream() {
		kind, all = "bucket ", e.judgeBucket(info)
	} else if partition, ok := e.formerPartitionOf(name); ok {
		return e.judgeFormer(ctx, info, partition)
	} else {
		return nil, nil
	}
	if lagging := behind(&info.StreamInfo); lagging != "" {
		all = append(all, journal.Finding{Status: journal.Risk, Setting: "replicas", Value: lagging,
			Advice: "all of them current, or the stream survives fewer failures"})
	}
	for n := range all {
		all[n].Setting += " of " + kind + name
	}
	for _, f := range judgeRoom(info) {
		f.Setting += " of " + kind + name
		all = append(all, f)
	}
	if !slices.ContainsFunc(all, func(f journal.Finding) bool { return f.Status != journal.OK }) {
		all = append(all, journal.Finding{Setting: kind + name, Value: fmt.Sprintf("%d entries, %d bytes", info.State.Msgs, info.State.Bytes)})
	}
	return all, nil
}

// judgeOwner looks at the last entry, whether it is of the partition that the stream's
// name says.
func (e *Engine) judgeOwner(ctx context.Context, info *streamInfo) ([]journal.Finding, error) {
	partition, _ := e.partitionOf(info.Config.Name)
	if info.State.LastSeq == 0 {
		return nil, nil
	}
	finding := func(s journal.Status, value, advice string) ([]journal.Finding, error) {
		return []journal.Finding{{Status: s, Setting: "last entry", Value: value, Advice: advice}}, nil
	}
	data, err := e.at(ctx, info.Config.Name, info.State.LastSeq)
	if errors.Is(err, js.ErrMsgNotFound) {
		return finding(journal.Broken, "missing", "there, or the journal is not opened")
	}
	if err != nil {
		return finding(journal.Unknown, err.Error(), "readable")
	}
	switch r, err := decode(data); {
	case err != nil:
		return finding(journal.Broken, err.Error(), "an entry that this version can read")
	case r.owner != e.identity(partition).owner():
		return finding(journal.Broken, "another's", fmt.Sprintf("that of %s, or the journal is not opened", e.identity(partition)))
	}
	return nil, nil
}

// judgeFormer names a journal in the first format.
func (e *Engine) judgeFormer(ctx context.Context, info *streamInfo, partition string) ([]journal.Finding, error) {
	is, err := persist(ctx, e, func(ctx context.Context) (bool, error) { return e.isFormer(ctx, info) })
	if err != nil || !is {
		return nil, err
	}
	f := journal.Finding{Setting: "stream " + info.Config.Name, Value: fmt.Sprintf("in the first format, %d entries", info.State.Msgs)}
	if info.Config.Sealed {
		f.Value += ", carried over"
		f.Advice = "deleted, once the new journal has served"
	} else {
		f.Status = journal.Broken
		f.Advice = fmt.Sprintf("carried over with Engine.Carry, if it is the journal of %s: until then that is not opened", e.identity(partition))
	}
	return []journal.Finding{f}, nil
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
