package node_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/btcsuite/btcd/chaincfg"

	"github.com/inletlsp/inlet/chain"
	"github.com/inletlsp/inlet/lsp/checklist"
	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/store"
)

// childEnv makes this test program an LSP that comes to its end at one write.
const childEnv = "INLET_TEST_CHILD"

// childPlan says what LSP the child is and at which write it dies.
type childPlan struct {
	Dir, Listen string
	Chain       chain.BtcdConfig
	Trusting    bool
	Name        string
	Nth         int
	After       bool
	// Full leaves the end to the kernel: the file cannot be written any more, as on a
	// full disk.
	Full bool
}

func TestMain(m *testing.M) {
	plan := os.Getenv(childEnv)
	if plan == "" {
		os.Exit(m.Run())
	}
	if err := liveUntilKilled([]byte(plan)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// liveUntilKilled runs the LSP until it comes to its write, and kills this process with
// the signal that nothing can catch.
func liveUntilKilled(raw []byte) error {
	var p childPlan
	if err := json.Unmarshal(raw, &p); err != nil {
		return err
	}
	opts := node.Options{
		Dir: p.Dir, Params: &chaincfg.RegressionNetParams, Listen: []string{p.Listen},
		InsecureNoPassphrase: true, Chain: node.ChainOptions{Btcd: &p.Chain},
		LSP: &node.LSPOptions{Offer: offer(), OverprovisionPPM: 500_000},
	}
	opts.LSP.Offer.ClientTrustsLSP = p.Trusting
	opts.SetStoreGroup(1)
	ready, count := make(chan struct{}), 0
	opts.SetMischief(node.Mischief{Lifeline: node.Lifeline{
		Commit: func(done bool, writes []store.Write) error {
			select {
			case <-ready:
			default:
				return nil // the start's own writes are not of the sale
			}
			if writes[0].String() != p.Name {
				return nil
			}
			if !done {
				count++
			}
			if count == p.Nth && done == p.After {
				if p.Full {
					return fullDisk()
				}
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {} // the signal may take a moment, in which nothing may be written
			}
			return nil
		},
	}})
	n, err := node.New(opts)
	if err != nil {
		return err
	}
	go func() {
		<-n.Ready()
		close(ready)
		fmt.Println("ready")
	}()
	return n.Run(context.Background())
}

// fullDisk has the kernel refuse writes behind the first pages of a file.
func fullDisk() error {
	signal.Ignore(syscall.SIGXFSZ)
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1 << 15, Max: 1 << 15})
}

// TestKill: what the sweep does inside of one process, with a process of its own that is
// killed and a file that nobody has closed (LSPS2-102).
func TestKill(t *testing.T) {
	checklist.Shows(t, "LSPS2-102", "chanfactory.journal.put stores nothing")
	t.Parallel()
	at := []moment{
		{"orders.(*Desk).write inlet-orders", 5, true},
		{"channeldb.(*OpenChannel).SyncPending chan-id-bucket nib open-chan-bucket outpoint-bucket", 1, true},
		{"chanfactory.(*journal).put inlet-fundings", 1, true},
		{"htlcswitch.(*circuitMap).OpenCircuits circuit-keystones", 1, true},
		{"channeldb.(*OpenChannel).AppendRemoteCommitChain open-chan-bucket", 1, false},
		{"channeldb.(*WitnessCache).addWitnessEntries byte", 1, false},
	}
	if !allPoints {
		at = at[1:4]
	}
	childSweep(t, at, false)
}

// TestFullDisk: the disk of the LSP is full at one write. It ends and says so, and takes
// the sale up again when there is room.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	childSweep(t, []moment{
		{"orders.(*Desk).write inlet-orders", 4, false},
		{"htlcswitch.(*circuitMap).CommitCircuits circuit-adds", 1, false},
	}, true)
}

func childSweep(t *testing.T, at []moment, full bool) {
	st := newStage(t, sales[0], 1)
	for _, m := range at {
		ok := t.Run(m.String(), func(t *testing.T) {
			st.in(t, func() {
				a := st.newAct()
				a.lspLife.arm(false, nil)
				a.inChild(m, full)
				a.play()
				if !a.fell {
					t.Error("the child did not end")
				}
				a.check()
				a.serves()
				a.client.Stop()
			})
		})
		if !ok {
			st = newStage(t, sales[0], 1)
		}
	}
}

// inChild has a child be the LSP until its end, and the LSP itself from then on.
func (a *act) inChild(at moment, full bool) {
	a.t.Helper()
	seller := a.market.seller
	addr := seller.Addr()
	seller.Stop()
	btcd, ok := a.Chain.(interface{ Config() chain.BtcdConfig })
	if !ok {
		a.t.Fatal("the chain is no btcd")
	}
	raw, err := json.Marshal(childPlan{
		Dir: seller.dir, Listen: addr, Chain: btcd.Config(), Trusting: a.sale.trusting,
		Name: at.name, Nth: at.nth, After: at.after, Full: full,
	})
	must(a.t, err)
	self, err := os.Executable()
	must(a.t, err)
	child := exec.Command(self)
	child.Env = append(os.Environ(), childEnv+"="+string(raw))
	var said bytes.Buffer
	child.Stderr = &said
	out, err := child.StdoutPipe()
	must(a.t, err)
	must(a.t, child.Start())
	a.t.Cleanup(func() { _ = child.Process.Kill() })
	_, err = fmt.Fscanln(out, new(string))
	must(a.t, err)

	gone := make(chan struct{})
	var end error
	go func() {
		end = child.Wait()
		close(gone)
	}()
	a.struck = gone
	a.mend = func() {
		var exit *exec.ExitError
		if !errors.As(end, &exit) {
			a.t.Fatalf("the child ended with %v", end)
		}
		status := exit.Sys().(syscall.WaitStatus)
		killed := status.Signaled() && status.Signal() == syscall.SIGKILL
		if told := strings.Contains(said.String(), node.ErrDisk.Error()); killed == full || told != full {
			a.t.Errorf("the child ended with %v: %s", end, said.String())
		}
		seller.Start()
		a.meet()
	}
	for _, n := range []*member{a.market.payer, a.client} {
		a.soon(waitLink, func(ctx context.Context) bool {
			return n.Connect(ctx, seller.Key(), addr) == nil
		})
	}
	a.soon(waitLink, func(ctx context.Context) bool { return a.ready(ctx, a.market.payer) })
}
