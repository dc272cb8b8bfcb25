package node_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"

	"github.com/inletlsp/inlet/chain/regtest"
	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/nodetest"
)

// lspProcess is the program itself, with a log in a file: its memory is nobody else's.
type lspProcess struct {
	*api.Client
	t    testing.TB
	cmd  *exec.Cmd
	addr string
	id   string
	log  string
}

// startLSP runs INLET_BIN with its default settings, but for the level of the log.
func startLSP(t testing.TB, net *nodetest.Net) *lspProcess {
	t.Helper()
	bin := os.Getenv("INLET_BIN")
	if bin == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("INLET_BIN is not set")
		}
		t.Skip("INLET_BIN is not set: run `make build`, then set it to bin/inlet")
	}
	chain := net.Chain.(*regtest.Btcd).Config()
	dir, admin := filepath.Join(t.TempDir(), "lsp"), freeAddr(t)
	p := &lspProcess{t: t, addr: freeAddr(t), log: filepath.Join(t.TempDir(), "lsp.log")}
	env := append(cleanEnviron(), "INLET_NETWORK=regtest", "INLET_DATA_DIR="+dir,
		"INLET_INSECURE_NO_PASSPHRASE=true", "INLET_LISTEN="+p.addr, "INLET_ADMIN_LISTEN="+admin,
		"INLET_LOG_LEVEL=debug", "INLET_LSP_ENABLED=true", "INLET_CHAIN_BACKEND=btcd",
		"INLET_CHAIN_BTCD_RPC_HOST="+chain.RPCHost, "INLET_CHAIN_BTCD_RPC_USER="+chain.RPCUser,
		"INLET_CHAIN_BTCD_RPC_PASSWORD="+chain.RPCPassword,
		"INLET_CHAIN_BTCD_CERT_FILE="+chain.CertFile, fmt.Sprint("INLET_CHAIN_BTCD_TLS=", chain.TLS))
	create := exec.Command(bin, "create")
	create.Env = env
	if out, err := create.CombinedOutput(); err != nil {
		t.Fatalf("create: %v\n%s", err, out)
	}
	log, err := os.Create(p.log)
	must(t, err)
	p.cmd = exec.Command(bin, "run")
	p.cmd.Env, p.cmd.Stderr = env, log
	must(t, p.cmd.Start())
	t.Cleanup(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("the LSP ended with %v", err)
		}
		must(t, log.Close())
		if lines := p.lines(); t.Failed() {
			t.Logf("the end of its log:\n%s", strings.Join(lines[max(0, len(lines)-60):], "\n"))
		}
	})
	p.connect(admin, dir)
	return p
}

// cleanEnviron is the environment without settings for nodes.
func cleanEnviron() (env []string) {
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "INLET_") {
			env = append(env, v)
		}
	}
	return env
}

// connect waits until the admin API answers.
func (p *lspProcess) connect(admin, dir string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 2*waitLink)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if c, err := api.NewClient(api.ClientOptions{Address: admin, Dir: dir}); err == nil {
			if info, err := c.Info(ctx); err == nil && info.SyncedToChain {
				p.Client, p.id = c, info.NodeID
				return
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			p.t.Fatalf("the LSP does not answer:\n%s", strings.Join(p.lines(), "\n"))
		}
	}
}

func (p *lspProcess) key() *btcec.PublicKey {
	p.t.Helper()
	key, err := node.ParseNodeID(p.id)
	must(p.t, err)
	return key
}

// fund gives the LSP coins.
func (p *lspProcess) fund(net *nodetest.Net, each btcutil.Amount, count int) {
	p.t.Helper()
	ctx, cancel := net.Context()
	defer cancel()
	text, err := p.NewAddress(ctx)
	must(p.t, err)
	addr, err := btcutil.DecodeAddress(text.Address, &chaincfg.RegressionNetParams)
	must(p.t, err)
	_, err = net.Chain.Fund(addr, each, count)
	must(p.t, err)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		b, err := p.Balance(ctx)
		must(p.t, err)
		if int64(b.ConfirmedSat) >= int64(each)*int64(count) {
			return
		}
		<-tick.C
	}
}

// lines are those of the log.
func (p *lspProcess) lines() (lines []string) {
	p.t.Helper()
	f, err := os.Open(p.log)
	must(p.t, err)
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		lines = append(lines, s.Text())
	}
	return lines
}

func (p *lspProcess) logBytes() int64 {
	info, err := os.Stat(p.log)
	if err != nil {
		return 0
	}
	return info.Size()
}

// status is a field of /proc/PID/status in kB.
func (p *lspProcess) status(field string) int64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, tail, _ := strings.Cut(string(raw), field+":")
	fields := strings.Fields(tail)
	if len(fields) == 0 {
		return 0
	}
	n, _ := strconv.ParseInt(fields[0], 10, 64)
	return n
}

// watched is what was seen of the process while something went on.
type watched struct {
	maxRSS   int64 // kB
	worstLog int64 // bytes in a minute
}

// watch looks at the process until ctx ends.
func (p *lspProcess) watch(ctx context.Context) <-chan watched {
	out := make(chan watched, 1)
	go func() {
		var w watched
		var sizes []int64 // of the log, each 200 ms
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			w.maxRSS = max(w.maxRSS, p.status("VmRSS"))
			sizes = append(sizes, p.logBytes())
			first := sizes[max(0, len(sizes)-300)]
			w.worstLog = max(w.worstLog, sizes[len(sizes)-1]-first)
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
		out <- w
	}()
	return out
}

// cpu is the processor time that the LSP has used.
func (p *lspProcess) cpu() time.Duration {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	must(p.t, err)
	_, tail, _ := strings.Cut(string(raw), ") ")
	fields := strings.Fields(tail)
	var ticks int64
	for _, f := range fields[11:13] { // utime and stime, in hundredths of a second
		n, err := strconv.ParseInt(f, 10, 64)
		must(p.t, err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
