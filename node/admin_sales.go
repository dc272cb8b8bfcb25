package node

import (
	"context"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp"
	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/orders"
	"github.com/inletlsp/inlet/node/pay"
)

// Channels implements api.Channels.
func (a admin) Channels(context.Context) (*api.ChannelList, error) {
	chans, err := a.n.channels.ChannelStateDB().FetchAllChannels()
	if err != nil {
		return nil, err
	}
	list := &api.ChannelList{Channels: []api.Channel{}}
	for _, ch := range chans {
		list.Channels = append(list.Channels, a.channel(ch))
	}
	return list, nil
}

func (a admin) channel(ch *channeldb.OpenChannel) api.Channel {
	point := ch.FundingOutpoint.String()
	c := api.Channel{
		ChannelPoint: point, Scid: scidString(confirmedScid(ch)), Aliases: []string{},
		Peer:        hex.EncodeToString(ch.IdentityPub.SerializeCompressed()),
		CapacitySat: api.Sat(ch.Capacity), LocalMsat: api.Msat(ch.LocalCommitment.LocalBalance),
		RemoteMsat: api.Msat(ch.LocalCommitment.RemoteBalance),
		Private:    ch.ChannelFlags&lnwire.FFAnnounceChannel == 0,
		ZeroConf:   ch.IsZeroConf(), Confirmed: fundingSeen(ch), Active: a.n.active(ch.FundingOutpoint),
		ChannelType: channelType(ch.ChanType), OrderID: a.n.orders.OrderOf(point),
		State: channelState(ch),
	}
	for _, alias := range a.n.aliases.GetAliases(ch.ShortChannelID) {
		c.Aliases = append(c.Aliases, scidString(alias))
	}
	return c
}

// confirmedScid is the channel's place in the chain, or zero before it has one.
func confirmedScid(ch *channeldb.OpenChannel) lnwire.ShortChannelID {
	switch {
	case !fundingSeen(ch):
		return lnwire.ShortChannelID{}
	case ch.IsZeroConf():
		return ch.ZeroConfRealScid()
	}
	return ch.ShortChannelID
}

func scidString(s lnwire.ShortChannelID) string {
	if s == (lnwire.ShortChannelID{}) {
		return ""
	}
	return formatScid(s)
}

func channelType(t channeldb.ChannelType) string {
	switch {
	case t.HasAnchors():
		return "anchors"
	case t.IsTweakless():
		return "static_remote_key"
	}
	return "legacy"
}

func channelState(ch *channeldb.OpenChannel) api.ChannelState {
	switch {
	case ch.HasChanStatus(channeldb.ChanStatusRestored):
		return api.ChannelRestored
	case ch.HasChanStatus(channeldb.ChanStatusCommitBroadcasted):
		return api.ChannelForceClosing
	case ch.HasChanStatus(channeldb.ChanStatusCoopBroadcasted):
		return api.ChannelClosing
	case ch.IsPending:
		return api.ChannelOpening
	case closes(ch): // shutdown was said, and HTLCs are waited for
		return api.ChannelClosing
	}
	return api.ChannelOpen
}

// Menu implements api.LSP.
func (a admin) Menu(context.Context) (*api.Menu, error) {
	if a.n.lsps.service == nil {
		return nil, errNoService
	}
	menu := &api.Menu{
		OpeningFeeParamsMenu: []api.OpeningFeeParams{},
		ClosedReason:         a.n.lsps.service.Closed(a.n.clock.Now()),
	}
	for _, p := range a.n.lsps.service.Menu(a.n.clock.Now()) {
		menu.OpeningFeeParamsMenu = append(menu.OpeningFeeParamsMenu, feeParams(p))
	}
	return menu, nil
}

func feeParams(p lsp.OpeningFeeParams) api.OpeningFeeParams {
	return api.OpeningFeeParams{
		MinFeeMsat: api.Msat(p.MinFee), Proportional: p.Proportional,
		ValidUntil:  formatDatetime(p.ValidUntil),
		MinLifetime: p.MinLifetime, MaxClientToSelfDelay: p.MaxClientToSelfDelay,
		MinPaymentSizeMsat: api.Msat(p.MinPaymentSize),
		MaxPaymentSizeMsat: api.Msat(p.MaxPaymentSize), Promise: p.Promise,
	}
}

func formatDatetime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// Orders implements api.LSP.
func (a admin) Orders(_ context.Context, r api.OrdersRequest) (*api.OrderList, error) {
	list := &api.OrderList{Orders: []api.Order{}}
	for _, rec := range a.n.orders.List() {
		if (r.State != "" && string(r.State) != rec.Order.State.Name()) ||
			(r.Client != "" && r.Client != peerKey(rec.Order.Terms.Client)) {
			continue
		}
		list.Orders = append(list.Orders, orderView(rec, a.n.clock.Now()))
	}
	list.Orders = page(list.Orders, r.Limit, r.Offset)
	return list, nil
}

// Order implements api.LSP.
func (a admin) Order(_ context.Context, r api.OrderRequest) (*api.Order, error) {
	rec, err := a.n.orders.Get(r.ID)
	if err != nil {
		return nil, &api.Error{Code: api.NotFound, Message: "there is no order " + r.ID,
			Hint: "`inlet lsp orders` lists them"}
	}
	view := orderView(rec, a.n.clock.Now())
	return &view, nil
}

func orderView(rec orders.Record, now time.Time) api.Order {
	t := rec.Order.Terms
	o := api.Order{
		ID: rec.Order.ID, Client: peerKey(t.Client), State: api.OrderState(rec.Order.State.Name()),
		Sale: api.Sale{
			JitChannelScid: formatScid(t.SCID),
			OpeningFeeParams: feeParams(lsp.OpeningFeeParams{
				MinFee: t.MinFee, Proportional: t.PPM, ValidUntil: t.ValidUntil,
				MinLifetime: t.MinLifetime, MaxClientToSelfDelay: t.MaxClientToSelfDelay,
				MinPaymentSize: t.MinPayment, MaxPaymentSize: t.MaxPayment, Promise: rec.Promise,
			}),
		},
		ClientTrustsLSP: t.ClientTrustsLSP, Token: rec.Token, CreatedAt: api.At(rec.CreatedAt),
		Parts: []api.Part{}, Timeline: moments(rec.Timeline),
	}
	if t.PaymentSize != 0 {
		o.PaymentSizeMsat = api.SomeMsat(api.Msat(t.PaymentSize))
	}
	if rec.OpeningFee != 0 || t.PaymentSize != 0 {
		o.OpeningFeeMsat = api.SomeMsat(api.Msat(rec.OpeningFee))
	}
	if rec.Hash != nil {
		o.PaymentHash = rec.Hash.String()
	}
	if rec.Point != nil {
		o.ChannelPoint, o.FundingTxid = rec.Point.String(), rec.Point.Hash.String()
	}
	if at, ok := rec.Order.Deadline(); ok {
		o.Deadline = api.At(at)
	}
	if f := rec.Failure; f != nil {
		o.Failure = &api.OrderFailure{Code: orders.FailureName(f.Code), Reason: f.Reason}
	}
	for _, p := range rec.Parts {
		o.Parts = append(o.Parts, partView(p, now))
	}
	return o
}

func partView(p orders.Part, now time.Time) api.Part {
	v := api.Part{
		IncomingScid: formatScid(p.Key.Chan), HtlcID: p.Key.Index,
		AmountMsat: api.Msat(p.Amount), ExtraFeeMsat: api.Msat(p.ExtraFee),
		ExpiryHeight: p.Expiry, State: p.State, HeldMs: p.Held.Milliseconds(), Ended: p.Ended,
		Reason: p.Reason, FailedBy: p.By,
	}
	if p.Code != 0 {
		v.Code = orders.FailureName(p.Code)
	}
	if p.State == orders.PartHeld && !p.Since.IsZero() {
		v.HeldMs = now.Sub(p.Since).Milliseconds()
	}
	return v
}

// moments counts milliseconds from the first part of the payment that a moment
// belongs to.
func moments(timeline []orders.Moment) []api.Moment {
	list := []api.Moment{}
	var first time.Time
	for _, m := range timeline {
		if m.Stage == orders.StageFirstPart {
			first = m.At
		}
		var ms int64
		if !first.IsZero() {
			ms = m.At.Sub(first).Milliseconds()
		}
		list = append(list, api.Moment{Stage: api.Stage(m.Stage), At: api.At(m.At), Ms: ms})
	}
	return list
}

// CreateInvoice implements api.Invoices.
func (a admin) CreateInvoice(ctx context.Context, r api.InvoiceRequest) (*api.Invoice, error) {
	req := pay.InvoiceRequest{
		Description: r.Description, Expiry: time.Duration(r.ExpirySeconds) * time.Second,
	}
	if r.AmountMsat != nil {
		req.Amount = lnwire.MilliSatoshi(*r.AmountMsat)
	}
	inv, err := a.n.invoices.Create(ctx, req)
	if err != nil {
		return nil, explain(err)
	}
	view := invoiceView(inv)
	return &view, nil
}

func invoiceView(inv pay.Invoice) api.Invoice {
	v := api.Invoice{
		Bolt11: inv.Bolt11, PaymentHash: inv.Hash.String(), ExpiresAt: api.At(inv.Expires),
	}
	if inv.Amount != 0 {
		v.AmountMsat = api.SomeMsat(api.Msat(inv.Amount))
	}
	return v
}

// Invoices implements api.Invoices.
func (a admin) Invoices(ctx context.Context, r api.ListRequest) (*api.InvoiceList, error) {
	all, err := a.n.invoices.List(ctx, 0, listSize(r))
	if err != nil {
		return nil, err
	}
	list := &api.InvoiceList{Invoices: []api.InvoiceEntry{}}
	for _, inv := range page(all, r.Limit, r.Offset) {
		list.Invoices = append(list.Invoices, api.InvoiceEntry{
			Invoice: invoiceView(inv), State: api.InvoiceState(inv.State),
			Description: inv.Description, ReceivedMsat: api.Msat(inv.Received()),
			CreatedAt: api.At(inv.Created), SettledAt: api.At(inv.Settled),
		})
	}
	return list, nil
}

// JITInvoice implements api.JIT.
func (a admin) JITInvoice(ctx context.Context, r api.JITRequest) (*api.JITInvoice, error) {
	key, addr, err := parseURI(r.LSP)
	if err != nil {
		return nil, err
	}
	if r.AmountMsat == nil && r.MaxFeeMsat != nil {
		return nil, invalid("without an amount the fee depends on what is paid",
			"leave max_fee_msat out, or give amount_msat")
	}
	req := JITInvoiceRequest{
		LSP: key, Addr: addr, Description: r.Description, Token: r.Token,
		ClientTrustsLSP: r.ClientTrustsLSP,
	}
	if r.AmountMsat != nil {
		req.Amount = lnwire.MilliSatoshi(*r.AmountMsat)
	}
	if r.MaxFeeMsat != nil {
		limit := lnwire.MilliSatoshi(*r.MaxFeeMsat)
		req.MaxFee = &limit
	}
	inv, err := a.n.JITInvoice(ctx, req)
	if err != nil {
		return nil, explain(err)
	}
	v := &api.JITInvoice{Invoice: invoiceView(inv.Invoice), JitChannelScid: formatScid(inv.SCID)}
	if req.Amount != 0 {
		v.OpeningFeeMsat = api.SomeMsat(api.Msat(inv.OpeningFee))
	}
	return v, nil
}

// Pay implements api.Payments.
func (a admin) Pay(ctx context.Context, r api.PayRequest) (*api.Payment, error) {
	req := pay.PayRequest{Invoice: r.Bolt11, Timeout: api.DefaultPaySeconds * time.Second}
	if r.TimeoutSeconds != 0 {
		req.Timeout = time.Duration(r.TimeoutSeconds) * time.Second
	}
	if r.AmountMsat != nil {
		req.Amount = lnwire.MilliSatoshi(*r.AmountMsat)
	}
	if r.MaxFeeMsat != nil {
		limit := lnwire.MilliSatoshi(*r.MaxFeeMsat)
		req.MaxFee = &limit
	}
	p, err := a.n.Pay(ctx, req)
	if err != nil {
		return nil, explain(err)
	}
	view := paymentView(p)
	return &view, nil
}

func paymentView(p pay.Payment) api.Payment {
	v := api.Payment{
		PaymentHash: p.Hash.String(), AmountMsat: api.Msat(p.Amount), FeeMsat: api.Msat(p.Fee),
		Parts: p.Live(), Status: api.PaymentPending,
	}
	switch p.Status {
	case pay.Succeeded:
		v.Status = api.PaymentSettled
	case pay.Failed:
		v.Status = api.PaymentFailed
	}
	if p.Preimage != nil {
		v.Preimage = p.Preimage.String()
	}
	if p.Failure != nil {
		v.Failure = p.Failure.Text
		if p.Failure.Code != "" && !strings.Contains(v.Failure, p.Failure.Code) {
			v.Failure = p.Failure.Code + ": " + v.Failure
		}
	}
	return v
}

// Payments implements api.Payments.
func (a admin) Payments(_ context.Context, r api.ListRequest) (*api.PaymentList, error) {
	all, err := a.n.payments.List(0, listSize(r))
	if err != nil {
		return nil, err
	}
	list := &api.PaymentList{Payments: []api.PaymentEntry{}}
	for _, p := range page(all, r.Limit, r.Offset) {
		list.Payments = append(list.Payments, api.PaymentEntry{
			Payment: paymentView(p), Payee: p.Destination.String(), CreatedAt: api.At(p.Created),
		})
	}
	return list, nil
}

func listSize(r api.ListRequest) int { return r.Offset + cmpOr(r.Limit, api.MaxList) }

func cmpOr(a, b int) int {
	if a != 0 {
		return a
	}
	return b
}

// page cuts a list to what was asked for.
func page[T any](list []T, limit, offset int) []T {
	list = list[min(offset, len(list)):]
	return slices.Clip(list[:min(cmpOr(limit, api.MaxList), len(list))])
}
