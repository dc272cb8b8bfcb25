package node

import (
	"context"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/wallet"
)

// admin is the node as the admin API shows it: words in, words out. Everything it
// does can be done with Node's own methods.
type admin struct{ n *Node }

// serveAdmin opens the admin API if it is wanted.
func (n *Node) serveAdmin(run func(string, func(context.Context) error) func() error) error {
	if n.opts.Admin == "" {
		return nil
	}
	server, err := api.NewServer(api.Options{
		Listen: n.opts.Admin, Dir: n.opts.Dir, Backend: backend(admin{n}),
		Metrics: n.metrics.Handler(), Log: n.log.With("part", "api"),
	})
	if err != nil {
		return err
	}
	if err := server.Listen(); err != nil {
		return err
	}
	n.apiServer = server
	run("admin API", server.Run)
	return nil
}

func backend(a admin) api.Backend {
	return api.Backend{
		Informer: a, Wallet: a, Spender: a, Peers: a, Channels: a, Invoices: a,
		Payments: a, LSP: a, JIT: a, Stopper: a, Backups: a,
	}
}

// AdminAddr is where the admin API listens, or "" when there is none.
func (n *Node) AdminAddr() string {
	if n.apiServer == nil {
		return ""
	}
	return n.apiServer.Addr()
}

// Info implements api.Informer.
func (a admin) Info(context.Context) (*api.Info, error) {
	n := a.n
	status := n.source.Status()
	info := &api.Info{
		NodeID: nodeID(n.wallet), Alias: n.opts.Alias, Network: networkName(n.opts.Params),
		Version: n.opts.Version, BlockHeight: status.Height,
		SyncedToChain: status.Synced && status.BackendReachable && n.wallet.Synced(),
		URIs:          n.URIs(), Peers: len(n.peers.Peers()),
		LSP: api.LSPInfo{Enabled: n.opts.LSP != nil, Protocols: []int{}},
	}
	if n.opts.LSP != nil {
		info.LSP.Protocols = []int{2}
	}
	chans, err := n.channels.ChannelStateDB().FetchAllChannels()
	if err != nil {
		return nil, fmt.Errorf("node: load channels: %w", err)
	}
	for _, ch := range chans {
		switch {
		case ch.IsPending:
			info.Channels.Pending++
		case n.active(ch.FundingOutpoint):
			info.Channels.Active++
		default:
			info.Channels.Inactive++
		}
	}
	return info, nil
}

// Stop implements api.Stopper.
func (a admin) Stop(context.Context) error {
	a.n.Stop()
	return nil
}

// NewAddress implements api.Wallet.
func (a admin) NewAddress(context.Context) (*api.Address, error) {
	addr, err := a.n.wallet.NewAddress()
	if err != nil {
		return nil, err
	}
	return &api.Address{Address: addr.EncodeAddress()}, nil
}

// Balance implements api.Wallet.
func (a admin) Balance(context.Context) (*api.Balance, error) {
	b, err := a.n.wallet.Balance()
	if err != nil {
		return nil, err
	}
	return &api.Balance{
		ConfirmedSat: api.Sat(b.Confirmed), UnconfirmedSat: api.Sat(b.Unconfirmed),
		LeasedSat: api.Sat(b.Leased), ReservedSat: api.Sat(b.Reserved),
		SpendableSat: api.Sat(b.Spendable),
	}, nil
}

// Utxos implements api.Wallet.
func (a admin) Utxos(context.Context) (*api.Utxos, error) {
	coins, err := a.n.wallet.Utxos()
	if err != nil {
		return nil, err
	}
	var ready btcutil.Amount
	if stock := a.n.opts.Onchain.Stock; stock.Ready > 0 {
		ready = stock.Size
	}
	list := &api.Utxos{Utxos: []api.Utxo{}}
	for _, c := range coins {
		list.Utxos = append(list.Utxos, api.Utxo{
			Outpoint: c.Outpoint.String(), AmountSat: api.Sat(c.Value),
			Address: c.Address.EncodeAddress(), Confirmations: int(c.Confirmations),
			Leased: c.Leased, Ready: !c.Leased && c.Trusted && c.Confirmations > 0 && c.Value >= ready,
		})
	}
	return list, nil
}

// Send implements api.Spender.
func (a admin) Send(ctx context.Context, r api.SendRequest) (*api.Transaction, error) {
	txid, err := a.n.wallet.Send(ctx, wallet.SendRequest{
		Address: r.Address, Amount: btcutil.Amount(r.AmountSat), All: r.All,
		FeeRate: chainfee.SatPerVByte(r.FeeRateSatPerVb),
	})
	if err != nil {
		return nil, explain(err)
	}
	return &api.Transaction{Txid: txid.String()}, nil
}

// Bump implements api.Spender.
func (a admin) Bump(ctx context.Context, r api.BumpRequest) (*api.Transaction, error) {
	txid, err := chainhash.NewHashFromStr(r.Txid)
	if err != nil {
		return nil, invalid("txid is not a transaction id", "it is 64 hexadecimal digits")
	}
	bumped, err := a.n.wallet.Bump(ctx, *txid, chainfee.SatPerVByte(r.FeeRateSatPerVb))
	if err != nil {
		return nil, explain(err)
	}
	return &api.Transaction{Txid: bumped.String()}, nil
}

// Peers implements api.Peers.
func (a admin) Peers(context.Context) (*api.PeerList, error) {
	list := &api.PeerList{Peers: []api.Peer{}}
	for _, c := range a.n.peers.Peers() {
		chans, err := a.n.channels.ChannelStateDB().FetchOpenChannels(c.IdentityKey())
		if err != nil {
			return nil, fmt.Errorf("node: load channels: %w", err)
		}
		list.Peers = append(list.Peers, api.Peer{
			NodeID: peerKey(c.PubKey()), Address: c.Address().String(),
			Inbound: c.Inbound(), Channels: len(chans),
		})
	}
	return list, nil
}

// Connect implements api.Peers.
func (a admin) Connect(ctx context.Context, r api.ConnectRequest) (*api.Peer, error) {
	key, addr, err := parseURI(r.Peer)
	if err != nil {
		return nil, err
	}
	if err := a.n.Connect(ctx, key, addr); err != nil {
		return nil, explain(err)
	}
	return &api.Peer{NodeID: fmt.Sprintf("%x", key.SerializeCompressed()), Address: addr}, nil
}

// Disconnect implements api.Peers.
func (a admin) Disconnect(_ context.Context, r api.DisconnectRequest) error {
	key, err := parseNodeID(r.NodeID)
	if err != nil {
		return err
	}
	id := [33]byte(key.SerializeCompressed())
	if a.n.hasChannels(id) {
		// Without this it would be back at once; it is kept again after a restart.
		a.n.peers.Forget(id)
	}
	return explain(a.n.peers.Disconnect(id))
}

// OpenChannel implements api.Channels.
func (a admin) OpenChannel(ctx context.Context, r api.OpenRequest) (*api.OpenResponse, error) {
	key, addr, err := parsePeer(r.Peer)
	if err != nil {
		return nil, err
	}
	point, err := a.n.OpenChannel(ctx, OpenRequest{
		Peer: key, Addr: addr, Capacity: btcutil.Amount(r.CapacitySat),
		Push: lnwire.MilliSatoshi(r.PushMsat), Private: r.Private, ZeroConf: r.ZeroConf,
		FeeRate: chainfee.SatPerVByte(r.FeeRateSatPerVb),
	})
	if err != nil {
		return nil, explain(err)
	}
	return &api.OpenResponse{ChannelPoint: point.String(), FundingTxid: point.Hash.String()}, nil
}

// CloseChannel implements api.Channels.
func (a admin) CloseChannel(ctx context.Context, r api.CloseRequest) (*api.CloseResponse, error) {
	point, err := wire.NewOutPointFromString(r.ChannelPoint)
	if err != nil {
		return nil, invalid("channel_point is not TXID:INDEX", "copy it from the list of channels")
	}
	if r.Force && r.FeeRateSatPerVb != 0 {
		return nil, invalid("a forced close has the fee that its commitment was signed with",
			"leave the fee rate out; it is bumped by itself when it does not confirm in time")
	}
	var how []CloseOption
	if r.BreakMinLifetime {
		how = append(how, BreakMinLifetime)
	}
	var txid chainhash.Hash
	if r.Force {
		txid, err = a.n.ForceClose(*point, how...)
	} else {
		txid, err = a.n.CloseChannel(ctx, *point, chainfee.SatPerVByte(r.FeeRateSatPerVb), how...)
	}
	if err != nil {
		return nil, explain(err)
	}
	return &api.CloseResponse{ClosingTxid: txid.String()}, nil
}

// Connect connects to a peer and remembers its address; with a channel the node
// then reconnects by itself.
func (n *Node) Connect(ctx context.Context, key *btcec.PublicKey, addr string) error {
	if err := n.running(); err != nil {
		return err
	}
	conn, err := n.peers.Connect(ctx, key, addr)
	if err != nil {
		return err
	}
	if n.hasChannels(conn.PubKey()) {
		return n.rememberPeer(conn.PubKey(), addr)
	}
	return nil
}

// URIs are how peers find this node: PUBKEY@HOST:PORT.
func (n *Node) URIs() []string {
	uris := []string{}
	hosts := n.opts.External
	if len(hosts) == 0 {
		for _, a := range n.peers.Addrs() {
			hosts = append(hosts, a.String())
		}
	}
	for _, host := range hosts {
		uris = append(uris, nodeID(n.wallet)+"@"+host)
	}
	return uris
}

// NodeID is this node's public key in hexadecimal.
func (n *Node) NodeID() string { return nodeID(n.wallet) }
