package itest

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/inletlsp/inlet/node/api"
)

// TestConformAfterKill asks an LSP's process what the checklist says, kills it, and asks
// it again. What it had sold is still sold.
func TestConformAfterKill(t *testing.T) {
	h := newHouse(t, onBtcd)
	w, seller := h.world, h.lsp
	w.conform(seller)
	before := seller.sold()
	if len(before) == 0 {
		t.Fatal("nothing was sold")
	}
	seller.proc.kill()
	seller.start()
	h.reconnect() // without a channel to be paid over it sells nothing
	after := seller.sold()
	for _, scid := range before {
		if !slices.Contains(after, scid) {
			t.Errorf("the order of %s is gone", scid)
		}
	}
	w.conform(seller)
}

// conform runs inlet conform against a node.
func (w *world) conform(n *inlet) {
	w.Helper()
	cmd := exec.CommandContext(w.Context(), programOf(w, "INLET_BIN", "run `make build`"),
		"conform", "lsps2", n.id+"@"+n.addr, "--timeout-seconds=60")
	cmd.Env = cleanEnv()
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.Fatalf("inlet conform: %v\n%s", err, out)
	}
	w.Logf("%s", out[max(0, len(out)-80):])
	if !strings.Contains(string(out), "LSPS2-21   pass") {
		w.Errorf("nothing was bought:\n%s", out)
	}
}

// sold are the scids of all orders.
func (n *inlet) sold() []string {
	n.w.Helper()
	ctx, cancel := n.ctx()
	defer cancel()
	list, err := n.Orders(ctx, api.OrdersRequest{})
	if err != nil {
		n.w.Fatal(err)
	}
	var scids []string
	for _, o := range list.Orders {
		scids = append(scids, o.JitChannelScid)
	}
	return scids
}

// passedWithMoney are the lines that an LSP of our own kind shows to a payer and clients.
var passedWithMoney = []string{
	"LSPS2-16", "LSPS2-50", "LSPS2-51", "LSPS2-52", "LSPS2-63", "LSPS2-66", "LSPS2-67", "LSPS2-69",
	"LSPS2-73", "LSPS2-80", "LSPS2-81", "LSPS2-87", "LSPS2-92", "LSPS2-93", "LSPS2-94", "LSPS2-98",
	"LSPS2-99", "LSPS2-110", "LSPS2-112", "LSPS2-114",
}

// TestConformRegtestPay has the tool pay for what it buys from an LSP, with blocks of the
// bitcoind that the LSP follows, and leave nothing behind.
func TestConformRegtestPay(t *testing.T) {
	w := newWorld(t)
	seller := w.inlet("lsp", onBitcoind, sells()...)
	seller.fund(10_000_000, 5)
	folders := t.TempDir()
	args := append([]string{"conform", "lsps2", seller.id + "@" + seller.addr, "--regtest-pay", "--json",
		"--network=regtest", "--timeout-seconds=60"}, w.chainArgs(onBitcoind)...)
	cmd := exec.CommandContext(t.Context(), programOf(t, "INLET_BIN", "run `make build`"), args...)
	cmd.Env = append(cleanEnv(), "TMPDIR="+folders)
	var said, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &complaint
	if err := cmd.Run(); err != nil {
		t.Errorf("inlet conform --regtest-pay: %v\n%s", err, complaint.String())
	}
	var answer struct {
		Pass, Fail int
		Lines      []struct{ Line, Verdict, Reason string }
	}
	if err := json.Unmarshal(said.Bytes(), &answer); err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	var passed []string
	for _, l := range answer.Lines {
		money := len(l.Line) > len("LSPS2-50") || l.Line >= "LSPS2-50" || l.Line == "LSPS2-16"
		if !money {
			continue
		}
		t.Logf("%s %s %s", l.Line, l.Verdict, l.Reason)
		if l.Verdict == "pass" {
			passed = append(passed, l.Line)
		}
	}
	if !slices.Equal(passed, passedWithMoney) {
		t.Errorf("passed:\n%v, want\n%v", passed, passedWithMoney)
	}
	if answer.Fail > 0 || answer.Pass < 50 {
		t.Errorf("%d pass, %d fail", answer.Pass, answer.Fail)
	}
	left, err := os.ReadDir(folders)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
