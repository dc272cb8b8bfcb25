package lsp

import (
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightningnetwork/lnd/lnwire"
)

// Liquidity is what the node can do for a client at this moment.
type Liquidity struct {
	// CanOpen is false when no channel can be funded: the menu is empty then and buy
	// is refused.
	CanOpen bool

	// Inbound is the largest payment that can reach us for the client. Zero is none.
	Inbound lnwire.MilliSatoshi

	// Coins is what openings may spend, in satoshis, without what is leased already.
	Coins btcutil.Amount
}

// Unlimited is the liquidity of a node that does not look at it.
func Unlimited() Liquidity {
	return Liquidity{CanOpen: true, Inbound: ^lnwire.MilliSatoshi(0), Coins: btcutil.MaxSatoshi}
}

// ServiceConfig is what a Service is made of.
type ServiceConfig struct {
	Offer    Offer
	Tokens   []Token
	Channels ChannelPolicy
	Keys     Keyring
	Book     Book
	Rand     io.Reader // a CSPRNG
	Limits   Limits

	// Protocols are the LSPS that list_protocols names; nil: 2.
	Protocols []uint8

	// Open are the orders that are neither paid nor dead at the start, for their places
	// and for the coins that they will need.
	Open []Purchase

	// These are asked at each get_info and buy and must be quick. Paid is how many orders
	// were paid that were bought by the token of a name; nil: none. Liquidity nil: there is
	// no limit. FeeRate is of funding and commitment transactions; nil: zero. Needs is what
	// stays ours in a channel; nil: nothing.
	Paid      func(token string) int
	Liquidity func(client [33]byte) Liquidity
	FeeRate   func() SatPerKWeight
	Needs     func(ChannelUse) ChannelNeeds

	// Admit is asked at each buy that nothing else is in the way of, and must be quick.
	// What it admits may still not be sold: the Book says what was. nil: every client
	// may buy.
	Admit func(now time.Time, a Ask) Verdict
}

// Service answers LSPS requests. Its methods may be called from any goroutine.
type Service struct {
	cfg    ServiceConfig
	limits Limits
	sold   atomic.Pointer[catalogue]

	mu      sync.Mutex // guards what follows; not held during Book.Add
	callers map[[33]byte]*caller
	meter   meter // of all clients
	orders  openOrders
	rand    io.Reader
}

// NewService checks the configuration; the errors say what to change.
func NewService(cfg ServiceConfig) (*Service, error) {
	menu, err := newCatalogue(cfg.Offer, cfg.Tokens, cfg.Channels)
	if err != nil {
		return nil, err
	}
	if err := cfg.Keys.check(); err != nil {
		return nil, err
	}
	if cfg.Book == nil || cfg.Rand == nil {
		return nil, errors.New("lsp: a service needs a Book and a Rand")
	}
	if cfg.Protocols == nil {
		cfg.Protocols = []uint8{2}
	}
	// bLIP-50: LSPS0 itself is not among the protocols.
	if slices.Contains(cfg.Protocols, 0) {
		return nil, errors.New("lsp: protocol 0 is not listed")
	}
	s := &Service{
		cfg:     cfg,
		limits:  cfg.Limits.orDefault(),
		callers: map[[33]byte]*caller{},
		orders:  newOpenOrders(cfg.Paid),
		rand:    cfg.Rand,
	}
	s.sold.Store(menu)
	for _, p := range cfg.Open {
		s.orders.add(p, s.market(0).claim(p))
	}
	return s, nil
}

// SetMenu replaces what is sold, in one step. Items that were promised before still
// hold, but for those of a token that no longer stands. It may be called at any time.
func (s *Service) SetMenu(o Offer, tokens []Token) error {
	menu, err := newCatalogue(o, tokens, s.cfg.Channels)
	if err != nil {
		return err
	}
	s.sold.Store(menu)
	return nil
}

// Menu is the menu of everybody at the present price, without the promises. A client
// gets it unless Closed has a reason.
func (s *Service) Menu(now time.Time) []OpeningFeeParams {
	menu := s.sold.Load()
	var items []OpeningFeeParams
	for _, item := range menu.shown(now, menu.public, s.market(0)) {
		items = append(items, item.OpeningFeeParams)
	}
	return items
}

// Closed says why clients without a token get an empty menu now, "" when they don't.
func (s *Service) Closed(now time.Time) string {
	menu := s.sold.Load()
	switch {
	case !s.liquidity([33]byte{}).CanOpen:
		return "no channel can be opened now: the node does not follow the chain"
	case len(s.Menu(now)) == 0:
		return "no item is good for any payment at the present fee rate"
	case len(s.onSale(now, [33]byte{}, menu, nil)) == 0:
		return "the coins that open orders leave do not fund the smallest channel"
	}
	return ""
}

// onSale are the items that a client can buy now.
func (s *Service) onSale(now time.Time, client [33]byte, menu *catalogue, t *Token) []OpeningFeeParams {
	can, m := s.liquidity(client), s.market(0)
	if !can.CanOpen {
		return nil
	}
	s.mu.Lock()
	s.orders.expire(now)
	full, free := s.orders.full(t), s.orders.free(can.Coins, s.cfg.Channels)
	s.mu.Unlock()
	if full != "" {
		return nil
	}
	var items []OpeningFeeParams
	for _, item := range menu.shown(now, menu.items(t), m) {
		if m.cheapest(item.OpeningFeeParams, menu.offer.rules()) <= free {
			items = append(items, item.OpeningFeeParams)
		}
	}
	return items
}

// market is what prices and channels depend on now; rate 0 is the present one.
func (s *Service) market(rate SatPerKWeight) market {
	m := market{rate: rate, channels: s.cfg.Channels, needs: s.cfg.Needs}
	if m.rate == 0 && s.cfg.FeeRate != nil {
		m.rate = s.cfg.FeeRate()
	}
	if m.needs == nil {
		m.needs = func(ChannelUse) ChannelNeeds { return ChannelNeeds{} }
	}
	return m
}

func (s *Service) liquidity(client [33]byte) Liquidity {
	if s.cfg.Liquidity == nil {
		return Unlimited()
	}
	return s.cfg.Liquidity(client)
}

// PeerGone ends what belongs to the client's connection. Answers that could not be
// sent count as sent: the node must drop them.
func (s *Service) PeerGone(client [33]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.callers[client]; c != nil {
		c.told, c.online = false, false
	}
}

// Ended frees the place of an order that is paid or dead, and its claim on coins.
func (s *Service) Ended(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orders.release(id)
}

// Funded says that the coins of an order's channel are spent or leased.
func (s *Service) Funded(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orders.funded(id)
}

// Handle answers one message of a client; nil is no answer. It returns after the
// Book has what was bought.
func (s *Service) Handle(now time.Time, client [33]byte, raw []byte) []byte {
	m := parseMessage(raw)
	if m.kind == response {
		return nil // two nodes that answer each other's errors never end
	}
	allowed, told := s.ask(now, client, m.kind != request)
	switch {
	case m.kind != request && told:
		return nil
	case m.kind != request:
		return parseFailure()
	case !allowed:
		return reply(m.id, nil, fault(CodeClientRejected, "too many requests: try again in a second"))
	}
	result, e := s.call(now, client, m)
	return reply(m.id, result, e)
}

// ask counts the message. told says that the client is not to be told (again) that
// its message is malformed: once a connection is enough for an honest one.
func (s *Service) ask(now time.Time, client [33]byte, bad bool) (allowed, told bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.admit(now, client)
	told = c.told || !ok
	c.told = c.told || bad
	return ok, told
}

func (s *Service) call(now time.Time, client [33]byte, m message) (any, *rpcError) {
	method := map[string]func(time.Time, [33]byte, object) (any, *rpcError){
		"lsps0.list_protocols": s.listProtocols,
		"lsps2.get_info":       s.getInfo,
		"lsps2.buy":            s.buy,
	}[m.method]
	switch {
	case method == nil:
		return nil, fault(CodeMethodNotFound, "method not found")
	case m.params == nil:
		return nil, fault(CodeInvalidParams, "params must be an object")
	}
	return method(now, client, m.params)
}

func (s *Service) listProtocols(_ time.Time, _ [33]byte, params object) (any, *rpcError) {
	if e := params.unrecognized(); e != nil {
		return nil, e
	}
	numbers := []int{} // a []uint8 would be written as base64
	for _, p := range s.cfg.Protocols {
		numbers = append(numbers, int(p))
	}
	return map[string][]int{"protocols": numbers}, nil
}
