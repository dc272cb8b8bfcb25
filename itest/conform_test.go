package itest

import (
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
