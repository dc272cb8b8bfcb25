package node

import (
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/graph/db/models"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chanfactory"
	"github.com/inletlsp/inlet/lsp"
	"github.com/inletlsp/inlet/lsp/jit"
	"github.com/inletlsp/inlet/node/orders"
	"github.com/inletlsp/inlet/peer"
)

// maxLSPSCalls is how many LSPS requests are worked on at once. One more holds up
// the reading from the peer that sent it.
const maxLSPSCalls = 64

// firstPromiseKey is the one key that there was before keys rotated.
const firstPromiseKey = "s1"

// lspDesk speaks LSPS0 with peers: it answers as a service and asks as a client.
type lspDesk struct {
	n       *Node
	service *lsp.Service // nil: the service is off
	client  *lsp.Client
	calls   chan struct{}
	wg      sync.WaitGroup
}

// composeSales builds both sides of LSPS2: the orders and the service that sells,
// and the buyer.
func (n *Node) composeSales() error {
	limits := orders.Limits{ClientParts: defaultClientParts, Parts: defaultParts}
	if n.opts.LSP != nil {
		limits = orders.Limits{ClientParts: n.opts.LSP.ClientParts, Parts: n.opts.LSP.Parts}
	}
	var err error
	n.orders, err = orders.New(orders.Config{
		DB: n.store, Limits: limits, Clock: n.clock, Log: n.log.With("part", "orders"),
	})
	if err != nil {
		return err
	}
	n.coins = &coinCount{wallet: n.wallet}
	d := &lspDesk{n: n, calls: make(chan struct{}, maxLSPSCalls)}
	d.client = lsp.NewClient(d, rand.Reader)
	n.lsps = d
	n.admission = newAdmissions(n)
	n.buyer, err = newBuyer(n)
	return err
}

// openShop starts the service; the orders are loaded by then.
func (n *Node) openShop() error {
	if n.opts.LSP == nil {
		return nil
	}
	offer := n.opts.LSP.Offer
	offer.ClientTrustsLSP = false // the policy of the gate decides, which can be changed
	var err error
	n.lsps.service, err = lsp.NewService(lsp.ServiceConfig{
		Offer: offer, Tokens: n.opts.LSP.Tokens, Channels: n.opts.LSP.channels(),
		Limits: n.opts.LSP.Limits, Rand: rand.Reader, Keys: n.promiseKeys(),
		Book: book{n}, Open: n.openPurchases(), Paid: n.orders.PaidBy,
		Liquidity: n.liquidity, FeeRate: n.fundingRate, Needs: channelNeeds,
		Admit: n.admission.judge,
	})
	if err != nil {
		return fmt.Errorf("node: start LSP service: %w", err)
	}
	for _, r := range n.orders.List() {
		if r.Point != nil {
			n.lsps.service.Funded(r.Order.ID)
		}
	}
	return nil
}

// promiseKeys come from the wallet's seed, so that every promise still holds after a
// restart, and after a restore from the words.
func (n *Node) promiseKeys() lsp.Keyring {
	return lsp.Keyring{
		Secret: n.wallet.DeriveSecret("lsps2 promise keys"), Every: n.opts.LSP.KeyRotation,
		Old: []lsp.PromiseKey{{
			ID: firstPromiseKey, Secret: n.wallet.DeriveSecret("lsps2 promise key"),
		}},
	}
}

// openPurchases are the orders that take a place among the open ones.
func (n *Node) openPurchases() []lsp.Purchase {
	var open []lsp.Purchase
	for _, r := range n.orders.List() {
		switch r.Order.State.(type) {
		case jit.Paid, jit.Dead:
			continue
		}
		t := r.Order.Terms
		open = append(open, lsp.Purchase{
			ID: r.Order.ID, Client: t.Client, Token: r.Token, SCID: t.SCID,
			PaymentSize: t.PaymentSize, OpeningFee: r.OpeningFee,
			Params: lsp.OpeningFeeParams{
				ValidUntil: t.ValidUntil, MinFee: t.MinFee, Proportional: t.PPM,
				MinPaymentSize: t.MinPayment, MaxPaymentSize: t.MaxPayment,
			},
			CLTVExpiryDelta: t.CLTVExpiryDelta, ClientTrustsLSP: t.ClientTrustsLSP,
			AliasUntil: t.AliasUntil, Rules: t.Rules, CreatedAt: r.CreatedAt,
		})
	}
	return open
}

// lspMessage takes one LSPS message from a peer's read goroutine.
func (n *Node) lspMessage(c *peer.Conn, raw []byte) {
	d := n.lsps
	if d.client.Deliver(c.PubKey(), raw) || d.service == nil {
		return
	}
	if !d.turn(c, len(raw)) {
		return
	}
	d.wg.Go(func() {
		defer func() { <-d.calls }()
		// bLIP-50: "SHOULD NOT send a message of type 37913 to a peer that never sent
		// one": what is answered was asked on this connection.
		if reply := d.service.Handle(n.clock.Now(), c.PubKey(), raw); reply != nil {
			d.reply(c, reply)
		}
	})
}

// turn waits until a message may be worked on; false when the connection ended first.
// Nothing more is read from the peer meanwhile.
func (d *lspDesk) turn(c *peer.Conn, size int) bool {
	if wait := d.service.Pace(d.n.clock.Now(), c.PubKey(), size); wait > 0 {
		select {
		case <-d.n.clock.TickAfter(wait):
		case <-c.QuitSignal():
			return false
		}
	}
	select {
	case d.calls <- struct{}{}:
		return true
	case <-c.QuitSignal():
		return false
	}
}

func (d *lspDesk) reply(c *peer.Conn, raw []byte) {
	m, err := lnwire.NewCustom(lsp.MessageType, raw)
	if err == nil {
		err = peerHandler{d.n}.wrap(c).SendMessage(false, m)
	}
	if err != nil {
		// bLIP-50: a response that can't be delivered counts as delivered.
		d.n.log.Debug("LSPS answer not delivered", "peer", peerKey(c.PubKey()), "err", err)
	}
}

// Send implements lsp.Transport.
func (d *lspDesk) Send(to [33]byte, raw []byte) error {
	c, ok := d.n.peers.Get(to)
	if !ok {
		return fmt.Errorf("node: peer %x is not connected", to)
	}
	m, err := lnwire.NewCustom(lsp.MessageType, raw)
	if err != nil {
		return fmt.Errorf("node: make LSPS message: %w", err)
	}
	return peerHandler{d.n}.wrap(c).SendMessage(false, m)
}

func (n *Node) lspGone(id [33]byte) {
	n.lsps.client.PeerGone(id)
	if n.lsps.service != nil {
		n.lsps.service.PeerGone(id)
	}
}

// book keeps what the service sells among the orders.
type book struct{ n *Node }

// Add implements lsp.Book.
func (b book) Add(p lsp.Purchase) error {
	if _, err := b.n.aliases.FindBaseSCID(p.SCID); err == nil {
		return lsp.ErrTaken
	}
	err := b.n.orders.Add(orders.Record{
		Order: p.Order(), Promise: p.Params.Promise, Token: p.Token, CreatedAt: p.CreatedAt,
		OpeningFee: p.OpeningFee,
	})
	if errors.Is(err, orders.ErrTaken) {
		return lsp.ErrTaken
	}
	return err
}

// orderPorts are what the orders work on.
func (n *Node) orderPorts() orders.Ports {
	ports := orders.Ports{
		Opener: opener{n}, Switch: n.opts.seams.held(n.engine), Aliases: orderAliases{n},
		Facts: orderFacts{n}, Blocks: n.source.Notifier(), Htlcs: n.engine.HtlcEvents(),
		Finished: n.orderFinished, Reached: n.orderReached, Changed: n.admission.changed,
		Holds: n.metrics,
	}
	if n.opts.LSP != nil {
		ports.Wake = n.opts.LSP.Wake
	}
	return ports
}

// orderReached tells the service when the coins of a channel are spent, and the embedder
// of every stage.
func (n *Node) orderReached(id string, m orders.Moment) {
	if m.Stage == orders.StageFundingSigned && n.lsps.service != nil {
		n.lsps.service.Funded(id)
	}
	if n.opts.LSP != nil && n.opts.LSP.Reached != nil {
		n.opts.LSP.Reached(id, m)
	}
}

// orderFinished frees the order's place and tells the embedder.
func (n *Node) orderFinished(r orders.Record) {
	n.backups.Changed()
	if n.lsps.service != nil {
		n.lsps.service.Ended(r.Order.ID)
	}
	e := Event{Kind: OrderFailed, OrderID: r.Order.ID}
	if r.Hash != nil {
		e.PaymentHash = r.Hash.String()
	}
	if r.Failure != nil {
		e.Reason = r.Failure.Reason
	}
	if s, ok := r.Order.State.(jit.Paid); ok {
		e.Kind, e.Fee, e.Reason = OrderPaid, s.Fee, ""
	}
	n.events.add(e)
}

// opener makes the channels of orders.
type opener struct{ n *Node }

// Open implements orders.Opener.
func (o opener) Open(r orders.Opening) error {
	c, ok := o.n.peers.Get(r.Client)
	if !ok || c.ID() != r.Conn {
		return fmt.Errorf("node: the client's connection has ended")
	}
	if !o.n.source.Status().BackendReachable {
		// Blind for blocks, we would not see how near the HTLCs are to their expiry.
		return errors.New("node: the chain backend is away: no channel is opened")
	}
	room := chanfactory.Room{Forward: r.Receives, Parts: r.Parts}
	rate, err := o.n.feeRate(0, o.n.opts.Onchain.OpenConfTarget)
	if err != nil {
		return err
	}
	commitRate, err := o.n.factory.CommitFeeRate(!r.WithoutAnchors)
	if err != nil {
		return err
	}
	capacity := o.n.capacity(room, commitRate, !r.WithoutAnchors)
	if err := o.n.wallet.CanFund(capacity, rate); err != nil {
		return err
	}
	ctx, cancel := o.n.callContext()
	defer cancel()
	return o.n.admission.open(ctx, o.n.opts.seams.open(chanfactory.OpenRequest{
		Peer: peerHandler{o.n}.wrap(c), Tag: r.OrderID, Capacity: capacity, Private: true,
		ZeroConf: true, Withhold: r.Withhold, WithoutAnchors: r.WithoutAnchors,
		MaxToSelfDelay: r.MaxToSelfDelay, FeeRate: rate, CommitFeeRate: commitRate, Room: room,
		Timeout: r.Timeout,
	}))
}

func (o opener) Cancel(orderID string) { o.n.admission.cancel(orderID) }

func (o opener) Release(point wire.OutPoint) error {
	ctx, cancel := o.n.callContext()
	defer cancel()
	return o.n.factory.Release(ctx, point)
}

// orderAliases registers jit_channel_scids.
type orderAliases struct{ n *Node }

// Register implements orders.Aliases. The alias manager would store a second copy
// of an alias that is there, and reports an error when the link is down although it
// has stored the alias: so look before and after.
func (a orderAliases) Register(alias lnwire.ShortChannelID, point wire.OutPoint) error {
	ch, err := a.n.channels.ChannelStateDB().FetchChannel(point)
	if err != nil {
		return fmt.Errorf("node: load channel %v: %w", point, err)
	}
	base, err := a.n.aliases.FindBaseSCID(alias)
	switch {
	case err == nil && base == ch.ShortChannelID:
		return nil
	case err == nil:
		// It led to a channel of this order that was dropped unfunded. The error is about
		// that channel's link, which is gone.
		_ = a.n.aliases.DeleteLocalAlias(alias, base)
	}
	// gossip=true keeps the alias of a private channel over restarts.
	err = a.n.aliases.AddLocalAlias(alias, ch.ShortChannelID, true, true)
	if _, found := a.n.aliases.FindBaseSCID(alias); found == nil {
		return nil
	}
	return fmt.Errorf("node: register alias %v: %w", alias, err)
}

func (a orderAliases) UpdateFor(scid lnwire.ShortChannelID) (*lnwire.ChannelUpdate1, error) {
	return a.n.engine.UpdateFor(scid)
}

// orderFacts is what a start finds for the orders.
type orderFacts struct{ n *Node }

func (f orderFacts) Fundings() (map[string]jit.Funding, error) {
	list, err := f.n.factory.Fundings()
	if err != nil {
		return nil, err
	}
	found := map[string]jit.Funding{}
	for _, fd := range list {
		if fd.Tag == "" || fd.State == chanfactory.Intended {
			continue
		}
		gone := fd.State == chanfactory.Gone
		if !gone {
			_, err := f.n.channels.ChannelStateDB().FetchChannel(fd.Point)
			gone = err != nil
		}
		// What was dropped was never out: its order may have another channel.
		withheld := fd.State == chanfactory.Withheld || fd.State == chanfactory.Gone
		found[fd.Tag] = jit.Funding{Point: fd.Point, Withheld: withheld, Gone: gone}
	}
	return found, nil
}

func (f orderFacts) Incoming() (map[models.CircuitKey]bool, error) {
	chans, err := f.n.channels.ChannelStateDB().FetchAllOpenChannels()
	if err != nil {
		return nil, fmt.Errorf("node: load channels: %w", err)
	}
	keys := map[models.CircuitKey]bool{}
	for _, ch := range chans {
		for _, side := range [][]channeldb.HTLC{
			ch.LocalCommitment.Htlcs, ch.RemoteCommitment.Htlcs,
		} {
			for _, h := range side {
				if h.Incoming {
					keys[models.CircuitKey{ChanID: ch.ShortChannelID, HtlcID: h.HtlcIndex}] = true
				}
			}
		}
	}
	return keys, nil
}

func (f orderFacts) Preimage(hash lntypes.Hash) (lntypes.Preimage, bool) {
	return f.n.beacon.LookupPreimage(hash)
}
