package itest

import (
	"context"
	"os/exec"
	"strings"
	"time"

	"github.com/inletlsp/inlet/node/api"
)

// inlet is a running Inlet process.
type inlet struct {
	*api.Client
	w     *world
	name  string
	dir   string
	admin string
	args  []string
	proc  *process
	id    string
	addr  string
}

// backend says which chain program a node follows.
type backend string

const (
	onBtcd     backend = "btcd"
	onBitcoind backend = "bitcoind"
)

func (w *world) chainArgs(b backend) []string {
	if b == onBtcd {
		c := w.btcd.Config()
		return []string{"--chain.backend=btcd", "--chain.btcd.rpc_host=" + c.RPCHost,
			"--chain.btcd.rpc_user=" + c.RPCUser, "--chain.btcd.rpc_password=" + c.RPCPassword,
			"--chain.btcd.cert_file=" + c.CertFile}
	}
	c := w.bitcoind.Config()
	args := []string{"--chain.backend=bitcoind", "--chain.bitcoind.rpc_host=" + c.RPCHost,
		"--chain.bitcoind.rpc_user=" + c.RPCUser, "--chain.bitcoind.rpc_password=" + c.RPCPassword}
	if c.CookieFile != "" {
		args = append(args, "--chain.bitcoind.cookie_file="+c.CookieFile)
	}
	return append(args, "--chain.bitcoind.zmq_block="+c.ZMQBlock, "--chain.bitcoind.zmq_tx="+c.ZMQTx)
}

// inlet makes a wallet and starts a node.
func (w *world) inlet(name string, b backend, extra ...string) *inlet {
	w.Helper()
	bin := programOf(w, "INLET_BIN", "run `make build`")
	n := &inlet{w: w, name: name, dir: w.path(name), admin: freeAddr(w), addr: freeAddr(w)}
	base := []string{"--network=regtest", "--data_dir=" + n.dir, "--insecure_no_passphrase"}
	create := exec.Command(bin, append([]string{"create"}, base...)...)
	create.Env = cleanEnv()
	if out, err := create.CombinedOutput(); err != nil {
		w.Fatalf("inlet create: %v\n%s", err, out)
	}
	n.args = append(append([]string{"run", "--log.level=debug", "--listen=" + n.addr,
		"--admin_listen=" + n.admin}, base...), w.chainArgs(b)...)
	n.args = append(n.args, extra...)
	n.start()
	return n
}

// start runs the process and waits until it answers.
func (n *inlet) start() {
	n.w.Helper()
	n.proc = n.w.start(n.name, nil, programOf(n.w, "INLET_BIN", "run `make build`"), n.args...)
	n.w.until(n.name+" that answers", func() bool {
		select {
		case <-n.proc.done:
			n.w.Fatalf("%s ended at its start", n.name)
		default:
		}
		client, err := api.NewClient(api.ClientOptions{Address: n.admin, Dir: n.dir})
		if err != nil {
			return false
		}
		ctx, cancel := n.ctx()
		defer cancel()
		info, err := client.Info(ctx)
		if err != nil || !info.SyncedToChain {
			return false
		}
		n.Client, n.id = client, info.NodeID
		return true
	})
}

func (n *inlet) ctx() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), wait)
}

// fund gives the wallet confirmed coins.
func (n *inlet) fund(sat int64, count int) {
	n.w.Helper()
	ctx, cancel := n.ctx()
	defer cancel()
	addr, err := n.NewAddress(ctx)
	if err != nil {
		n.w.Fatal(err)
	}
	before, err := n.Balance(ctx)
	if err != nil {
		n.w.Fatal(err)
	}
	n.w.fund(addr.Address, amount(sat), count)
	n.w.until(n.name+" with its coins", func() bool {
		b, err := n.Balance(ctx)
		return err == nil && int64(b.ConfirmedSat-before.ConfirmedSat) >= sat*int64(count)
	})
}

// order is the last order that was sold to the client.
func (n *inlet) order(client string) *api.Order {
	n.w.Helper()
	ctx, cancel := n.ctx()
	defer cancel()
	list, err := n.Orders(ctx, api.OrdersRequest{Client: client})
	if err != nil {
		n.w.Fatal(err)
	}
	if len(list.Orders) == 0 {
		return nil
	}
	return &list.Orders[0]
}

// channel finds the only channel with a peer.
func (n *inlet) channel(peer string) *api.Channel {
	n.w.Helper()
	ctx, cancel := n.ctx()
	defer cancel()
	list, err := n.Channels(ctx)
	if err != nil {
		n.w.Fatal(err)
	}
	for _, c := range list.Channels {
		if c.Peer == peer {
			return &c
		}
	}
	return nil
}

// stages are an order's moments by name, in milliseconds after the first part.
func stages(o *api.Order) string {
	var s []string
	for _, m := range o.Timeline {
		s = append(s, string(m.Stage)+"="+(time.Duration(m.Ms)*time.Millisecond).String())
	}
	return strings.Join(s, " ")
}

// sells are the flags of an LSP.
func sells(extra ...string) []string {
	return append([]string{"--lsp.enabled", "--lsp.lsps2.overprovision_ppm=500000",
		"--lsp.lsps2.min_payment_size_msat=1000000", "--lsp.lsps2.proportional_ppm=10000"}, extra...)
}
