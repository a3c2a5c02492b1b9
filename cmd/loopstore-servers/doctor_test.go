package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/cmd/internal/cli"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/jetstream"
	"github.com/loopstore/loopstore/store/journal/jetstream/jetstreamtest"
	"github.com/loopstore/loopstore/store/journal/postgres/postgrestest"
)

// asServer is a variable of the environment that makes the test binary a NATS
// server, whose goroutines would look like leaks here. Its value is the directory.
const asServer = "LOOPSTORE_TEST_AS_SERVER"

// serve runs a server that does not sync every write, with one partition, until
// stdin ends. It prints the server's URL.
func serve(dir string) error {
	ctx := context.Background()
	servers, err := jetstreamtest.Start(ctx, dir, jetstreamtest.Options{Nodes: 1, Lazy: true, Domain: "edge"})
	if err != nil {
		return err
	}
	defer servers.Stop()
	conn, err := servers.Connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	engine, err := jetstream.New(conn, jetstream.Options{Replicas: 1})
	if err != nil {
		return err
	}
	loop, err := loopstore.Open(ctx, engine, "p", loopstore.Options{})
	if err != nil {
		return err
	}
	if err := loop.PersistRuntimeState(ctx, "agent", store.RuntimeIdle); err != nil {
		return err
	}
	if err := loop.Close(); err != nil {
		return err
	}
	fmt.Println(servers.NodeURL(0))
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// newServer starts one, and returns its URL and directory.
func newServer(t *testing.T) (url, dir string) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	dir = t.TempDir()
	cmd := exec.Command(self)
	cmd.Env, cmd.Stderr = append(os.Environ(), asServer+"="+dir), os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	url, err = bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(url), dir
}

// recorded returns the records and settings of all streams in a directory.
func recorded(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if name := filepath.Base(path); err == nil && (filepath.Ext(name) == ".blk" || name == "meta.inf") {
			text, err := os.ReadFile(path)
			files[path] = string(text)
			return err
		}
		return err
	}))
	return files
}

func TestDoctorLooksAtNATS(t *testing.T) {
	url, dir := newServer(t)
	system := strings.Replace(url, "://", "://system:system@", 1)
	before := recorded(t, dir)
	require.Len(t, before, 2)

	code, stdout, stderr := shell(t.Context(), "doctor", "-nats", url, "-replicas", "1")
	require.Equal(t, cli.OK, code, stdout+stderr)
	require.Regexp(t, `(?m)^OK +stream loopstore=p +2 entries, `, stdout)
	require.Regexp(t, `(?m)^UNKNOWN +sync_interval +-\n {9}always: `, stdout)
	require.True(t, strings.HasSuffix(stdout, "\nnothing wrong was found, and 1 UNKNOWN: it could not be checked\n"), stdout)

	code, stdout, stderr = shell(t.Context(), "doctor", "-nats", url, "-replicas", "1", "-system", system, "-json")
	require.Equal(t, cli.ExitFailed, code, stderr)
	var d diagnosis
	require.NoError(t, json.Unmarshal([]byte(stdout), &d))
	require.Equal(t, []any{0, 1, 0, false}, []any{d.Unknown, d.Risk, d.Broken, d.OK})
	require.NotContains(t, stdout+stderr, "system:system")

	code, stdout, stderr = shell(t.Context(), "doctor", "-nats", url)
	require.Equal(t, cli.ExitFailed, code, "it is kept by one server, and three are asked for")
	require.Regexp(t, `(?m)^BROKEN +replicas of stream loopstore=p +1\n`, stdout, stderr)
	code, stdout, stderr = shell(t.Context(), "doctor", "-nats", url, "-replicas", "1", "-prefix", "other")
	require.Equal(t, cli.OK, code, stderr)
	require.NotContains(t, stdout, "loopstore=p")

	code, stdout, stderr = shell(t.Context(), "doctor", "-nats", url, "-replicas", "1", "-domain", "edge")
	require.Equal(t, cli.OK, code, stderr)
	require.Contains(t, stdout, "stream loopstore=p")

	for _, name := range []string{"-prefix", "-domain"} {
		code, _, stderr = shell(t.Context(), "doctor", "-nats", url, name, "a.b")
		require.Equal(t, cli.ExitMisuse, code)
		require.Contains(t, stderr, "a.b")
	}
	code, _, stderr = shell(t.Context(), "doctor", "-nats", url, "-system", url)
	require.Equal(t, cli.ExitFailed, code)
	require.Contains(t, stderr, "system account")
	require.Equal(t, before, recorded(t, dir), "it has changed something")
}

func TestDoctorLooksAtPostgreSQL(t *testing.T) {
	url := postgrestest.Start(t).URL()
	code, stdout, stderr := shell(t.Context(), "doctor", "-postgres", url)
	require.Equal(t, cli.ExitFailed, code, stderr)
	require.Regexp(t, `(?m)^RISK +synchronous_standby_names +-\n {9}name a standby`, stdout)
	require.Regexp(t, `(?m)^OK +pool +made by NewPool$`, stdout)
	require.Regexp(t, `\nFAILED: \d at RISK, 0 BROKEN\n$`, stdout)
	code, _, stderr = shell(t.Context(), "doctor", "-postgres", url+" dbname=nowhere password=hunter2")
	require.Equal(t, cli.ExitFailed, code)
	require.Contains(t, stderr, "nowhere")
	require.NotContains(t, stderr, "hunter2")
}

func TestDoctorUsage(t *testing.T) {
	for _, c := range []struct {
		args   []string
		code   int
		stderr string
	}{
		{nil, cli.ExitMisuse, "either --nats or --postgres"},
		{[]string{"-nats", "x", "-postgres", "y"}, cli.ExitMisuse, "either --nats or --postgres"},
		{[]string{"-nats", "x", "-replicas", "2"}, cli.ExitMisuse, "must be 1, 3 or 5"},
		{[]string{"-nats", "x", "-schema", "y"}, cli.ExitMisuse, "--schema goes with --postgres"},
		{[]string{"-postgres", "x", "-replicas", "3"}, cli.ExitMisuse, "--replicas goes with --nats"},
		{[]string{"-postgres", "x", "-domain", "x"}, cli.ExitMisuse, "--domain goes with --nats"},
		{[]string{"-postgres", "x", "-system", "x"}, cli.ExitMisuse, "--system goes with --nats"},
		{[]string{"-postgres", "x", "-creds", "x"}, cli.ExitMisuse, "--creds goes with --nats"},
		{[]string{"-nonsense"}, cli.ExitMisuse, "-nonsense"},
		{[]string{"-nats", "x", "y"}, cli.ExitMisuse, "no arguments"},
		{[]string{"-nats", "127.0.0.1:1"}, cli.ExitFailed, "--nats: 127.0.0.1:1: nats: no servers available"},
		{[]string{"-nats", "127.0.0.1:1", "-creds", "nowhere.creds"}, cli.ExitMisuse, "--creds: there is no such file"},
	} {
		code, stdout, stderr := shell(t.Context(), append([]string{"doctor"}, c.args...)...)
		require.Equal(t, c.code, code, "%q", c.args)
		require.Empty(t, stdout)
		require.Contains(t, stderr, c.stderr, "%q", c.args)
	}
}

// Whatever is wrong with a URL, no part of a password is said.
func TestDoctorKeepsPasswords(t *testing.T) {
	for _, c := range []struct{ flag, url string }{
		{"-nats", "nats://me:sesame@127.0.0.1:1"},
		{"-nats", "me:sesame@127.0.0.1:1,nats://sesame@127.0.0.1:1"},
		{"-nats", "nats://me:sesame%zz@127.0.0.1:1"},
		{"-nats", "nats://me:sesame@127.0.0.1:port"},
		{"-nats", "nats://sesame@"},
		{"-nats", "sesame://me:sesame@127.0.0.1:1"},
		{"-postgres", "postgres://me:sesame@127.0.0.1:1/x"},
		{"-postgres", "postgres://me:sesame%zz@127.0.0.1:1/x"},
		{"-postgres", "postgres://me:sesame@127.0.0.1:port/x"},
		{"-postgres", "host=127.0.0.1 port=1 password=sesame"},
		{"-postgres", "host=127.0.0.1 port=1 password='sesame"},
		{"-postgres", "host=127.0.0.1 password=open sesame port=1"},
		{"-postgres", "sesame"},
		// What is in a user or password and should be written with %.
		{"-nats", "nats://me:1/sesame@127.0.0.1:1"},
		{"-nats", "nats://me:1?sesame@127.0.0.1:1"},
		{"-nats", "nats://me:1#sesame@127.0.0.1:1"},
		{"-nats", "nats://me:1,sesame@127.0.0.1:1"},
		{"-nats", "nats://me:1@sesame,me@127.0.0.1:1"},
		{"-nats", "nats://sesame/@127.0.0.1:1"},
		{"-postgres", "postgres://127.0.0.1:1/sesame@127.0.0.1:1/x"},
		{"-postgres", "postgres://127.0.0.1:1?sesame@127.0.0.1:1/x"},
		{"-postgres", "postgres://127.0.0.1:1#sesame@127.0.0.1:1/x"},
		{"-postgres", "postgres://127.0.0.1:1/x?pasword=sesame"},
		{"-postgres", "host=127.0.0.1 port=1 pasword=sesame"},
		{"-postgres", "host=127.0.0.1 port=1 dbname=postgres://me:sesame@h/x"},
		{"-postgres", "127.0.0.1:1/me@sesame"},
		// The wrong flag, or none.
		{"-natz", "nats://me:sesame@127.0.0.1:1"},
		{"-natz=nats://me:sesame@127.0.0.1:1", "x"},
		{"-json", "nats://me:sesame@127.0.0.1:1"},
		{"-json=nats://me:sesame@127.0.0.1:1", "x"},
		{"-replicas", "nats://me:sesame@127.0.0.1:1"},
		{"nats://me:sesame@127.0.0.1:1", ""},
		{"-nats://me:sesame@127.0.0.1:1", ""},
		{"-nats=127.0.0.1:1", "-creds=nats://me:sesame@127.0.0.1:1"},
		{"-nats=127.0.0.1:1", "-prefix=nats://me:sesame@127.0.0.1:1"},
		{"-nats=127.0.0.1:1", "-domain=nats://me:sesame@127.0.0.1:1"},
		{"-nats=127.0.0.1:1", "-system=me:1/sesame@127.0.0.1:1"},
		{"-postgres", "postgres://me:a@sesame@127.0.0.1:1/x"},
		{"-postgres", "postgres://me:a@sesame,b@127.0.0.1:1,127.0.0.1:2/x"},
		{"-postgres", "host=me:sesame@127.0.0.1 port=1"},
		{"-postgres", "postgres://me;sesame/x"},
		{"-nats", "nats://me:a@b@sesame@127.0.0.1:1"},
		{"-nats", "password=sesame"},
		{"-nats", "host=127.0.0.1,pasword=sesame"},
		{"-nats", "nats://me;sesame"},
		{"-nats=127.0.0.1:1", "-creds=-----BEGIN NATS USER JWT----- sesame"},
		{"-replicas=host=h pasword=sesame", "x"},
		{"-n=host=h passwd=sesame", "x"},
		{"-postgres=host=127.0.0.1", "-schema=nats://me:sesame@127.0.0.1:1"},
	} {
		code, stdout, stderr := shell(t.Context(), "doctor", c.flag, c.url)
		require.NotEqual(t, cli.OK, code, c.url)
		require.NotContains(t, stdout+stderr, "sesame", c.url)
		require.Contains(t, stderr, "loopstore-servers doctor: ")
	}
	for _, args := range [][]string{{"nats://me:sesame@h"}, {"help", "nats://me:sesame@h"}, {"man", "nats://me:sesame@h"}, {"version", "me:sesame@h"}, {"demo", "nats://me:sesame@h"}} {
		code, stdout, stderr := shell(t.Context(), args...)
		require.Equal(t, cli.ExitMisuse, code, "%q", args)
		require.NotContains(t, stdout+stderr, "sesame", "%q", args)
	}
}

func TestDiagnosis(t *testing.T) {
	all := []journal.Finding{
		{Status: journal.OK, Setting: "fsync", Value: "on", Advice: "not said"},
		{Status: journal.Unknown, Setting: "a longer setting", Advice: "ask"},
		{Status: journal.Risk, Setting: "x\x1b", Value: "off\n", Advice: "turn it on"},
		{Status: journal.Broken, Setting: "y", Value: "1", Advice: "2"},
	}
	require.Equal(t, `status   setting           value
OK       fsync             on
UNKNOWN  a longer setting  -
         ask
RISK     x\x1b             off\n
         turn it on
BROKEN   y                 1
         2

FAILED: 1 at RISK, 1 BROKEN, and 1 UNKNOWN: it could not be checked
`, newDiagnosis(all).table())
	for want, some := range map[string][]journal.Finding{
		"ok": all[:1], "nothing wrong was found, and 1 UNKNOWN: it could not be checked": all[:2],
		"FAILED: 1 at RISK, 0 BROKEN": all[2:3], "FAILED: 0 at RISK, 1 BROKEN": all[3:],
	} {
		d := newDiagnosis(some)
		require.Equal(t, want, d.verdict())
		require.Equal(t, want == "ok", d.OK)
		require.Equal(t, strings.HasPrefix(want, "FAILED"), d.failed())
	}
}

// A server may say anything, in any place.
func TestWhatServersSayHoldsNoPassword(t *testing.T) {
	findings := hide([]journal.Finding{
		{Setting: "x", Value: "you said sesame", Advice: "well"}, {Setting: "sesame", Value: "y", Advice: "it was sesame%21"},
	}, []string{"sesame", "sesame%21"})
	require.Equal(t, []journal.Finding{{Setting: "x", Value: notShown, Advice: "well"}, {Setting: notShown, Value: "y", Advice: notShown}}, findings)
	require.NotContains(t, hideError(errors.New("you said sesame"), []string{"sesame"}).Error(), "sesame")
	require.EqualError(t, hideError(errors.New("why"), []string{"sesame"}), "why")
	require.NoError(t, hideError(nil, []string{"sesame"}))
	require.Equal(t, "it refuses the user or the password (SQLSTATE 28P01)", reasonOf(fmt.Errorf("x: %w", &pgconn.PgError{Code: "28P01", Message: "sesame"})))
	require.Equal(t, "it refuses (SQLSTATE none)", reasonOf(&pgconn.PgError{Code: "sesame"}))
	require.NotContains(t, reasonOf(errors.New("sesame")), "sesame")
}
