package lsp

import (
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
)

// Liquidity is what the node can do at this moment.
type Liquidity struct {
	// CanOpen is false when no channel can be funded: the menu is empty then and buy
	// is refused.
	CanOpen bool

	// Inbound is the largest payment that can reach us; 0: not known.
	Inbound lnwire.MilliSatoshi
}

// ServiceConfig is what a Service is made of.
type ServiceConfig struct {
	Offer  Offer
	Keys   []PromiseKey // the first signs, all verify
	Book   Book
	Rand   io.Reader // a CSPRNG
	Limits Limits

	// Tokens are what get_info recognises as a token; any other is refused.
	Tokens []string

	// Protocols are the LSPS that list_protocols names; nil: 2.
	Protocols []uint8

	// Open are the orders that are neither paid nor dead at the start. Of each, ID,
	// Client and Params.ValidUntil count: with it the order's slot comes free.
	Open []Purchase

	// Liquidity is asked at each get_info and buy and must be quick; nil: no limit.
	Liquidity func() Liquidity

	// Admit is asked at each buy that nothing else is in the way of, and must be quick.
	// What it admits may still not be sold: the Book says what was. nil: every client
	// may buy.
	Admit func(now time.Time, a Ask) Verdict
}

// Service answers LSPS requests. Its methods may be called from any goroutine.
type Service struct {
	cfg    ServiceConfig
	limits Limits

	mu      sync.Mutex // guards what follows; not held during Book.Add
	offer   Offer
	callers map[[33]byte]*caller
	meter   meter // of all clients
	open    map[string]slot
	openOf  map[[33]byte]int
	rand    io.Reader
}

// NewService checks the configuration; the errors say what to change.
func NewService(cfg ServiceConfig) (*Service, error) {
	if err := cfg.Offer.Validate(); err != nil {
		return nil, err
	}
	if err := checkKeys(cfg.Keys); err != nil {
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
		offer:   cfg.Offer,
		callers: map[[33]byte]*caller{},
		open:    map[string]slot{},
		openOf:  map[[33]byte]int{},
		rand:    cfg.Rand,
	}
	for _, p := range cfg.Open {
		s.open[p.ID] = slot{p.Client, p.Params.ValidUntil}
		s.openOf[p.Client]++
	}
	return s, nil
}

// SetOffer replaces the menu item. Items that were promised before still hold.
func (s *Service) SetOffer(o Offer) error {
	if err := o.Validate(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offer = o
	return nil
}

// Menu is what a client would get now, without the promises.
func (s *Service) Menu(now time.Time) []OpeningFeeParams {
	if !s.liquidity().CanOpen {
		return nil
	}
	return []OpeningFeeParams{s.currentOffer().item(now)}
}

func (s *Service) currentOffer() Offer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.offer
}

func (s *Service) liquidity() Liquidity {
	if s.cfg.Liquidity == nil {
		return Liquidity{CanOpen: true}
	}
	return s.cfg.Liquidity()
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

// Ended frees the slot of an order that is paid or dead.
func (s *Service) Ended(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release(id)
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
