package itest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"

	"github.com/inletlsp/inlet/chain/regtest"
)

// wait bounds every wait of a test.
const wait = 90 * time.Second

// tick is how often what has no event of its own is looked at again. These are other
// people's programs: they are asked over their own interfaces.
const tick = 100 * time.Millisecond

// programOf finds a program that the Makefile built or fetched. Without it the test
// fails where all programs are promised, and is skipped in sight elsewhere.
func programOf(t testing.TB, env, remedy string) string {
	t.Helper()
	path := os.Getenv(env)
	if path != "" {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	message := fmt.Sprintf("%s=%q is not there: %s", env, path, remedy)
	if os.Getenv("CI") != "" {
		t.Fatal(message)
	}
	t.Skip(message)
	return ""
}

// world is one regtest on which a btcd and a bitcoind are each other's peers.
type world struct {
	testing.TB
	dir      string
	btcd     *regtest.Btcd
	bitcoind *regtest.Bitcoind
	mineMu   sync.Mutex
}

func newWorld(t testing.TB) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	w := &world{TB: t, dir: t.TempDir()}
	var err error
	w.bitcoind, err = regtest.StartBitcoind(ctx, regtest.Bitcoind{
		Binary: programOf(t, "INLET_BITCOIND", "run `make test`"), Dir: w.path("bitcoind"),
		Blocks: regtest.NoBlocks, // only btcd may have mined before they meet
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.bitcoind.Stop() })
	w.btcd, err = regtest.StartBtcd(ctx, regtest.Btcd{
		Binary: programOf(t, "INLET_BTCD", "run `make test`"), Dir: w.path("btcd"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.btcd.Stop() })
	if err := w.bitcoind.ConnectTo(ctx, w.btcd); err != nil {
		t.Fatal(err)
	}
	if err := w.bitcoind.WaitSynced(ctx, w.btcd); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// mine mines blocks and waits until both programs have them.
func (w *world) mine(blocks int) {
	w.Helper()
	w.mineMu.Lock()
	defer w.mineMu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	// The miner takes a moment to hear of a transaction that the other one was given.
	pending, err := w.bitcoind.Mempool()
	if err != nil {
		w.Fatal(err)
	}
	for _, tx := range pending {
		if err := w.btcd.WaitTx(ctx, tx); err != nil {
			w.Fatal(err)
		}
	}
	if _, err := w.btcd.Mine(blocks); err != nil {
		w.Fatal(err)
	}
	if err := w.bitcoind.WaitSynced(ctx, w.btcd); err != nil {
		w.Fatal(err)
	}
}

// fund pays count coins of each to an address and mines them in.
func (w *world) fund(address string, each btcutil.Amount, count int) {
	w.Helper()
	addr, err := btcutil.DecodeAddress(address, &chaincfg.RegressionNetParams)
	if err != nil {
		w.Fatal(err)
	}
	if _, err := w.btcd.Fund(addr, each, count); err != nil {
		w.Fatal(err)
	}
	w.mine(1)
}

// until asks until the answer is yes.
func (w *world) until(what string, yes func() bool) {
	w.Helper()
	w.within(wait, what, yes)
}

func (w *world) within(limit time.Duration, what string, yes func() bool) {
	w.Helper()
	deadline, ticker := time.After(limit), time.NewTicker(tick)
	defer ticker.Stop()
	for !yes() {
		select {
		case <-ticker.C:
		case <-deadline:
			w.Fatalf("after %v: no %s", limit, what)
		}
	}
}

// process is a program that runs until the test ends.
type process struct {
	w    *world
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	done chan struct{}
	log  string
}

// start runs a program with its output in a file that is shown if the test fails.
// lines, when not nil, gets each line of its standard output instead.
func (w *world) start(name string, lines func(string), program string, args ...string) *process {
	w.Helper()
	p := &process{w: w, name: name, done: make(chan struct{}), log: w.path(name + ".log")}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		w.Fatal(err)
	}
	p.cmd = exec.Command(program, args...)
	p.cmd.Stderr, p.cmd.Stdout = log, log
	p.cmd.Env = cleanEnv()
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		w.Fatal(err)
	}
	var out io.Reader
	if lines != nil {
		p.cmd.Stdout = nil
		if out, err = p.cmd.StdoutPipe(); err != nil {
			w.Fatal(err)
		}
	}
	if err := p.cmd.Start(); err != nil {
		w.Fatalf("start %s: %v", name, err)
	}
	go func() {
		defer close(p.done)
		defer func() { _ = log.Close() }()
		if out != nil {
			scan := bufio.NewScanner(out)
			scan.Buffer(nil, 16<<20)
			for scan.Scan() {
				lines(scan.Text())
			}
		}
		_ = p.cmd.Wait()
	}()
	w.Cleanup(func() {
		p.kill()
		if w.Failed() {
			w.Logf("the end of %s:\n%s", p.log, tail(p.log, 60))
		}
	})
	return p
}

// cleanEnv is the environment without our own variables, which inlet would take for
// settings.
func cleanEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "INLET_")
	})
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// stop asks the program to end and waits.
func (p *process) stop() {
	_ = p.in.Close()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(wait):
		p.w.Fatalf("%s does not stop", p.name)
	}
}

func tail(file string, lines int) string {
	raw, _ := os.ReadFile(file)
	all := strings.Split(string(bytes.TrimSpace(raw)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
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
