// Command ldkclient is a real LDK node that buys JIT channels: ldk-node behind its
// own Go bindings, driven by one JSON object a line on standard input. It answers,
// and tells its events, one object a line on standard output. It is a process of its
// own so that tests can kill it.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"

	ldk "github.com/getAlby/ldk-node-go/ldk_node"
)

// settings come as one JSON object in the first argument.
type settings struct {
	Dir, Log     string
	LSP, LSPAddr string
	Token        *string // for the LSP's menu
	RPCHost      string
	RPCPort      uint16
	RPCUser      string
	RPCPassword  string
	Listen       string
	// Anchors is "trusted" (no reserve needed for the LSP), "default" or "off".
	Anchors string
}

// request is one line of input.
type request struct {
	ID      int
	Do      string
	Amount  uint64
	Max     *uint64
	Expiry  uint32
	Invoice string
	Peer    string
	Addr    string
	Channel string
}

// line is one line of output.
type line struct {
	Ready  string `json:",omitempty"` // the node id, once
	Reply  int    `json:",omitempty"`
	Error  string `json:",omitempty"`
	Result any    `json:",omitempty"`
	Event  string `json:",omitempty"`
	Detail any    `json:",omitempty"`
}

// printer writes lines whole.
type printer struct {
	mu  sync.Mutex
	out *json.Encoder
}

func (p *printer) print(l line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.out.Encode(l); err != nil {
		os.Exit(1) // whoever started us is gone
	}
}

func main() {
	out := &printer{out: json.NewEncoder(os.Stdout)}
	if err := run(out); err != nil {
		out.print(line{Error: err.Error()})
		os.Exit(1)
	}
}

func run(out *printer) error {
	var s settings
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: ldkclient SETTINGS-AS-JSON")
	}
	if err := json.Unmarshal([]byte(os.Args[1]), &s); err != nil {
		return err
	}
	node, err := build(s)
	if err != nil {
		return err
	}
	if err := node.Start(); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	go routineEvents(node, out)
	out.print(line{Ready: node.NodeId()})

	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return err
		}
		result, err := do(node, r)
		l := line{Reply: r.ID, Result: result}
		if err != nil {
			l.Error = err.Error()
		}
		out.print(l)
	}
	return node.Stop()
}

func build(s settings) (*ldk.Node, error) {
	cfg := ldk.DefaultConfig()
	cfg.Network = ldk.NetworkRegtest
	cfg.StorageDirPath = s.Dir
	switch s.Anchors {
	case "off":
		cfg.AnchorChannelsConfig = nil
	case "trusted":
		cfg.AnchorChannelsConfig = &ldk.AnchorChannelsConfig{
			PerChannelReserveSats: 25_000, TrustedPeersNoReserve: []ldk.PublicKey{s.LSP},
		}
	}
	b := ldk.BuilderFromConfig(cfg)
	b.SetChainSourceBitcoindRpc(s.RPCHost, s.RPCPort, s.RPCUser, s.RPCPassword)
	b.SetGossipSourceP2p()
	level := ldk.LogLevelTrace
	b.SetFilesystemLogger(&s.Log, &level)
	if s.LSP != "" {
		b.SetLiquiditySourceLsps2(s.LSP, s.LSPAddr, s.Token)
	}
	if err := b.SetListeningAddresses([]ldk.SocketAddress{s.Listen}); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", s.Listen, err)
	}
	node, err := b.Build()
	if err != nil {
		return nil, fmt.Errorf("build: %w", err)
	}
	return node, nil
}

// routineEvents ends with the process.
func routineEvents(node *ldk.Node, out *printer) {
	for {
		e := node.WaitNextEvent()
		name := strings.TrimPrefix(fmt.Sprintf("%T", e), "ldk_node.Event")
		out.print(line{Event: name, Detail: e})
		if err := node.EventHandled(); err != nil {
			out.print(line{Error: err.Error()})
			return
		}
	}
}

func do(n *ldk.Node, r request) (any, error) {
	description := ldk.Bolt11InvoiceDescriptionDirect{Description: "itest"}
	if r.Expiry == 0 {
		r.Expiry = 3600
	}
	switch r.Do {
	case "jit":
		return text(n.Bolt11Payment().ReceiveViaJitChannel(r.Amount, description, r.Expiry, r.Max))
	case "jit-variable":
		return text(n.Bolt11Payment().ReceiveVariableAmountViaJitChannel(
			description, r.Expiry, r.Max))
	case "invoice":
		return text(n.Bolt11Payment().Receive(r.Amount, description, r.Expiry))
	case "pay":
		invoice, err := ldk.Bolt11InvoiceFromStr(r.Invoice)
		if err != nil {
			return nil, err
		}
		return n.Bolt11Payment().Send(invoice, nil)
	case "channels":
		return n.ListChannels(), nil
	case "balances":
		return n.ListBalances(), nil
	case "payments":
		return n.ListPayments(), nil
	case "status":
		return n.Status(), nil
	case "address":
		return n.OnchainPayment().NewAddress()
	case "sync":
		return nil, n.SyncWallets()
	case "connect":
		return nil, n.Connect(r.Peer, r.Addr, true)
	case "peers":
		return n.ListPeers(), nil
	case "close":
		return nil, n.CloseChannel(r.Channel, r.Peer)
	case "stop":
		return nil, nil
	}
	return nil, fmt.Errorf("unknown request %q", r.Do)
}

// text turns an invoice into its BOLT 11 form.
func text(i *ldk.Bolt11Invoice, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return i.String(), nil
}
