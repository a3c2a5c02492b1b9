//go:build unix

package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// WaitReady waits until all servers run and know their leader, and what each of
// them keeps is up to date.
func (n *Network) WaitReady(ctx context.Context) error {
	return wait(ctx, "the servers are not ready", func() bool {
		for s := range n.servers {
			if !n.ready(ctx, s) {
				return false
			}
		}
		return true
	})
}

func (n *Network) ready(ctx context.Context, server int) bool {
	var jsz struct {
		Meta struct {
			Leader   string     `json:"leader"`
			Size     int        `json:"cluster_size"`
			Replicas []struct { // only the leader's are known to be right
				Offline bool `json:"offline"`
				Current bool `json:"current"`
			} `json:"replicas"`
		} `json:"meta_cluster"`
	}
	if n.monitor(ctx, server, "/healthz", nil) != nil || n.monitor(ctx, server, "/jsz", &jsz) != nil {
		return false
	}
	for _, r := range jsz.Meta.Replicas {
		if jsz.Meta.Leader == name(server) && (r.Offline || !r.Current) {
			return false
		}
	}
	return jsz.Meta.Leader != "" && jsz.Meta.Size == servers
}

// WaitLeader waits until the servers agree on the leader of a stream, and returns
// it.
func (n *Network) WaitLeader(ctx context.Context, stream string) (leader int, err error) {
	err = wait(ctx, "the servers know no leader of "+stream, func() bool {
		found := map[string]int{}
		for s := range n.servers {
			found[n.leaderAt(ctx, s, stream)]++
		}
		for leader = range servers {
			if found[name(leader)] == servers {
				return true
			}
		}
		return false
	})
	return leader, err
}

// Peers returns how many of the other servers a server is connected to.
func (n *Network) Peers(server int) int {
	var routez struct {
		Routes []struct {
			Name string `json:"remote_name"`
		} `json:"routes"`
	}
	if n.monitor(context.Background(), server, "/routez", &routez) != nil {
		return 0
	}
	names := map[string]bool{}
	for _, r := range routez.Routes {
		names[r.Name] = true
	}
	return len(names)
}

// leaderAt returns the leader of a stream as a server knows it, "" if it does not.
func (n *Network) leaderAt(ctx context.Context, server int, stream string) string {
	var jsz struct {
		Accounts []struct {
			Streams []struct {
				Name    string `json:"name"`
				Cluster struct {
					Leader string `json:"leader"`
				} `json:"cluster"`
			} `json:"stream_detail"`
		} `json:"account_details"`
	}
	if n.monitor(ctx, server, "/jsz?streams=true", &jsz) != nil {
		return ""
	}
	for _, account := range jsz.Accounts {
		for _, s := range account.Streams {
			if s.Name == stream {
				return s.Cluster.Leader
			}
		}
	}
	return ""
}

// monitor asks a server about itself, around all proxies.
func (n *Network) monitor(ctx context.Context, server int, path string, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.ports[server].monitor+path, nil)
	if err != nil {
		return err
	}
	r.Close = true
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = got.Body.Close() }()
	if got.StatusCode != http.StatusOK {
		return errors.New(got.Status)
	}
	if answer == nil {
		return nil
	}
	return json.NewDecoder(got.Body).Decode(answer)
}

// wait waits until ready returns true. It asks ten times a second.
func wait(ctx context.Context, otherwise string, ready func() bool) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", otherwise, context.Cause(ctx))
		}
	}
	return nil
}
