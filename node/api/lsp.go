package api

import "context"

// LSP shows what the service sells and has sold.
type LSP interface {
	Gate

	Menu(ctx context.Context) (*Menu, error)

	// Quote explains what a channel for a payment costs, or says why there is no price.
	Quote(ctx context.Context, r QuoteRequest) (*Quote, error)

	Orders(ctx context.Context, r OrdersRequest) (*OrderList, error)

	// Lifetimes says of each channel that was sold whether and when it is closed, and why.
	Lifetimes(ctx context.Context, r LifetimesRequest) (*Lifetimes, error)

	// Order returns one order, or a NotFound error.
	Order(ctx context.Context, r OrderRequest) (*Order, error)
}

// Menu is the answer of /v1/lsp/menu: what lsps2.get_info offers without a token.
type Menu struct {
	OpeningFeeParamsMenu []OpeningFeeParams `json:"opening_fee_params_menu"`

	// ClosedReason says why clients get an empty menu all the same, empty when they don't.
	ClosedReason string `json:"closed_reason"`
}

// LifetimesRequest is the request of /v1/lsp/lifetimes. What is given takes the place of the
// configuration in the answer, and nowhere else: so a policy can be looked at before it is set.
type LifetimesRequest struct {
	// CloseUnpaidAfterSeconds and CloseIdleAfterBlocks are as in the configuration; nil: what it says.
	CloseUnpaidAfterSeconds *uint32 `json:"close_unpaid_after_seconds,omitempty"`
	CloseIdleAfterBlocks    *uint32 `json:"close_idle_after_blocks,omitempty"`
}

// Lifetimes is the answer of /v1/lsp/lifetimes.
type Lifetimes struct {
	// CloseUnpaidAfterSeconds and CloseIdleAfterBlocks are what the answer is for; 0: never.
	CloseUnpaidAfterSeconds uint32 `json:"close_unpaid_after_seconds"`
	CloseIdleAfterBlocks    uint32 `json:"close_idle_after_blocks"`

	Channels []Lifetime `json:"channels"`
}

// Lifetime is what becomes of one channel.
type Lifetime struct {
	ChannelPoint string `json:"channel_point"`
	OrderID      string `json:"order_id"`
	Client       string `json:"client"`
	Paid         bool   `json:"paid"`

	// DepthBlocks is of its funding, MinLifetimeBlocks what was promised, IdleBlocks since the last
	// payment that moved money over it.
	DepthBlocks       uint32 `json:"depth_blocks"`
	MinLifetimeBlocks uint32 `json:"min_lifetime_blocks"`
	IdleBlocks        uint32 `json:"idle_blocks"`

	// Ending is "none", "agreed" (it is closed together with its client) or "forced"; Reason says why.
	Ending string `json:"ending"`
	Reason string `json:"reason"`
}

// QuoteRequest is the request of /v1/lsp/quote.
type QuoteRequest struct {
	AmountMsat Msat `json:"amount_msat"`

	// FeerateSatPerVb is of the funding transaction; 0 is the present one.
	FeerateSatPerVb uint64 `json:"feerate_sat_per_vb,omitempty"`

	// Parts is in how many the payment comes; 0 is 1.
	Parts int `json:"parts,omitempty"`

	// Token is the name of a token, whose menu is used; empty: everybody's.
	Token string `json:"token,omitempty"`
}

// Quote is the price of a channel for one payment, part by part, and what it means for the LSP.
type Quote struct {
	AmountMsat       Msat             `json:"amount_msat"`
	Parts            int              `json:"parts"`
	OpeningFeeParams OpeningFeeParams `json:"opening_fee_params"`
	Fee              QuoteFee         `json:"fee"`

	ClientReceivesMsat Msat         `json:"client_receives_msat"`
	Channel            QuoteChannel `json:"channel"`

	// FundingFeeSat is what the funding transaction costs, AtRiskSat that and the channel: what
	// leaves the wallet before the client has claimed.
	FundingFeeSat Sat `json:"funding_fee_sat"`
	AtRiskSat     Sat `json:"at_risk_sat"`

	// The opening fee less the funding fee; one of the two is zero.
	ProfitMsat Msat `json:"profit_msat"`
	LossMsat   Msat `json:"loss_msat"`

	// Refusal is null if lsps2.buy would sell this now.
	Refusal *QuoteRefusal `json:"refusal"`
}

// QuoteFee is how an opening fee comes about: the larger of the minimum and the proportional part.
type QuoteFee struct {
	// The minimum is the configured one, or with min_fee_follows_chain the larger of it and what
	// the chain costs: weight * fee rate * margin, in satoshis rounded up.
	ConfiguredMinFeeMsat Msat   `json:"configured_min_fee_msat"`
	FollowsChain         bool   `json:"follows_chain"`
	ChainWeight          uint64 `json:"chain_weight"`
	FeerateSatPerKw      uint64 `json:"feerate_sat_per_kw"`
	MarginPpm            uint32 `json:"margin_ppm"`
	ChainMinFeeMsat      Msat   `json:"chain_min_fee_msat"`
	MinFeeMsat           Msat   `json:"min_fee_msat"`

	ProportionalMsat Msat `json:"proportional_msat"`
	OpeningFeeMsat   Msat `json:"opening_fee_msat"`
}

// QuoteChannel is the channel that would be opened: the capacity is the sum of the others.
type QuoteChannel struct {
	ForwardSat       Sat `json:"forward_sat"`
	ReserveSat       Sat `json:"reserve_sat"`
	AnchorsSat       Sat `json:"anchors_sat"`
	CommitmentFeeSat Sat `json:"commitment_fee_sat"`
	SpareSat         Sat `json:"spare_sat"`
	CapacitySat      Sat `json:"capacity_sat"`
}

// QuoteRefusal is the error that lsps2.buy would answer.
type QuoteRefusal struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// OpeningFeeParams is the object of that name in bLIP-52, member for member.
type OpeningFeeParams struct {
	MinFeeMsat   Msat   `json:"min_fee_msat"`
	Proportional uint32 `json:"proportional"`

	// ValidUntil is the text of the offer, unchanged.
	ValidUntil           string `json:"valid_until"`
	MinLifetime          uint32 `json:"min_lifetime"`
	MaxClientToSelfDelay uint32 `json:"max_client_to_self_delay"`
	MinPaymentSizeMsat   Msat   `json:"min_payment_size_msat"`
	MaxPaymentSizeMsat   Msat   `json:"max_payment_size_msat"`

	// Promise is empty in the operator's menu, since a promise is made to one client.
	Promise string `json:"promise"`
}

// OrderState is the state of an order, named for what it awaits.
type OrderState string

// The states of an order.
const (
	AwaitingParts   OrderState = "awaiting_parts"
	AwaitingClient  OrderState = "awaiting_client"
	AwaitingChannel OrderState = "awaiting_channel"
	AwaitingClaim   OrderState = "awaiting_claim"
	Owed            OrderState = "owed" // channel open, fee not yet paid
	Paid            OrderState = "paid"
	Dead            OrderState = "dead"
)

// Stage names a point in an order's life.
type Stage string

// The stages, in the order in which a sale goes through them.
const (
	StageBought          Stage = "bought"
	StageFirstPart       Stage = "first_part"
	StageSetComplete     Stage = "set_complete"
	StageClientConnected Stage = "client_connected"
	StageOpenSent        Stage = "open_sent"
	StageAccepted        Stage = "accepted"
	StageFundingCreated  Stage = "funding_created"
	StageFundingSigned   Stage = "funding_signed"
	StageBroadcast       Stage = "broadcast"
	StageChannelReady    Stage = "channel_ready"
	StageForwarded       Stage = "forwarded"
	StageClaimed         Stage = "claimed"
	StageSettled         Stage = "settled"
	StageConfirmed       Stage = "confirmed"
	StageFailed          Stage = "failed"
)

// OrdersRequest is the request of /v1/lsp/orders. The zero value asks for the newest 100.
type OrdersRequest struct {
	// State keeps only the orders in that state; empty keeps all.
	State OrderState `json:"state,omitempty"`

	// Client keeps only the orders of that node; empty keeps all.
	Client string `json:"client,omitempty"`

	// Limit and Offset are as in ListRequest.
	Limit  int `json:"limit,omitempty"`
	Offset int `json:"offset,omitempty"`
}

// OrderRequest is the request of /v1/lsp/order.
type OrderRequest struct {
	// ID is the order's id, or its jit_channel_scid.
	ID string `json:"id"`
}

// OrderList is the answer of /v1/lsp/orders.
type OrderList struct {
	Orders []Order `json:"orders"`
}

// Order is one sale of a channel.
type Order struct {
	ID string `json:"id"`

	// Client is the buyer's public key.
	Client string     `json:"client"`
	State  OrderState `json:"state"`
	Sale

	// ChannelPoint and FundingTxid are empty before the channel is funded.
	ChannelPoint string `json:"channel_point"`
	FundingTxid  string `json:"funding_txid"`

	// ClientTrustsLSP is true when the funding is held back until the client claimed.
	ClientTrustsLSP bool `json:"client_trusts_lsp"`

	// Token is the name of the token that the order was bought by; empty: none.
	Token     string `json:"token"`
	CreatedAt Time   `json:"created_at"`

	// Deadline is when the held parts are answered at the latest; null when nothing is held.
	Deadline Time `json:"deadline"`

	// Parts are the HTLCs of the payment that the order has seen.
	Parts []Part `json:"parts"`

	// Failure is null unless a set of parts was refused.
	Failure *OrderFailure `json:"failure"`

	// Timeline lists the stages as they were reached.
	Timeline []Moment `json:"timeline"`
}

// Sale is what was agreed on: the part of an Order that comes from lsps2.buy and the invoice.
type Sale struct {
	JitChannelScid string `json:"jit_channel_scid"`

	// PaymentSizeMsat is null for a variable amount until the payment arrives.
	PaymentSizeMsat *Msat `json:"payment_size_msat"`

	// OpeningFeeMsat is null as long as PaymentSizeMsat is.
	OpeningFeeMsat   *Msat            `json:"opening_fee_msat"`
	OpeningFeeParams OpeningFeeParams `json:"opening_fee_params"`

	// PaymentHash is empty until the first part arrives.
	PaymentHash string `json:"payment_hash"`
}

// Part is one HTLC of the payment.
type Part struct {
	// IncomingScid and HtlcID name the HTLC in the channel that it came by.
	IncomingScid string `json:"incoming_scid"`
	HtlcID       uint64 `json:"htlc_id"`

	// AmountMsat is what arrived, ExtraFeeMsat what was taken from it for the channel.
	AmountMsat   Msat `json:"amount_msat"`
	ExtraFeeMsat Msat `json:"extra_fee_msat"`

	// ExpiryHeight is the block at which the incoming HTLC times out.
	ExpiryHeight uint32 `json:"expiry_height"`

	// State is held, forwarded, claimed, failed or gone (it left with its channel).
	State string `json:"state"`

	// HeldMs is for how long the HTLC has been held, or was before it was forwarded or
	// failed; Ended is how that ended: forwarded, failed or gone, empty while it is held.
	HeldMs int64  `json:"held_ms"`
	Ended  string `json:"ended,omitempty"`

	// Code is the BOLT 4 failure that this node gave the payer, Reason why the HTLC failed,
	// and FailedBy who has failed it: lsp or client.
	Code     string `json:"code,omitempty"`
	Reason   string `json:"reason,omitempty"`
	FailedBy string `json:"failed_by,omitempty"`
}

// OrderFailure says why the payment was refused.
type OrderFailure struct {
	// Code is the BOLT 4 name of the failure that the payer got.
	Code   string `json:"code"`
	Reason string `json:"reason"`
}

// Moment is one step of a timeline.
type Moment struct {
	Stage Stage `json:"stage"`
	At    Time  `json:"at"`

	// Ms is the time since the first part arrived, in milliseconds; 0 before that.
	Ms int64 `json:"ms"`
}

func (r OrdersRequest) validate() *Error {
	switch r.State {
	case "", AwaitingParts, AwaitingClient, AwaitingChannel, AwaitingClaim, Owed, Paid, Dead:
	default:
		return invalid("no order is ever in state "+string(r.State),
			"states: awaiting_parts, awaiting_client, awaiting_channel, awaiting_claim, owed, "+
				"paid, dead")
	}
	return ListRequest{Limit: r.Limit, Offset: r.Offset}.validate()
}

func (r QuoteRequest) validate() *Error {
	switch {
	case r.AmountMsat == 0:
		return missing("amount_msat", "the size of the payment, in millisatoshis")
	case r.Parts < 0 || r.Parts > maxParts:
		return invalid("parts is not from 1 to 483", "483 is what one channel can carry")
	case r.FeerateSatPerVb > maxQuoteRate:
		return invalid("feerate_sat_per_vb is over 10000", "no transaction pays as much")
	}
	return nil
}

const (
	maxParts     = 483 // BOLT 2: max_accepted_htlcs
	maxQuoteRate = 10_000
)

func (r OrderRequest) validate() *Error {
	if r.ID == "" {
		return missing("id", "the order's id as in the list of orders")
	}
	return nil
}
