// Package lnd drives a real lnd as a child process, for tests: a payer whose routing
// remembers who failed it. It speaks lnd's REST API, so that nothing of ours depends
// on lnrpc.
package lnd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"

	"github.com/inletlsp/inlet/chain"
	"github.com/inletlsp/inlet/chain/regtest"
)

// wait bounds every wait, tick is how often lnd is asked again.
const (
	wait = 90 * time.Second
	tick = 100 * time.Millisecond
)

// Program finds the built lnd, which INLET_LND names. Without it the test fails where
// all programs are promised, and is skipped in sight elsewhere.
func Program(t testing.TB) string {
	t.Helper()
	path := os.Getenv("INLET_LND")
	if path != "" {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	message := fmt.Sprintf("INLET_LND=%q is not there: run `make test`", path)
	if os.Getenv("CI") != "" {
		t.Fatal(message)
	}
	t.Skip(message)
	return ""
}

// Node is an lnd, running until the test ends.
type Node struct {
	testing.TB
	ID   string // its node id
	rest string
}

// Start starts an lnd on a bitcoind.
func Start(t testing.TB, dir string, c chain.BitcoindConfig) *Node {
	t.Helper()
	n := &Node{TB: t, rest: "http://" + freeAddr(t)}
	log := dir + ".log"
	cmd := exec.Command(Program(t), "--lnddir="+dir, "--noseedbackup", "--no-macaroons",
		"--no-rest-tls", "--restlisten="+strings.TrimPrefix(n.rest, "http://"),
		"--rpclisten="+freeAddr(t), "--listen="+freeAddr(t), "--bitcoin.regtest", "--nobootstrap",
		"--debuglevel=info", "--trickledelay=50", "--protocol.zero-conf",
		"--protocol.option-scid-alias", "--bitcoin.defaultchanconfs=1",
		"--max-channel-fee-allocation=1.0", "--bitcoin.node=bitcoind",
		"--bitcoind.rpchost="+c.RPCHost, "--bitcoind.rpcuser="+c.RPCUser,
		"--bitcoind.rpcpass="+c.RPCPassword, "--bitcoind.zmqpubrawblock="+c.ZMQBlock,
		"--bitcoind.zmqpubrawtx="+c.ZMQTx)
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start lnd: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = out.Close()
		if t.Failed() {
			t.Logf("the end of %s:\n%s", filepath.Base(log), tail(log, 60))
		}
	})
	n.until("lnd that is synced", func() bool {
		var info struct {
			ID     string `json:"identity_pubkey"`
			Synced bool   `json:"synced_to_chain"`
		}
		err := n.call(http.MethodGet, "/v1/getinfo", nil, &info)
		n.ID = info.ID
		return err == nil && info.Synced
	})
	return n
}

func tail(file string, lines int) string {
	raw, _ := os.ReadFile(file)
	all := strings.Split(strings.TrimSpace(string(raw)), "\n")
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

func (n *Node) until(what string, yes func() bool) {
	n.Helper()
	deadline, ticker := time.After(wait), time.NewTicker(tick)
	defer ticker.Stop()
	for !yes() {
		select {
		case <-ticker.C:
		case <-deadline:
			n.Fatalf("after %v: no %s", wait, what)
		}
	}
}

// call makes one REST call and decodes the first document of the answer.
func (n *Node) call(method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(ctx, method, n.rest+path, body)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("lnd: %s %s: %s", path, resp.Status, text)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

func (n *Node) must(method, path string, in, out any) {
	n.Helper()
	if err := n.call(method, path, in, out); err != nil {
		n.Fatal(err)
	}
}

// Fund gives lnd's wallet a confirmed coin.
func (n *Node) Fund(c regtest.Regtest, sat btcutil.Amount) {
	n.Helper()
	var a struct{ Address string }
	n.must(http.MethodGet, "/v1/newaddress?type=TAPROOT_PUBKEY", nil, &a)
	addr, err := btcutil.DecodeAddress(a.Address, &chaincfg.RegressionNetParams)
	if err != nil {
		n.Fatal(err)
	}
	if _, err := c.Fund(addr, sat, 1); err != nil {
		n.Fatal(err)
	}
	if _, err := c.Mine(1); err != nil {
		n.Fatal(err)
	}
	n.until("coin of lnd's", func() bool {
		var b struct {
			Confirmed string `json:"confirmed_balance"`
		}
		return n.call(http.MethodGet, "/v1/balance/blockchain", nil, &b) == nil && b.Confirmed != "0"
	})
}

// Connect connects lnd to a peer.
func (n *Node) Connect(id, addr string) {
	n.Helper()
	err := n.call(http.MethodPost, "/v1/peers", map[string]any{
		"addr": map[string]string{"pubkey": id, "host": addr}, "timeout": "30",
	}, nil)
	if err != nil && !strings.Contains(err.Error(), "already connected") {
		n.Fatal(err)
	}
}

// Open opens a private channel to a connected peer and waits until lnd's router
// knows it. miner and own are the chain programs of others and of lnd.
func (n *Node) Open(miner, own regtest.Regtest, id string, sat btcutil.Amount) {
	n.Helper()
	raw, err := hexBytes(id)
	if err != nil {
		n.Fatal(err)
	}
	n.must(http.MethodPost, "/v1/channels", map[string]any{
		"node_pubkey": raw, "local_funding_amount": fmt.Sprint(int64(sat)), "private": true,
		"sat_per_vbyte": "5", "commitment_type": "ANCHORS",
	}, nil)
	n.confirm(miner, own)
	n.until("channel in lnd's graph", func() bool {
		var list struct {
			Channels []struct {
				ID string `json:"chan_id"`
			}
		}
		err := n.call(http.MethodGet, "/v1/channels?active_only=true", nil, &list)
		if err != nil || len(list.Channels) == 0 {
			return false
		}
		// Its own policy is what it pays by. The peer's may never come: lnd loses a
		// channel_update that names its alias and is faster than its own graph.
		var edge struct {
			OneID string    `json:"node1_pub"`
			One   *struct{} `json:"node1_policy"`
			Two   *struct{} `json:"node2_policy"`
		}
		err = n.call(http.MethodGet, "/v1/graph/edge/"+list.Channels[0].ID, nil, &edge)
		own := edge.Two
		if edge.OneID == n.ID {
			own = edge.One
		}
		return err == nil && own != nil
	})
}

// confirm mines what lnd has published.
func (n *Node) confirm(miner, own regtest.Regtest) {
	n.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	pending, err := own.Mempool()
	if err != nil {
		n.Fatal(err)
	}
	for _, tx := range pending {
		if err := miner.WaitTx(ctx, tx); err != nil {
			n.Fatal(err)
		}
	}
	if _, err := miner.Mine(6); err != nil {
		n.Fatal(err)
	}
}

func hexBytes(text string) ([]byte, error) {
	var b []byte
	if _, err := fmt.Sscanf(text, "%x", &b); err != nil {
		return nil, err
	}
	if len(b) != 33 {
		return nil, errors.New("lnd: a node id has 33 bytes")
	}
	return b, nil
}
