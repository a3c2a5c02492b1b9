//go:build unix

package service_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/cluster"
	"github.com/loopstore/loopstore/store/journal/jetstream"
)

const (
	partitions = 12
	lease      = 3 * time.Second
	clusterOf  = "agents"

	// memberEnv has the servers' addresses, and makes this program a member.
	memberEnv = "LOOPSTORE_SERVICE_MEMBER"
)

// serve is what a member's process does, until it is told to leave.
func serve(urls string) error {
	conn, err := jetstream.Connect(urls)
	if err != nil {
		return err
	}
	defer conn.Close()
	engine, err := jetstream.New(conn, jetstream.Options{})
	if err != nil {
		return err
	}
	directory, err := engine.Directory(clusterOf)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	address := l.Addr().String()
	node, err := cluster.Join(ctx, cluster.Options{
		Cluster: clusterOf, Partitions: partitions, Self: cluster.Member{Name: address, Address: address},
		Engine: engine, Directory: directory, Lease: lease,
	})
	if err != nil {
		return err
	}
	others := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	mux := http.NewServeMux()
	mux.Handle("/local", handler(node.Router(nil)))
	mux.Handle("/", handler(node.Router(func(m cluster.Member) (store.RuntimeStore, error) {
		return client{http: others, url: "http://" + m.Address + "/local"}, nil
	})))
	s := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	fmt.Println(address)
	select {
	case err = <-failed:
		return err
	case <-ctx.Done():
	}
	err = node.Close()
	_ = s.Close()
	return err
}

// A member is such a process.
type member struct {
	*exec.Cmd
	address string
}

func startMember(urls string) (*member, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	m := &member{Cmd: exec.Command(self)}
	m.Env = append(os.Environ(), memberEnv+"="+urls)
	m.Stderr = os.Stderr
	out, err := m.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := m.Start(); err != nil {
		return nil, err
	}
	m.address, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		m.kill()
		return nil, fmt.Errorf("a member did not join: %w", err)
	}
	m.address = strings.TrimSpace(m.address)
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return m, nil
}

func (m *member) kill() {
	_ = m.Process.Kill()
	_ = m.Wait()
}

// leave tells a member to leave, and waits for it.
func (m *member) leave() error {
	if err := m.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return m.Wait()
}
