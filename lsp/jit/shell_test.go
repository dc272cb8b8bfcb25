package jit

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"
)

// htlc is what the world knows of one part.
type htlc struct {
	part      Part
	code      lnwire.FailCode // it was failed
	forwarded bool
	amount    lnwire.MilliSatoshi
	extra     lnwire.MilliSatoshi
	atSwitch  bool // the forward was not lost in a crash
	claimed   bool
	resolved  bool
	gone      bool // off the incoming channel
}

// shell is a node without the parts that are not the order's: it does what commands
// ask and complains when they ask for what must never be.
type shell struct {
	*testing.T
	seed   uint64
	r      *rand.Rand
	o      Order
	record []byte // of o
	now    time.Time
	height uint32

	conn, lastConn Conn
	opening        bool
	channel        *Funding
	usable         bool
	alias          wire.OutPoint
	points         byte
	claimed        bool // a part was claimed on the channel
	voided         bool // a part was failed because its channel was given up

	htlcs map[CircuitKey]*htlc
	keys  []CircuitKey
	trace []func() string
}

func (s *shell) must(ok bool, what string) {
	s.Helper()
	if !ok {
		for _, line := range s.trace {
			s.Log(line())
		}
		s.Fatalf("seed %d: %s", s.seed, what)
	}
}

func (s *shell) live() bool { return s.channel != nil && !s.channel.Gone }

// do obeys one command. Decisions about parts count even when a crash loses them.
func (s *shell) do(cmd Command, lost bool) {
	s.Helper()
	switch cmd := cmd.(type) {
	case OpenChannel:
		s.must(!s.opening, "an open while another is under way")
		s.must(s.channel == nil || s.channel.Gone && s.channel.Withheld, "a second funding")
		s.must(cmd.Conn == s.conn && cmd.Attempt <= s.o.Terms.Rules.MaxOpenAttempts, "a bad open")
		s.must(cmd.Withhold == s.o.Terms.ClientTrustsLSP, "withheld without being told")
		s.opening = !lost

	case CancelOpen:
		s.must(s.opening, "a cancel without an open")

	case DropChannel:
		s.must(s.live() && s.channel.Withheld, "a drop of what is funded")

	case BroadcastFunding:
		s.must(s.live(), "a broadcast of no channel")
		s.must(s.anyHTLC(func(h *htlc) bool { return h.claimed }), "a broadcast before the claim")
		s.channel.Withheld = s.channel.Withheld && lost

	case RegisterAlias:
		s.must(s.live() && cmd.Point == s.channel.Point, "an alias of no channel")
		if !lost {
			s.alias = cmd.Point
		}

	case ForwardPart:
		h := s.htlcs[cmd.Key]
		s.must(s.live() && s.usable, "a forward over a channel that is not usable")
		s.must(lost || s.alias == s.channel.Point, "a forward before the alias")
		s.must(cmd.Chan == lnwire.NewChanIDFromOutPoint(s.channel.Point), "a foreign channel")
		s.must(!h.forwarded && h.code == 0, "a second answer")
		s.must(cmd.Amount+cmd.ExtraFee == h.part.Amount, "amounts that do not add up")
		s.must(cmd.Amount >= 1000, "a part under htlc_minimum_msat")
		h.forwarded, h.amount, h.extra, h.atSwitch = true, cmd.Amount, cmd.ExtraFee, !lost

	case ResumePart:
		s.resume(cmd, lost)

	case FailPart:
		h := s.htlcs[cmd.Key]
		if h.forwarded && s.channel != nil && s.channel.Gone && s.channel.Withheld {
			s.must(!h.claimed, "a failure of what was claimed")
			h.forwarded, s.voided = false, true
		}
		s.must(!h.forwarded, "a failure of what was forwarded")
		old := less(h.part.IncomingExpiry, s.o.Terms.Rules.ExpiryMargin) <= s.height
		s.must(h.code == 0 || h.code == cmd.Code || old, "another failure than before")
		s.must(cmd.Code != lnwire.CodeMPPTimeout && cmd.Reason != "", "a bad failure")
		h.code = cmd.Code

	case WakeClient, Finished:
	}
}

func (s *shell) resume(cmd ResumePart, lost bool) {
	h := s.htlcs[cmd.Key]
	s.must(h.code == 0, "a resume of what was failed")
	if h.forwarded {
		s.must(cmd.Amount == h.amount && cmd.ExtraFee == h.extra, "a resume unlike the forward")
	} else {
		_, paid := s.o.State.(Paid)
		s.must(paid && s.live() && s.usable, "a free forward that is not due")
		s.must(cmd.Amount == h.part.Amount && cmd.ExtraFee == 0, "a fee after the fee")
	}
	s.must(lost || h.resolved || !s.live() || s.alias == s.channel.Point, "a resume without the alias")
	h.forwarded, h.amount, h.extra = true, cmd.Amount, cmd.ExtraFee
	h.atSwitch = h.atSwitch || !lost
}

func (s *shell) anyHTLC(want func(*htlc) bool) bool { return s.pick(want) != nil }

// pick is one part at random of those wanted, or nil.
func (s *shell) pick(want func(*htlc) bool) *htlc {
	var some []*htlc
	for _, k := range s.keys {
		if h := s.htlcs[k]; want(h) {
			some = append(some, h)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return some[s.r.IntN(len(some))]
}

// event draws what happens next; nil when it cannot.
func (s *shell) event() Event {
	switch s.r.IntN(16) {
	case 0, 1, 2, 3:
		return s.newPart()
	case 4:
		if h := s.pick(func(h *htlc) bool { return !h.gone }); h != nil {
			return PartArrived{Part: h.part, Height: s.height}
		}
	case 5, 6:
		return s.connection()
	case 7, 8, 9:
		return s.funding()
	case 10:
		if s.live() && s.r.IntN(4) == 0 {
			s.channel.Gone, s.usable = true, false
			return ChannelGone{s.channel.Point, s.channel.Withheld}
		}
	case 11, 12:
		return s.outcome()
	case 13:
		s.height += s.r.Uint32N(12) * s.r.Uint32N(2)
		if s.r.IntN(8) == 0 {
			s.height += 60 // what was forwarded expires
		}
		return Height{s.height}
	case 14:
		if s.r.IntN(4) == 0 {
			return s.restart()
		}
	default:
		if h := s.pick(func(h *htlc) bool { return !h.gone }); h != nil && s.r.IntN(3) == 0 {
			if h.forwarded && !h.resolved {
				return nil
			}
			h.gone = true
			return PartGone{h.part.Key}
		}
		return Tick{}
	}
	return nil
}

func (s *shell) newPart() Event {
	p := part(byte(1+s.r.IntN(3)), uint64(len(s.keys)), lnwire.MilliSatoshi(s.r.IntN(900_000)+1))
	if s.r.IntN(4) == 0 {
		p.Amount = 1_000_000
	}
	p.IncomingAmount = p.Amount + lnwire.MilliSatoshi(s.r.IntN(5))
	p.IncomingAmount -= lnwire.MilliSatoshi(s.r.IntN(20) / 19) // at times too little
	p.OutgoingExpiry = s.height + 43 + s.r.Uint32N(20)
	p.IncomingExpiry = p.OutgoingExpiry + 144 - s.r.Uint32N(30)/29
	s.keys = append(s.keys, p.Key)
	s.htlcs[p.Key] = &htlc{part: p}
	ev := PartArrived{Part: p, Height: s.height}
	if s.r.IntN(30) == 0 {
		ev.Refuse = later
	}
	return ev
}

func (s *shell) connection() Event {
	if s.conn == 0 {
		s.lastConn++
		s.conn = s.lastConn
	} else if s.r.IntN(3) == 0 {
		s.conn, s.usable = 0, false
		return ClientGone{}
	}
	return ClientOnline{s.conn}
}

// funding moves the open or the channel on.
func (s *shell) funding() Event {
	switch {
	case s.opening && s.r.IntN(3) == 0:
		s.opening = false
		return OpenFailed{Fault(1 + s.r.IntN(5)), "some reason", s.r.IntN(2) == 0}

	case s.opening:
		s.signed()
		return OpenSigned{s.channel.Point}

	case s.live() && s.conn != 0:
		s.usable = true
		ev := usable(s.channel.Point, s.conn)
		if s.r.IntN(20) == 0 {
			ev.MaxHTLCs = 1
		}
		return ev
	}
	return nil
}

func (s *shell) signed() {
	s.points++
	s.channel = &Funding{Point: point(s.points), Withheld: s.o.Terms.ClientTrustsLSP}
	s.opening, s.claimed = false, false
}

func (s *shell) outcome() Event {
	if h := s.pick(func(h *htlc) bool {
		return h.forwarded && !h.atSwitch && !h.resolved
	}); h != nil {
		// Its forward waits; what is stuck is failed and was never forwarded.
		h.forwarded = false
		return PartStuck{h.part.Key}
	}
	h := s.pick(func(h *htlc) bool { return h.forwarded && h.atSwitch && !h.resolved })
	if h == nil {
		return nil
	}
	h.resolved, h.claimed = true, s.r.IntN(3) > 0
	if h.claimed {
		s.claimed = true
		if s.r.IntN(3) == 0 {
			s.step(PreimageKnown{h.part.Hash})
		}
		return PartClaimed{h.part.Key}
	}
	return PartFailed{Key: h.part.Key, Ours: s.r.IntN(2) == 0}
}

// restart is a new life: some answers have taken effect meanwhile, some outcomes
// were not seen.
func (s *shell) restart() Event {
	if s.opening && s.r.IntN(2) == 0 {
		s.signed() // the store has it, the order was not told
	}
	s.conn, s.lastConn, s.usable, s.opening = 0, 0, false, false
	ev := Restarted{Height: s.height, Funding: s.channel}
	for _, k := range s.keys {
		h := s.htlcs[k]
		if h.forwarded && h.atSwitch && !h.resolved && s.r.IntN(4) == 0 {
			h.resolved, h.claimed = true, s.r.IntN(2) == 0
			s.claimed = s.claimed || h.claimed
		}
		done := h.resolved || !h.forwarded
		h.gone = h.gone || done && s.r.IntN(2) == 0
		if !h.gone {
			ev.Outstanding = append(ev.Outstanding, k)
		}
		if h.claimed {
			ev.Claimed = append(ev.Claimed, k)
		}
		if h.resolved && !h.claimed && !h.gone {
			h.gone = true
			ev.Outstanding = ev.Outstanding[:len(ev.Outstanding)-1]
		}
	}
	return ev
}
