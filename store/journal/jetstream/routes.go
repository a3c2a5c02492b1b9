package jetstream

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/synadia-io/orbit.go/natsext"

	"github.com/loopstore/loopstore/store/journal"
)

// varz is what a server reports of its settings.
type varz struct {
	Data struct {
		PingInterval time.Duration `json:"ping_interval"`
	} `json:"data"`
}

const (
	routePings     = 2 * time.Second  // often enough
	mostRoutePings = 30 * time.Second // whatever is set for all connections
)

// judgeRoutes says how often servers ping each other. No server tells what is set for
// routes alone, only what is set for all connections, which else is their default.
func (e *Engine) judgeRoutes(ctx context.Context, system *nats.Conn) []journal.Finding {
	if system == nil {
		return nil
	}
	ctx, cancel := e.within(ctx)
	defer cancel()
	longest, servers, err := longestPing(ctx, system)
	if err == nil && servers < 2 {
		return nil
	}
	return []journal.Finding{judgePing(longest, err)}
}

func judgePing(longest time.Duration, err error) journal.Finding {
	f := journal.Finding{Status: journal.Unknown, Setting: "ping_interval of cluster", Advice: "1s: a server that " +
		"hears nobody, but is heard, stays the leader until its routes have closed (if this is set for the cluster alone, no server tells)"}
	switch {
	case err != nil:
		f.Value = err.Error()
	case longest <= routePings:
		f.Status, f.Value = journal.OK, longest.String()
	default:
		f.Value = "if not set, " + min(longest, mostRoutePings).String()
	}
	return f
}

// longestPing asks all servers.
func longestPing(ctx context.Context, system *nats.Conn) (longest time.Duration, servers int, err error) {
	answers, err := natsext.RequestMany(ctx, system, "$SYS.REQ.SERVER.PING.VARZ", nil, natsext.RequestManyStall(gather))
	if err != nil {
		return 0, 0, err
	}
	for m, err := range answers {
		var v varz
		if err == nil {
			err = json.Unmarshal(m.Data, &v)
		}
		if err != nil {
			return 0, 0, err
		}
		longest = max(longest, v.Data.PingInterval)
		servers++
	}
	return longest, servers, nil
}
