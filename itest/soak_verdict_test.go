package itest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"

	"github.com/inletlsp/inlet/node/api"
)

// sample is the LSP at one moment.
type sample struct {
	at                 time.Time
	rssKB, threads, db int64
	channels           int
	paid               int64
}

var statusLine = regexp.MustCompile(`(?m)^(VmRSS|Threads):\s+(\d+)`)

// sample measures the LSP and looks for what must never be seen.
func (s *soak) sample() {
	p := sample{at: time.Now()}
	raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.lsp.proc.cmd.Process.Pid))
	for _, m := range statusLine.FindAllSubmatch(raw, -1) {
		n, _ := strconv.ParseInt(string(m[2]), 10, 64)
		if string(m[1]) == "VmRSS" {
			p.rssKB = n
		} else {
			p.threads = n
		}
	}
	if info, err := os.Stat(filepath.Join(s.lsp.dir, "inlet.db")); err == nil {
		p.db = info.Size()
	}
	ctx, cancel := s.lsp.ctx()
	defer cancel()
	list, err := s.lsp.Channels(ctx)
	if err != nil {
		s.Fatal(err)
	}
	p.channels = len(list.Channels)
	of := map[string]string{}
	for _, c := range list.Channels {
		if c.State == api.ChannelForceClosing {
			s.Errorf("channel %s is closed by force", c.ChannelPoint)
		}
		if other := of[c.OrderID]; c.OrderID != "" && other != "" {
			s.Errorf("order %s has the channels %s and %s", c.OrderID, other, c.ChannelPoint)
		}
		of[c.OrderID] = c.ChannelPoint
	}
	p.paid = s.paid.Load()
	s.samples = append(s.samples, p)
	s.Logf("RSS %d MB, %d threads, database %d kB, %d channels; paid %d, failed %d, unsold %d",
		p.rssKB/1024, p.threads, p.db/1024, p.channels, s.paid.Load(), s.failed.Load(), s.unsold.Load())
}

// verdict waits until nothing is under way and says what there is to say.
func (s *soak) verdict() {
	s.payer.connect(s.lsp)
	deadline := time.Now().Add(2 * soakBound)
	for held := s.held(); len(held) > 0; held = s.held() {
		if time.Now().After(deadline) {
			for _, o := range held {
				s.Errorf("order %s is not done: %s until %v, %+v, %+v; %s", o.ID, o.State, o.Deadline,
					o.Parts, o.Failure, stages(&o))
			}
			break
		}
		time.Sleep(tick)
	}
	s.within(2*soakBound, "end of every HTLC of the payer's", func() bool {
		list, err := s.payer.ListChannels(context.Background(), &lnrpc.ListChannelsRequest{})
		for _, c := range list.GetChannels() {
			if len(c.PendingHtlcs) > 0 {
				return false
			}
		}
		return err == nil
	})
	s.within(soakBound, "coin that is free again", func() bool {
		ctx, cancel := s.lsp.ctx()
		defer cancel()
		b, err := s.lsp.Balance(ctx)
		return err == nil && b.LeasedSat == 0
	})
	s.sample()
	s.observe()
	s.noForce()
	s.flat()
	s.Logf("faults: %v", s.faults)
	for why, n := range s.why {
		s.Logf("%d: %s", n, why)
	}
	s.Logf("paid %d, failed %d, bought and not paid %d, refused %d, not sold (someone away) %d, closed %d",
		s.paid.Load(), s.failed.Load(), s.unpaid.Load(), s.refused.Load(), s.unsold.Load(), s.closed.Load())
	s.busy()
}

// held are the orders with a part that is not answered yet.
func (s *soak) held() (held []api.Order) {
	ctx, cancel := s.lsp.ctx()
	defer cancel()
	list, err := s.lsp.Orders(ctx, api.OrdersRequest{})
	if err != nil {
		s.Fatal(err)
	}
	for _, o := range list.Orders {
		if slices.ContainsFunc(o.Parts, func(p api.Part) bool {
			return p.State == "held" || p.State == "forwarded"
		}) {
			held = append(held, o)
		}
	}
	return held
}

// observe measures each HTLC at the payer, from update_add to its end.
func (s *soak) observe() {
	list, err := s.payer.ListPayments(context.Background(), &lnrpc.ListPaymentsRequest{
		IncludeIncomplete: true, MaxPayments: 1_000_000,
	})
	if err != nil {
		s.Fatal(err)
	}
	var longest time.Duration
	count, lost := 0, 0
	for _, p := range list.Payments {
		for _, h := range p.Htlcs {
			count++
			if h.ResolveTimeNs == 0 {
				// No channel has it any more, verdict saw to that: lnd was killed between the
				// end of the HTLC and its note of that.
				lost++
				s.Logf("lnd has no end of an HTLC of payment %s", p.PaymentHash)
				continue
			}
			took := time.Duration(h.ResolveTimeNs - h.AttemptTimeNs)
			longest = max(longest, took)
			if took > soakBound {
				s.Errorf("an HTLC of payment %s was out for %v, more than %v", p.PaymentHash, took, soakBound)
			}
		}
	}
	if kills := s.faults["payer killed"]; lost > kills {
		s.Errorf("%d HTLCs have no end, and the payer was killed %d times", lost, kills)
	}
	s.Logf("%d payments, %d HTLCs, the longest was out for %v", len(list.Payments), count,
		longest.Round(time.Millisecond))
}

// noForce wants no channel closed by force, at anyone's.
func (s *soak) noForce() {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	pending, err := s.payer.PendingChannels(ctx, &lnrpc.PendingChannelsRequest{})
	if err != nil {
		s.Fatal(err)
	}
	if n := len(pending.PendingForceClosingChannels); n > 0 {
		s.Errorf("%d channels of the payer's are closed by force", n)
	}
	for _, c := range s.clients {
		list, err := c.Channels(ctx)
		if err != nil {
			s.Fatal(err)
		}
		for _, ch := range list.Channels {
			if ch.State == api.ChannelForceClosing {
				s.Errorf("%s has channel %s closed by force", c.name, ch.ChannelPoint)
			}
		}
	}
}

// busy wants payments in each third: a soak in which nothing happens any more shows nothing.
func (s *soak) busy() {
	thirds := []sample{s.samples[0], s.samples[len(s.samples)/3], s.samples[2*len(s.samples)/3], s.samples[len(s.samples)-1]}
	for i, until := range thirds[1:] {
		if until.paid <= thirds[i].paid && until.at != thirds[i].at {
			s.Errorf("no payment went through between %v and %v", thirds[i].at, until.at)
		}
	}
	if s.paid.Load() == 0 {
		s.Error("no payment went through")
	}
}

// flat wants no more memory in the last third than in the one before, but for noise.
func (s *soak) flat() {
	n := len(s.samples)
	if n < 9 {
		return // it takes minutes
	}
	most := func(list []sample) (kb int64) {
		for _, p := range list {
			kb = max(kb, p.rssKB)
		}
		return kb
	}
	middle, last := most(s.samples[n/3:2*n/3]), most(s.samples[2*n/3:])
	if last > middle+middle/5+32*1024 {
		s.Errorf("memory grows: at most %d MB in the middle third, %d MB in the last", middle/1024, last/1024)
	}
}
