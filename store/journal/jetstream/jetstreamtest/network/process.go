//go:build unix

package network

import (
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/nats-io/nats-server/v2/server"
)

// serveEnv is the configuration file of the server that a process is to be.
const serveEnv = "LOOPSTORE_NETWORK_SERVE"

// Serve makes this process a server, if [Start] or [Network.Restart] has started it to
// be one. Otherwise it returns at once.
func Serve() {
	file := os.Getenv(serveEnv)
	if file == "" {
		return
	}
	if err := serve(file); err != nil {
		fmt.Fprintln(os.Stderr, "network:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve serves until the process that has started this one ends.
func serve(file string) error {
	o, err := server.ProcessConfigFile(file)
	if err != nil {
		return err
	}
	o.NoSigs, o.NoLog = true, true
	s, err := server.NewServer(o)
	if err != nil {
		return err
	}
	s.Start()
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// A process is a server.
type process struct {
	*exec.Cmd
	alive io.Closer // its standard input, which ends with this process
}

func startProcess(file string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{Cmd: exec.Command(self)}
	p.Env = append(os.Environ(), serveEnv+"="+file)
	p.Stderr = os.Stderr
	if p.alive, err = p.StdinPipe(); err != nil {
		return nil, err
	}
	return p, p.Start()
}

func (p *process) kill() {
	_ = p.Process.Kill()
	_ = p.Wait()
}
