package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/mod/semver"
)

// tags lists the tags of a release, dependencies first. It refuses what has been released,
// and what does not say what is in it.
func (r *repo) tags(ctx context.Context) ([]string, error) {
	if err := r.check(ctx); err != nil {
		return nil, err
	}
	latest, err := r.latest(ctx)
	if err != nil {
		return nil, err
	}
	if semver.Compare(r.version, latest) <= 0 {
		return nil, fmt.Errorf("%s has been released: set the next version", latest)
	}
	changes, err := os.ReadFile(r.at("CHANGELOG.md"))
	if err != nil {
		return nil, err
	}
	if !headed(changes, strings.TrimPrefix(r.version, "v")) {
		return nil, fmt.Errorf("CHANGELOG.md has no heading for %s", r.version)
	}
	changed, err := r.git(ctx, "status", "--porcelain")
	if err != nil {
		return nil, err
	}
	if len(changed) > 0 {
		return nil, errors.New("commit first: a tag is of what is committed, and something else is here")
	}
	var tags []string
	for _, m := range r.released() {
		tags = append(tags, strings.TrimPrefix(m.dir+"/", "./")+r.version)
	}
	return tags, nil
}

// latest is the latest version that has a tag, and empty if none has.
func (r *repo) latest(ctx context.Context) (string, error) {
	out, err := r.git(ctx, "tag", "--list", "v*")
	if err != nil {
		return "", err
	}
	latest := ""
	for tag := range strings.FieldsSeq(string(out)) {
		if semver.Compare(tag, latest) > 0 {
			latest = tag
		}
	}
	return latest, nil
}

// git runs git in the repository.
func (r *repo) git(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = r.root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("git %s: %w: %s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}
