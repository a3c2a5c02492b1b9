package jetstream

import (
	"context"
	"fmt"

	js "github.com/nats-io/nats.go/jetstream"
)

// settle asks the servers once which domain they are of, and fixes it for all that the
// engine does later. Without Options.Domain the connection's own server decides. From
// then on every question names the domain: a connection that moves to a server of
// another one asks the right servers all the same.
func (e *Engine) settle(ctx context.Context) error {
	select {
	case e.settling <- struct{}{}:
		defer func() { <-e.settling }()
	case <-ctx.Done():
		return fmt.Errorf("asking for the domain: %w", context.Cause(ctx))
	}
	if e.settled {
		return nil
	}
	account, err := persist(ctx, e, e.js.AccountInfo)
	if err != nil {
		return fmt.Errorf("asking for the account and its domain: %w", err)
	}
	if e.options.Domain != "" && account.Domain != e.options.Domain {
		return fmt.Errorf("the servers are of domain %q, and Options.Domain is %q", account.Domain, e.options.Domain)
	}
	if err := checkDomain(account.Domain); err != nil {
		return err
	}
	if err := e.speakTo(account.Domain); err != nil {
		return err
	}
	e.settled = true
	return nil
}

// speakTo makes the engine ask the servers of a domain.
func (e *Engine) speakTo(domain string) (err error) {
	e.domain, e.api = domain, "$JS.API."
	if domain != "" {
		e.api = "$JS." + domain + ".API."
	}
	e.js, err = js.NewWithAPIPrefix(e.conn, e.api, js.WithDefaultTimeout(e.options.Timeout))
	return err
}

// identity says whose a partition's journal is.
func (e *Engine) identity(partition string) identity {
	return identity{prefix: e.options.Prefix, domain: e.domain, partition: partition}
}
