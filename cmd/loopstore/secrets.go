package main

import (
	"cmp"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
)

// The errors of a URL that cannot be read quote nothing of it: any part may be a
// password's.
var (
	errNATSURL     = errors.New("it is not a URL such as nats://host:4222")
	errPostgresURL = misuse("-postgres: it is neither a URL such as postgres://user@host/database nor settings such as host=db user=me")
)

// natsURLs reads URLs with commas between them, as package nats does.
func natsURLs(text string) (all []*url.URL, err error) {
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		if !strings.Contains(part, "://") {
			part = "nats://" + part
		}
		u, err := url.Parse(part)
		if err != nil || u.Host == "" {
			return nil, errNATSURL
		}
		all = append(all, u)
	}
	return all, nil
}

// secrets returns what must not be shown of the URLs: passwords, and NATS users
// without one, which are tokens. Longer secrets come first.
func (s *doctorSettings) secrets() (all []string) {
	for _, urls := range []string{s.nats, s.system} {
		parsed, _ := natsURLs(urls)
		for _, u := range parsed {
			password, ok := u.User.Password()
			if !ok {
				password = u.User.Username()
			}
			all = append(all, password, url.QueryEscape(password), url.PathEscape(password))
		}
	}
	if config, err := pgxpool.ParseConfig(s.postgres); s.postgres != "" && err == nil {
		password := config.ConnConfig.Password
		all = append(all, password, url.QueryEscape(password), url.PathEscape(password))
	}
	all = append(all, s.nats, s.system, s.postgres)
	all = slices.DeleteFunc(all, func(secret string) bool { return secret == "" })
	slices.SortFunc(all, func(a, b string) int { return cmp.Compare(len(b), len(a)) }) // the whole before its parts
	return all
}

// hide removes the secrets and the line ends from a text.
func (s *doctorSettings) hide(text string) string {
	for _, secret := range s.secrets() {
		text = strings.ReplaceAll(text, secret, "…")
	}
	return strings.Join(strings.Fields(text), " ")
}
