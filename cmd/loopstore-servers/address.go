package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"

	"github.com/loopstore/loopstore/cmd/internal/cli"
	"github.com/loopstore/loopstore/store/journal"
)

// An address is how a server is reached. Only shown is ever shown of it: its text holds
// passwords, and where it is mistyped they are in any part of it.
type address struct {
	flag   string
	text   string
	shown  string          // hosts, and a database
	hidden []string        // passwords and tokens
	config *pgxpool.Config // of a PostgreSQL server
}

func misread(flag, like string) error {
	return cli.Misused(fmt.Sprintf("--%s: it is not %s; in a user or password, what is neither a letter nor a digit is written as %% and two digits", flag, like))
}

// natsAddress reads URLs with commas between them, as package nats does. It takes only
// what can be nothing else.
func natsAddress(flag, text string) (*address, error) {
	a := &address{flag: flag, text: text}
	err := misread(flag, "a URL such as nats://host:4222")
	parts, users := strings.Split(text, ","), 0
	var hosts []string
	for _, part := range parts {
		part = strings.TrimSpace(part)
		if !strings.Contains(part, "://") {
			part = "nats://" + part
		}
		u, wrong := url.Parse(part)
		if wrong != nil || !isHost(u.Host) || strings.Count(part, "@") > 1 || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery ||
			strings.Contains(part, "#") || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
			return nil, err
		}
		hosts = append(hosts, u.Host)
		if u.User != nil {
			users++
			password, _ := u.User.Password()
			a.hide(cmp.Or(password, u.User.Username())) // a user without a password is a token
		}
	}
	switch {
	case users > 0 && users < len(parts):
		return nil, err // a comma in a password
	case users > 0 && len(parts) > 1:
		a.shown = fmt.Sprintf("%d servers", len(parts))
	default:
		a.shown = strings.Join(hosts, ", ")
	}
	return a, nil
}

func (a *address) hide(secret string) {
	if secret != "" {
		a.hidden = append(a.hidden, secret, url.QueryEscape(secret), url.PathEscape(secret))
	}
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// isHost reports whether a text is a name or an address of a machine, and a port if any.
func isHost(text string) bool {
	host := text
	if h, port, err := net.SplitHostPort(text); err == nil {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return false
		}
		host = h
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || hostName.MatchString(host)
}

// postgresSettings are those that a URL or other settings may have, besides where the
// server is and who asks.
var postgresSettings = []string{
	"application_name", "channel_binding", "client_encoding", "connect_timeout", "datestyle", "default_query_exec_mode", "description_cache_capacity",
	"gssencmode", "idle_in_transaction_session_timeout", "krbsrvname", "krbspn", "lock_timeout", "options", "passfile", "pool_health_check_period",
	"pool_max_conn_idle_time", "pool_max_conn_lifetime", "pool_max_conn_lifetime_jitter", "pool_max_conns", "pool_min_conns", "pool_min_idle_conns",
	"search_path", "service", "servicefile", "sslcert", "sslkey", "sslmode", "sslnegotiation", "sslpassword", "sslrootcert", "sslsni",
	"statement_cache_capacity", "statement_timeout", "target_session_attrs", "timezone", "user", "password", "host", "port", "dbname", "database",
	"require_auth", "min_protocol_version", "max_protocol_version",
}

func postgresAddress(text string) (*address, error) {
	misread := misread("postgres", "a URL such as postgres://user@host/database, nor settings such as host=db user=me")
	config, err := pgxpool.ParseConfig(text)
	if err != nil {
		return nil, misread
	}
	if strings.Contains(text, "://") {
		u, err := url.Parse(text)
		if err != nil || strings.Count(text, "@") > 1 || strings.Contains(text, "#") || strings.ContainsAny(strings.TrimPrefix(u.Path, "/"), "/@:") {
			return nil, misread
		}
		for key := range u.Query() {
			if !slices.Contains(postgresSettings, key) {
				return nil, misread
			}
		}
	}
	c := config.ConnConfig
	for key := range c.RuntimeParams {
		if !slices.Contains(postgresSettings, strings.ToLower(key)) {
			return nil, misread
		}
	}
	if strings.ContainsAny(c.Database+c.User, "/@:=; ") || !isServer(c.Host) {
		return nil, misread
	}
	for _, other := range c.Fallbacks {
		if !isServer(other.Host) {
			return nil, misread
		}
	}
	a := &address{flag: "postgres", text: text, config: config, shown: net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port)))}
	if c.Database != "" {
		a.shown += ", database " + c.Database
	}
	a.hide(c.Password)
	return a, nil
}

// isServer reports whether a text is a machine's name or address, or the directory of a
// socket.
func isServer(text string) bool {
	return isHost(text) || strings.HasPrefix(text, "/") && !strings.ContainsAny(text, "@:=; ")
}

// failed returns the error of a connection that cannot be made, nil if there is none.
func (a *address) failed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("--%s: %s: %s", a.flag, a.shown, reasonOf(err))
}

// reasonOf says why a connection cannot be made, in words that are not those of a server
// or client, which may quote anything.
func reasonOf(err error) string {
	for _, known := range []error{
		nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired, nats.ErrNoServers, nats.ErrSecureConnRequired,
		nats.ErrSecureConnWanted, nats.ErrTimeout, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EHOSTUNREACH, syscall.ENETUNREACH, os.ErrPermission,
		os.ErrNotExist,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if server, ok := errors.AsType[*pgconn.PgError](err); ok {
		return postgresReason(server.Code)
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "there is no such host"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "its certificate is not trusted"
	}
	if timeout, ok := errors.AsType[net.Error](err); errors.Is(err, context.DeadlineExceeded) || ok && timeout.Timeout() {
		return "it does not answer"
	}
	return "it cannot be reached, for a reason that is not shown since it may quote a password"
}

func postgresReason(code string) string {
	text := map[string]string{
		"28000": "it refuses the user", "28P01": "it refuses the user or the password", "3D000": "it has no such database",
		"53300": "it has too many connections", "57P03": "it is starting or stopping",
	}[code]
	if !sqlState.MatchString(code) {
		code = "none"
	}
	return cmp.Or(text, "it refuses") + " (SQLSTATE " + code + ")"
}

var sqlState = regexp.MustCompile(`^[0-9A-Z]{5}$`)

const notShown = "it is not shown, since a password is in it"

// hide takes out of findings the texts that a secret is in. They go as a whole: what is left
// around a short secret would tell it.
func hide(findings []journal.Finding, secrets []string) []journal.Finding {
	for i := range findings {
		for _, text := range []*string{&findings[i].Setting, &findings[i].Value, &findings[i].Advice} {
			if has(*text, secrets) {
				*text = notShown
			}
		}
	}
	return findings
}

// hideError is hide for an error.
func hideError(err error, secrets []string) error {
	if err != nil && has(err.Error(), secrets) {
		return errors.New("the servers answered with an error; " + notShown)
	}
	return err
}

func has(text string, secrets []string) bool {
	return slices.ContainsFunc(secrets, func(secret string) bool { return strings.Contains(text, secret) })
}
