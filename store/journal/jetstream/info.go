package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	js "github.com/nats-io/nats.go/jetstream"
)

// A streamInfo is what the servers say of a stream.
type streamInfo struct {
	js.StreamInfo
	domain  string
	unknown map[string]string // settings that the client does not know, with their values
}

// UnmarshalJSON implements json.Unmarshaler.
func (i *streamInfo) UnmarshalJSON(data []byte) error {
	if err := json.Unmarshal(data, &i.StreamInfo); err != nil {
		return err
	}
	var more struct {
		Domain string                     `json:"domain"`
		Config map[string]json.RawMessage `json:"config"`
	}
	if err := json.Unmarshal(data, &more); err != nil {
		return err
	}
	i.domain, i.unknown = more.Domain, unknownSettings(more.Config)
	return nil
}

// unknownSettings returns the settings that js.StreamConfig has not, but those that say
// nothing.
func unknownSettings(config map[string]json.RawMessage) map[string]string {
	all := map[string]string{}
	for name, value := range config {
		if _, ok := fieldOf[name]; !ok && !slices.Contains([]string{"false", "0", "null", `""`, "{}", "[]"}, string(value)) {
			all[name] = string(value)
		}
	}
	return all
}

// apiError is how the servers' API refuses.
type apiError struct {
	Error *js.APIError `json:"error"`
}

// question asks the servers' API once. An error of theirs is a *js.APIError.
func (e *Engine) question(ctx context.Context, subject string, body []byte, answer any) error {
	ctx, cancel := e.within(ctx)
	defer cancel()
	m, err := e.conn.RequestWithContext(ctx, e.api+subject, body)
	if err != nil {
		return err
	}
	var refused apiError
	if err := json.Unmarshal(m.Data, &refused); err != nil {
		return err
	}
	if refused.Error != nil {
		return refused.Error
	}
	return json.Unmarshal(m.Data, answer)
}

// askStream asks once what the servers say of a stream.
func (e *Engine) askStream(ctx context.Context, name string) (*streamInfo, error) {
	info := &streamInfo{}
	if err := e.question(ctx, "STREAM.INFO."+name, nil, info); err != nil {
		return nil, err
	}
	if info.Config.Name != name || info.domain != e.domain {
		return nil, fmt.Errorf("asked for stream %s in domain %q, the servers answer of stream %s in domain %q",
			name, e.domain, info.Config.Name, info.domain)
	}
	return info, nil
}

// errReplaced means that a stream is not the one that was opened.
var errReplaced = errors.New("the stream was deleted and created again")

// askInfo asks once for the stream that was opened.
func (p *partition) askInfo(ctx context.Context) (*js.StreamInfo, error) {
	info, err := p.engine.askStream(ctx, p.name)
	switch {
	case err != nil:
		return nil, err
	case !info.Created.Equal(p.created):
		return nil, errReplaced
	}
	return &info.StreamInfo, nil
}

// A stored message is what a stream has at a sequence.
type stored struct {
	Sequence uint64 `json:"seq"`
	Header   []byte `json:"hdrs"`
	Data     []byte `json:"data"`
}

// message asks the leader of a stream once for a message. The nats client would ask any
// server, and one that lags lacks the latest. For a message that is missing errors.Is finds
// js.ErrMsgNotFound.
func (e *Engine) message(ctx context.Context, stream, which string) (*stored, error) {
	var got struct {
		Message *stored `json:"message"`
	}
	if err := e.question(ctx, "STREAM.MSG.GET."+stream, []byte(which), &got); err != nil {
		return nil, err
	}
	if got.Message == nil {
		return nil, js.ErrInvalidJetStreamResponse
	}
	return got.Message, nil
}

// at asks once for the data at a sequence of a stream.
func (e *Engine) at(ctx context.Context, stream string, sequence uint64) ([]byte, error) {
	m, err := e.message(ctx, stream, fmt.Sprintf(`{"seq":%d}`, sequence))
	if err != nil {
		return nil, err
	}
	return m.Data, nil
}

// listStreams returns what the servers say of all streams, and the names of those of
// which they do not say anything now, with a reason.
func (e *Engine) listStreams(ctx context.Context) (all []*streamInfo, silent map[string]string, err error) {
	silent = map[string]string{}
	for seen := 0; ; {
		var page struct {
			Total   int               `json:"total"`
			Limit   int               `json:"limit"`
			Streams []*streamInfo     `json:"streams"`
			Missing []string          `json:"missing"`
			Offline map[string]string `json:"offline"`
		}
		_, err := persist(ctx, e, func(ctx context.Context) (any, error) {
			return nil, e.question(ctx, "STREAM.LIST", fmt.Appendf(nil, `{"offset":%d}`, seen), &page)
		})
		if err != nil {
			return nil, nil, fmt.Errorf("listing the streams: %w", err)
		}
		all = append(all, page.Streams...)
		for _, name := range page.Missing {
			silent[name] = "its servers do not answer"
		}
		maps.Copy(silent, page.Offline)
		seen += max(len(page.Streams), page.Limit)
		if len(page.Streams)+len(page.Missing)+len(page.Offline) == 0 || seen >= page.Total {
			break
		}
	}
	slices.SortFunc(all, func(a, b *streamInfo) int { return strings.Compare(a.Config.Name, b.Config.Name) })
	return all, silent, nil
}

// noStream reports whether the servers said that there is no such stream.
func noStream(err error) bool { return errors.Is(err, js.ErrStreamNotFound) }
