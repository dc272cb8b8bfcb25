package itest

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
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
	"LSPS2-16", "LSPS2-50", "LSPS2-51", "LSPS2-52", "LSPS2-53", "LSPS2-63", "LSPS2-66", "LSPS2-67",
	"LSPS2-69", "LSPS2-73", "LSPS2-80", "LSPS2-81", "LSPS2-87", "LSPS2-92", "LSPS2-93", "LSPS2-94", "LSPS2-98",
	"LSPS2-99", "LSPS2-110", "LSPS2-112", "LSPS2-114",
}

// TestConformRegtestPay has the tool pay for what it buys from an LSP, with blocks of the
// bitcoind that the LSP follows, and leave nothing behind, also when it is interrupted.
func TestConformRegtestPay(t *testing.T) {
	w := newWorld(t)
	seller := w.inlet("lsp", onBitcoind, sells()...)
	seller.fund(10_000_000, 5)
	w.interrupted(seller)
	passed, _ := w.conformPaid(seller)
	if !slices.Equal(passed, passedWithMoney) {
		t.Errorf("passed:\n%v, want\n%v", passed, passedWithMoney)
	}
}

// TestConformRegtestPayDefaults: an LSP as the configuration has it, but that its clients
// must trust it. Its channels have no room for a second payment.
func TestConformRegtestPayDefaults(t *testing.T) {
	w := newWorld(t)
	seller := w.inlet("lsp", onBtcd, "--lsp.enabled", "--lsp.lsps2.client_trusts_lsp")
	seller.fund(10_000_000, 5)
	passed, reasons := w.conformPaid(seller)
	for _, id := range passedWithMoney {
		want := !slices.Contains([]string{"LSPS2-87", "LSPS2-110", "LSPS2-114"}, id)
		if got := slices.Contains(passed, id); got != want {
			t.Errorf("%s passed: %v (%s)", id, got, reasons[id])
		}
	}
	if !strings.Contains(reasons["LSPS2-87"], "client_trusts_lsp") ||
		!strings.Contains(reasons["LSPS2-110"], "no room") {
		t.Errorf("%v", reasons)
	}
}

// paying is inlet conform --regtest-pay against a node, with temporary folders of its own.
func (w *world) paying(n *inlet) (cmd *exec.Cmd, folders string) {
	w.Helper()
	folders = w.TempDir()
	cmd = exec.CommandContext(w.Context(), programOf(w, "INLET_BIN", "run `make build`"),
		append([]string{"conform", "lsps2", n.id + "@" + n.addr, "--regtest-pay", "--json",
			"--network=regtest", "--timeout-seconds=60"}, w.chainArgs(onBitcoind)...)...)
	cmd.Env = append(cleanEnv(), "TMPDIR="+folders)
	return cmd, folders
}

// gone fails when something is left in a folder.
func (w *world) gone(folders string) {
	w.Helper()
	if left, err := os.ReadDir(folders); err != nil || len(left) > 0 {
		w.Errorf("left behind: %v, %v", left, err)
	}
}

// interrupted presses Ctrl-C when the first client comes.
func (w *world) interrupted(n *inlet) {
	w.Helper()
	cmd, folders := w.paying(n)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	w.until("first client", func() bool {
		found, _ := filepath.Glob(filepath.Join(folders, "*", "client-1.log"))
		return len(found) > 0
	})
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		w.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 ||
		!strings.Contains(complaint.String(), "stopped before all was seen") {
		w.Errorf("interrupted: %v\n%s", err, complaint.String())
	}
	w.gone(folders)
}

// conformPaid runs inlet conform --regtest-pay against a node, of which nothing may fail.
// It gives the lines that money shows, and what is said of the others.
func (w *world) conformPaid(n *inlet) (passed []string, reasons map[string]string) {
	w.Helper()
	cmd, folders := w.paying(n)
	var said, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &complaint
	if err := cmd.Run(); err != nil {
		w.Errorf("inlet conform --regtest-pay: %v\n%s", err, complaint.String())
	}
	var answer struct {
		Pass, Fail int
		Lines      []struct{ Line, Verdict, Reason string }
	}
	if err := json.Unmarshal(said.Bytes(), &answer); err != nil {
		w.Fatalf("%v\n%s", err, said.String())
	}
	reasons = map[string]string{}
	for _, l := range answer.Lines {
		if l.Verdict == "fail" {
			w.Errorf("%s: %s", l.Line, l.Reason)
		}
		if len(l.Line) == len("LSPS2-50") && l.Line < "LSPS2-50" && l.Line != "LSPS2-16" {
			continue
		}
		reasons[l.Line] = l.Reason
		if l.Verdict == "pass" {
			passed = append(passed, l.Line)
		}
	}
	if answer.Fail > 0 || answer.Pass < 50 {
		w.Errorf("%d pass, %d fail", answer.Pass, answer.Fail)
	}
	w.gone(folders)
	return passed, reasons
}
