package itest

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

func amount(sat int64) btcutil.Amount { return btcutil.Amount(sat) }

// lnd is a running lnd.
type lnd struct {
	lnrpc.LightningClient
	router routerrpc.RouterClient
	w      *world
	name   string
	dir    string
	args   []string
	proc   *process
	id     string
	addr   string
	rpc    string
}

// lnd starts a real lnd on the chain.
func (w *world) lnd(name string, b backend) *lnd {
	w.Helper()
	n := &lnd{w: w, name: name, dir: w.path(name), addr: freeAddr(w), rpc: freeAddr(w)}
	n.args = []string{"--lnddir=" + n.dir, "--noseedbackup", "--no-macaroons", "--norest",
		"--listen=" + n.addr, "--rpclisten=" + n.rpc, "--bitcoin.regtest", "--debuglevel=info",
		"--nobootstrap", "--trickledelay=50", "--protocol.zero-conf", "--protocol.option-scid-alias",
		"--maxpendingchannels=10", "--bitcoin.defaultchanconfs=1",
		"--max-channel-fee-allocation=1.0"}
	if b == onBtcd {
		c := w.btcd.Config()
		n.args = append(n.args, "--bitcoin.node=btcd", "--btcd.rpchost="+c.RPCHost,
			"--btcd.rpcuser="+c.RPCUser, "--btcd.rpcpass="+c.RPCPassword,
			"--btcd.rpccert="+c.CertFile)
	} else {
		c := w.bitcoind.Config()
		n.args = append(n.args, "--bitcoin.node=bitcoind", "--bitcoind.rpchost="+c.RPCHost,
			"--bitcoind.rpcuser="+c.RPCUser, "--bitcoind.rpcpass="+c.RPCPassword,
			"--bitcoind.zmqpubrawblock="+c.ZMQBlock, "--bitcoind.zmqpubrawtx="+c.ZMQTx)
	}
	n.start()
	return n
}

func (n *lnd) start() {
	n.w.Helper()
	n.proc = n.w.start(n.name, nil, programOf(n.w, "INLET_LND", "run `make test`"), n.args...)
	n.w.until(n.name+" that answers", func() bool {
		select {
		case <-n.proc.done:
			n.w.Fatalf("%s ended at its start", n.name)
		default:
		}
		creds, err := credentials.NewClientTLSFromFile(n.dir+"/tls.cert", "")
		if err != nil {
			return false
		}
		conn, err := grpc.NewClient(n.rpc, grpc.WithTransportCredentials(creds))
		if err != nil {
			return false
		}
		client := lnrpc.NewLightningClient(conn)
		info, err := client.GetInfo(context.Background(), &lnrpc.GetInfoRequest{})
		if err != nil || !info.SyncedToChain {
			_ = conn.Close()
			return false
		}
		n.LightningClient, n.router, n.id = client, routerrpc.NewRouterClient(conn), info.IdentityPubkey
		return true
	})
}

// fund gives lnd's wallet confirmed coins.
func (n *lnd) fund(sat int64, count int) {
	n.w.Helper()
	ctx := context.Background()
	addr, err := n.NewAddress(ctx, &lnrpc.NewAddressRequest{Type: lnrpc.AddressType_TAPROOT_PUBKEY})
	if err != nil {
		n.w.Fatal(err)
	}
	n.w.fund(addr.Address, amount(sat), count)
	n.w.until(n.name+" with its coins", func() bool {
		b, err := n.WalletBalance(ctx, &lnrpc.WalletBalanceRequest{})
		return err == nil && b.ConfirmedBalance >= sat*int64(count)
	})
}

// connect connects lnd to an Inlet.
func (n *lnd) connect(to *inlet) {
	n.w.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	_, err := n.ConnectPeer(ctx, &lnrpc.ConnectPeerRequest{
		Addr: &lnrpc.LightningAddress{Pubkey: to.id, Host: to.addr}, Timeout: 30,
	})
	if err != nil && !strings.Contains(err.Error(), "already connected") {
		n.w.Fatal(err)
	}
}

// open opens a private channel to an Inlet and waits until both can use it.
func (n *lnd) open(to *inlet, sat int64, push int64) {
	n.w.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	n.connect(to)
	before := n.active()
	key, err := hexBytes(to.id)
	if err != nil {
		n.w.Fatal(err)
	}
	_, err = n.OpenChannelSync(ctx, &lnrpc.OpenChannelRequest{
		NodePubkey: key, LocalFundingAmount: sat, PushSat: push, Private: true, SatPerVbyte: 5,
		CommitmentType: lnrpc.CommitmentType_ANCHORS,
	})
	if err != nil {
		n.w.Fatal(err)
	}
	n.w.mine(6)
	n.w.until("active channel of lnd's", func() bool { return n.active() > before })
	n.w.until("channel in lnd's graph", n.routable)
	n.w.until("active channel of Inlet's", func() bool {
		c := to.channel(n.id)
		return c != nil && c.Active
	})
}

// routable says that lnd's router knows all of its channels: a channel becomes
// active up to a second before.
func (n *lnd) routable() bool {
	ctx := context.Background()
	list, err := n.ListChannels(ctx, &lnrpc.ListChannelsRequest{ActiveOnly: true})
	if err != nil {
		return false
	}
	for _, c := range list.Channels {
		edge, err := n.GetChanInfo(ctx, &lnrpc.ChanInfoRequest{ChanId: c.ChanId})
		if err != nil || (edge.Node1Pub == n.id && edge.Node1Policy == nil) ||
			(edge.Node2Pub == n.id && edge.Node2Policy == nil) {
			return false
		}
	}
	return true
}

func (n *lnd) active() int {
	list, err := n.ListChannels(context.Background(), &lnrpc.ListChannelsRequest{ActiveOnly: true})
	if err != nil {
		n.w.Fatal(err)
	}
	return len(list.Channels)
}

// pay pays an invoice and returns how it ended.
func (n *lnd) pay(invoice string, change func(*routerrpc.SendPaymentRequest)) (*lnrpc.Payment, error) {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	r := &routerrpc.SendPaymentRequest{
		PaymentRequest: invoice, TimeoutSeconds: 60, FeeLimitMsat: 1_000_000, NoInflightUpdates: true,
	}
	if change != nil {
		change(r)
	}
	stream, err := n.router.SendPaymentV2(ctx, r)
	if err != nil {
		return nil, err
	}
	p, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	if p.Status != lnrpc.Payment_SUCCEEDED {
		return p, fmt.Errorf("lnd's payment: %v %v", p.Status, p.FailureReason)
	}
	return p, nil
}

// mustPay pays or ends the test.
func (n *lnd) mustPay(invoice string, change func(*routerrpc.SendPaymentRequest)) *lnrpc.Payment {
	n.w.Helper()
	p, err := n.pay(invoice, change)
	if err != nil {
		if p != nil {
			for _, h := range p.Htlcs {
				n.w.Logf("part: %v failure %v", h.Status, h.Failure)
			}
		}
		n.w.Fatal(err)
	}
	return p
}

func hexBytes(s string) ([]byte, error) {
	b := make([]byte, len(s)/2)
	for i := range b {
		v, err := strconv.ParseUint(s[2*i:2*i+2], 16, 8)
		if err != nil {
			return nil, err
		}
		b[i] = byte(v)
	}
	return b, nil
}
