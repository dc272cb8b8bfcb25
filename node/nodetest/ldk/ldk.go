// Package ldk drives a real LDK node as a child process, for tests: itest/ldkclient,
// which buys JIT channels from an LSP. LDK follows the chain of a bitcoind.
package ldk

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// wait bounds every wait: LDK reconnects once a minute.
const wait = 90 * time.Second

// Program finds the built ldkclient, which INLET_LDKCLIENT names. Without it the test
// fails where all programs are promised, and is skipped in sight elsewhere.
func Program(t testing.TB) string {
	t.Helper()
	path := os.Getenv("INLET_LDKCLIENT")
	if path != "" {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	message := fmt.Sprintf("INLET_LDKCLIENT=%q is not there: run `make test`", path)
	if os.Getenv("CI") != "" {
		t.Fatal(message)
	}
	t.Skip(message)
	return ""
}

// Anchors says how a client sees channels with anchor outputs.
type Anchors string

// Default keeps coins back for each such channel, and refuses one without them.
// Trusted keeps none back for those of its LSP. Off doesn't know the feature.
const (
	Default Anchors = "default"
	Trusted Anchors = "trusted"
	Off     Anchors = "off"
)

// Settings say what client to start.
type Settings struct {
	Dir          string // its own; made when missing
	LSP, LSPAddr string // node id and host:port
	Token        string // for the LSP's menu; empty: none
	RPCHost      string // host:port of the bitcoind
	RPCUser      string
	RPCPassword  string
	Anchors      Anchors
}

// Client is an LDK node, running until the test ends.
type Client struct {
	testing.TB
	ID       string // its node id
	Dir      string
	program  string
	name     string
	argument string
	trace    string
	run      *run
}

// run is one life of the process.
type run struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	errors bytes.Buffer // what it wrote to standard error; read after done
	done   chan struct{}
	ready  chan string
	events chan line

	mu      sync.Mutex
	next    int               // guarded by mu
	replies map[int]chan line // guarded by mu
}

// line is one line that the program prints.
type line struct {
	Ready, Error, Event string
	Reply               int
	Result, Detail      json.RawMessage
}

// Start starts a client. Its name is that of its directory.
func Start(t testing.TB, s Settings) *Client {
	t.Helper()
	host, port, err := net.SplitHostPort(s.RPCHost)
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{
		TB: t, Dir: s.Dir, program: Program(t), name: filepath.Base(s.Dir),
		trace: s.Dir + ".trace",
	}
	var token *string
	if s.Token != "" {
		token = &s.Token
	}
	raw, err := json.Marshal(map[string]any{
		"Dir": s.Dir, "Log": c.trace, "LSP": s.LSP, "LSPAddr": s.LSPAddr, "Token": token,
		"RPCHost": host, "RPCPort": json.Number(port), "RPCUser": s.RPCUser,
		"RPCPassword": s.RPCPassword, "Listen": freeAddr(t), "Anchors": s.Anchors,
	})
	if err != nil {
		t.Fatal(err)
	}
	c.argument = string(raw)
	c.Start()
	t.Cleanup(func() {
		c.Kill()
		if t.Failed() {
			t.Logf("the end of %s:\n%s%s", c.trace, c.Trace(40), c.run.errors.String())
		}
	})
	return c
}

// freeAddr is a loopback address that nobody listens on.
func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// Start starts the process again, on the same directory.
func (c *Client) Start() {
	c.Helper()
	r := &run{
		done: make(chan struct{}), ready: make(chan string, 1), events: make(chan line, 1000),
		replies: map[int]chan line{}, cmd: exec.Command(c.program, c.argument),
	}
	// It ends when its input does, so it never outlives the test.
	var err error
	if r.in, err = r.cmd.StdinPipe(); err != nil {
		c.Fatal(err)
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		c.Fatal(err)
	}
	r.cmd.Stderr = &r.errors
	if err := r.cmd.Start(); err != nil {
		c.Fatalf("start %s: %v", c.name, err)
	}
	c.run = r
	go r.routineRead(out)
	select {
	case c.ID = <-r.ready:
	case <-r.done:
		c.Fatalf("%s ended at its start", c.name)
	case <-time.After(wait):
		c.Fatalf("%s does not start", c.name)
	}
}

// routineRead ends with the process; Kill and Stop wait for it.
func (r *run) routineRead(out io.Reader) {
	defer close(r.done)
	scan := bufio.NewScanner(out)
	scan.Buffer(nil, 16<<20)
	for scan.Scan() {
		var l line
		if json.Unmarshal(scan.Bytes(), &l) == nil {
			r.take(l)
		}
	}
	_ = r.cmd.Wait()
}

func (r *run) take(l line) {
	switch {
	case l.Ready != "":
		r.ready <- l.Ready
	case l.Reply != 0:
		r.mu.Lock()
		ch := r.replies[l.Reply]
		delete(r.replies, l.Reply)
		r.mu.Unlock()
		if ch != nil {
			ch <- l
		}
	case l.Event != "":
		r.events <- l
	}
}

// Kill is kill -9.
func (c *Client) Kill() {
	_ = c.run.cmd.Process.Kill()
	<-c.run.done
}

// Stop lets the node end in order.
func (c *Client) Stop() {
	c.Helper()
	// The end of its input ends it in order. A signal would not: it would lose what LDK
	// has not written yet, and LDK closes such a channel by force at its next start.
	_ = c.run.in.Close()
	select {
	case <-c.run.done:
	case <-time.After(wait):
		c.Fatalf("%s does not stop", c.name)
	}
}

// Trace is the end of LDK's own log.
func (c *Client) Trace(lines int) string {
	raw, _ := os.ReadFile(c.trace)
	all := strings.Split(string(bytes.TrimSpace(raw)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// Logged reports whether LDK's own log has the text.
func (c *Client) Logged(text string) bool {
	raw, _ := os.ReadFile(c.trace)
	return bytes.Contains(raw, []byte(text))
}

// Persisted waits until LDK has written what happened so far. It writes its channels'
// states at once, but that it has these channels only in the next round of a loop: one that
// is killed in between closes the channel by force at its next start, whoever its peer is.
func (c *Client) Persisted() {
	c.Helper()
	const round, rounds = "Persisting LiquidityManager...", 3
	written := func() int {
		raw, _ := os.ReadFile(c.trace)
		return bytes.Count(raw, []byte(round))
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(wait)
	for until := written() + rounds; written() < until; {
		select {
		case <-tick.C:
		case <-late:
			c.Fatalf("%s has not written its state within %v", c.name, wait)
		}
	}
}
