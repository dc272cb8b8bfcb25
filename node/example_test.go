package node_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"

	"github.com/inletlsp/inlet/chain/regtest"
	"github.com/inletlsp/inlet/lsp"
	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/pay"
)

// A shop without a channel buys one from an LSP; the first payment opens it. The
// three nodes run in this program, on a private chain.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := sellBicycle(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// succeeded: 100000000 mSAT
	// received: 97000000 mSAT
}

func sellBicycle(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "inlet-example-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	btcd, err := regtest.StartBtcd(ctx, regtest.Btcd{Dir: filepath.Join(dir, "btcd")})
	if err != nil {
		return err
	}
	defer func() { _ = btcd.Stop() }()

	offer := lsp.DefaultOffer()
	offer.MinFee, offer.ProportionalPPM = 3_000_000, 10_000
	var nodes []*node.Node
	for _, name := range []string{"lsp", "shop", "payer"} {
		backend := btcd.Config()
		o := node.Options{
			Dir: filepath.Join(dir, name), Params: &chaincfg.RegressionNetParams,
			Listen: []string{"127.0.0.1:0"}, InsecureNoPassphrase: true,
			Chain: node.ChainOptions{Btcd: &backend},
		}
		if name == "lsp" {
			o.LSP = &node.LSPOptions{Offer: offer}
		}
		n, end, err := runNode(ctx, o)
		if err != nil {
			return err
		}
		defer end()
		nodes = append(nodes, n)
	}
	seller, shop, payer := nodes[0], nodes[1], nodes[2]
	if err := connectPayer(ctx, btcd, payer, seller); err != nil {
		return err
	}
	return jitPayment(ctx, seller, shop, payer)
}

// runNode makes a wallet and runs a node until end is called.
func runNode(ctx context.Context, o node.Options) (n *node.Node, end func(), err error) {
	if _, err := node.Create(node.CreateOptions{
		Dir: o.Dir, Params: o.Params, Insecure: true,
	}); err != nil {
		return nil, nil, err
	}
	if n, err = node.New(o); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	select {
	case <-n.Ready():
		return n, func() { cancel(); <-ended }, nil
	case err := <-ended:
		cancel()
		return nil, nil, errors.Join(errors.New("the node ended"), err)
	}
}

// connectPayer gives payer and LSP coins and a channel.
func connectPayer(ctx context.Context, chain regtest.Regtest, payer, seller *node.Node) error {
	for _, n := range []*node.Node{payer, seller} {
		text, err := n.Address()
		if err != nil {
			return err
		}
		addr, err := btcutil.DecodeAddress(text, &chaincfg.RegressionNetParams)
		if err != nil {
			return err
		}
		if _, err := chain.Fund(addr, 5_000_000, 1); err != nil {
			return err
		}
		if err := n.AwaitBalance(ctx, 5_000_000); err != nil {
			return err
		}
	}
	_, addr, _ := strings.Cut(seller.URIs()[0], "@")
	key, err := node.ParseNodeID(seller.NodeID())
	if err != nil {
		return err
	}
	if _, err := payer.OpenChannel(ctx, node.OpenRequest{
		Peer: key, Addr: addr, Capacity: 1_000_000,
	}); err != nil {
		return err
	}
	if _, err := chain.Mine(6); err != nil {
		return err
	}
	_, err = next(ctx, payer, node.ChannelOpened)
	return err
}

func jitPayment(ctx context.Context, seller, shop, payer *node.Node) error {
	_, addr, _ := strings.Cut(seller.URIs()[0], "@")
	key, err := node.ParseNodeID(seller.NodeID())
	if err != nil {
		return err
	}
	invoice, err := shop.JITInvoice(ctx, node.JITInvoiceRequest{
		LSP: key, Addr: addr, Amount: 100_000_000, Description: "a bicycle",
	})
	if err != nil {
		return err
	}
	paid, err := payer.Pay(ctx, pay.PayRequest{Invoice: invoice.Invoice.Bolt11})
	if err != nil {
		return err
	}
	fmt.Printf("%s: %v\n", paid.Status, paid.Amount)
	settled, err := next(ctx, shop, node.InvoiceSettled)
	if err != nil {
		return err
	}
	fmt.Printf("received: %v\n", settled.Amount)
	return nil
}

// next waits for an event of one kind and passes over others.
func next(ctx context.Context, n *node.Node, kind node.EventKind) (node.Event, error) {
	for ev, err := range n.Events(ctx) {
		if err != nil || ev.Kind == kind {
			return ev, err
		}
	}
	return node.Event{}, ctx.Err()
}
