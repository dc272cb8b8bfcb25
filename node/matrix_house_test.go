package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/inletlsp/inlet/node"
)

// death is how the LSP's process ends in F5, F6 and F7.
type death struct {
	done   bool // after the write, else before it
	silent bool // and nothing is said any more, as after kill -9
}

var errDisk = errors.New("no space left on device")

// dies arms the death of the LSP at its next write.
func (c *trial) dies(how death) {
	var once sync.Once
	c.disk.set(func(done bool) error {
		if done != how.done {
			return nil
		}
		once.Do(func() {
			if how.silent {
				c.lsp.silence(true)
			}
		})
		return errDisk
	})
}

// reborn waits for the LSP's end and starts it again, with all connections back.
func (c *trial) reborn() {
	c.t.Helper()
	end := make(chan error, 1)
	go func() { end <- c.seller.Ended() }()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for ended := false; !ended; {
		select {
		case err := <-end:
			ended = true
			if !errors.Is(err, node.ErrDisk) {
				c.t.Errorf("the LSP ended with %v", err)
			}
		case <-tick.C:
			c.now.SetTime(c.now.Now().Add(50 * time.Millisecond)) // its stop looks at the clock
		}
	}
	c.disk.set(nil)
	c.lsp.silence(false)
	c.seller.Start()
	c.payerBack()
}

// lspDies is the rows F5, F6 and F7: each with one write at each stage; the sweep over all
// writes is another test's.
func lspDies(fault, name string, how death) row {
	at := func(stage int, then func(*trial)) cell {
		return cell{run: func(a *arena, t *testing.T) {
			c := a.at(t, stage)
			c.dies(how)
			then(c)
			c.reborn()
			c.heal()
			c.paidOrLater()
			c.bound(hold)
			c.serves()
		}}
	}
	free := func(c *trial) { c.free() }
	return row{fault: fault, name: name, cells: [stages]cell{
		stageOrdered: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageOrdered)
			c.dies(how)
			ctx, cancel := context.WithTimeout(t.Context(), waitLink)
			defer cancel()
			_, err := c.client.JITInvoice(ctx, node.JITInvoiceRequest{
				LSP: c.seller.Key(), Addr: c.line.addr(), Amount: saleSize,
			})
			if err == nil {
				t.Error("a purchase that is not on disk was answered")
			}
			c.reborn()
			c.serves()
		}},
		stageReceived:  at(stageReceived, free),
		stageHeld:      at(stageHeld, func(c *trial) { c.send(saleSize / 2) }),
		stageOpening:   at(stageOpening, free),
		stageCreated:   at(stageCreated, free),
		stageSigned:    at(stageSigned, free),
		stageAwaited:   at(stageAwaited, free),
		stageForwarded: at(stageForwarded, free),
		stageClaimed:   at(stageClaimed, free),
		stageSettled:   at(stageSettled, func(c *trial) { c.Mine(1) }),
	}}
}

// paidOrLater wants the payment to succeed, or to fail as one that may be tried again.
func (c *trial) paidOrLater() {
	c.t.Helper()
	results := c.results()
	if !slices.ContainsFunc(results, func(r node.PartResult) bool { return r.Code != 0 }) {
		c.inState("paid")
	}
	for i, r := range results {
		if r.Code != 0 && (r.Code != later || r.Hop != 1) || r.Code == 0 && r.Err != nil {
			c.t.Errorf("part %d ended with %v of hop %d", i, r.Code, r.Hop)
		}
	}
	c.once()
}

// chainForks is F10: blocks are undone, and the funding with them.
func chainForks() row {
	at := func(stage int, then func(*trial)) func(*arena, *testing.T) {
		return func(a *arena, t *testing.T) {
			a.final = 100 // or one block would end the hold
			c := a.at(t, stage)
			c.forks()
			c.unanswered()
			then(c)
			c.free()
			c.paid()
			c.serves()
		}
	}
	nothing := func(*trial) {}
	const conflict = "a conflict would need a second signature of ours for a leased coin"
	return row{fault: "F10", name: "the chain forks", cells: [stages]cell{
		stageOrdered: {run: func(a *arena, t *testing.T) {
			a.final = 100
			c := a.at(t, stageOrdered)
			c.forks()
			c.serves()
		}},
		stageReceived: {run: at(stageReceived, nothing)},
		stageHeld:     {run: at(stageHeld, func(c *trial) { c.send(saleSize / 2) })},
		stageOpening:  {na: "there is no funding yet"},
		stageCreated:  {na: "the funding is not broadcast yet"},
		stageSigned: {run: func(a *arena, t *testing.T) {
			// Evicted: the backend took it and has it no more. It is given again with a block.
			a.final = 100
			a.air.fail(func() error { return errLost })
			c := a.begin(t)
			c.send(saleSize)
			c.paid()
			a.air.fail(nil)
			c.Mine(1)
			ctx, cancel := c.Context()
			defer cancel()
			must(t, c.Chain.WaitTx(ctx, c.rec().Point.Hash))
			c.serves()
		}, differs: conflict},
		stageAwaited:   {run: at(stageAwaited, nothing), differs: conflict},
		stageForwarded: {run: at(stageForwarded, nothing), differs: conflict},
		stageClaimed:   {run: at(stageClaimed, nothing), differs: conflict},
		stageSettled: {run: func(a *arena, t *testing.T) {
			a.final = 100
			c := a.at(t, stageSettled)
			c.forks()
			c.serves()
		}, differs: conflict},
	}}
}

var errLost = errors.New("the transaction was lost")

// forks mines two blocks, undoes them and mines three others.
func (c *trial) forks() {
	c.t.Helper()
	blocks, err := c.Chain.Mine(2)
	must(c.t, err)
	height, err := c.Chain.Height()
	must(c.t, err)
	c.reach(height, c.seller, c.payer, c.client)
	must(c.t, c.Chain.InvalidateBlock(blocks[0]))
	c.Mine(3)
	c.reach(height+1, c.seller, c.payer, c.client)
}

// noCoins is F11: one order holds the LSP's only coin, and another wants one.
func noCoins() row {
	at := func(stage int) func(*arena, *testing.T) {
		return func(a *arena, t *testing.T) {
			other := a.begin(t)
			c := a.at(t, stage)
			other.leases = other.leased()
			other.send(saleSize)
			if stage == stageClaimed {
				c.free() // else the answer to the other would be held too
			}
			other.failed(later, atOnce, "awaiting_parts")
			other.kept(0)
			c.free()
			if stage != stageSettled {
				c.paid()
			}
			c.serves()
			other.serves()
		}
	}
	const leased = "the coin is leased before open_channel, so nothing can clash later"
	const plan = "no fee bump yet: the funding is given again with each block"
	without := func(a *arena, t *testing.T, stage int) (c, other *trial) {
		c = a.begin(t)
		other = a.at(t, stageAwaited)
		c.to(stage)
		return c, other
	}
	return row{fault: "F11", name: "no coins", coins: 1, cells: [stages]cell{
		stageOrdered: {run: func(a *arena, t *testing.T) {
			c, other := without(a, t, stageOrdered)
			ctx, cancel := c.Context()
			defer cancel()
			_, err := c.client.JITInvoice(ctx, node.JITInvoiceRequest{
				LSP: c.seller.Key(), Addr: c.line.addr(), Amount: saleSize,
			})
			if err == nil {
				t.Error("the LSP sold a channel that it could not open")
			}
			c.send(saleSize) // bought before
			c.failed(later, atOnce, "awaiting_parts")
			other.free()
			other.paid()
			other.confirms()
			c.serves()
		}},
		stageReceived: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageReceived)
			c.free()
			c.paid()
			c.bound(atOnce)
			c.serves()
		}},
		stageHeld: {run: func(a *arena, t *testing.T) {
			c, other := without(a, t, stageHeld)
			c.send(saleSize / 2)
			c.failed(later, atOnce, "awaiting_parts")
			c.kept(0)
			other.free()
			other.paid()
			other.confirms()
			c.serves()
		}},
		stageOpening: {run: at(stageOpening), differs: leased},
		stageCreated: {run: at(stageCreated), differs: leased},
		stageSigned: {run: func(a *arena, t *testing.T) {
			a.air.fail(func() error { return errors.New("min relay fee not met") })
			c := a.begin(t)
			c.send(saleSize)
			c.paid()
			a.air.fail(nil)
			c.Mine(1)
			ctx, cancel := c.Context()
			defer cancel()
			must(t, c.Chain.WaitTx(ctx, c.rec().Point.Hash))
			c.serves()
		}, differs: plan},
		stageAwaited: {run: at(stageAwaited)}, stageForwarded: {run: at(stageForwarded)},
		stageClaimed: {run: at(stageClaimed)},
		stageSettled: {run: at(stageSettled), differs: plan},
	}}
}

// timePasses is F12: the offer runs out.
func timePasses() row {
	at := func(stage int) func(*arena, *testing.T) {
		return func(a *arena, t *testing.T) {
			a.delay = offer().ValidFor - 5*time.Second
			c := a.at(t, stage)
			c.advance(10 * time.Second)
			c.unanswered()
			c.free()
			c.paid()
			c.bound(10 * time.Second)
			c.kept(1)
			c.confirms()
		}
	}
	return row{fault: "F12", name: "valid_until passes, or a promise is altered", cells: [stages]cell{
		stageOrdered: {run: func(a *arena, t *testing.T) {
			c := a.begin(t)
			c.buysWith(func(params map[string]any) { params["min_fee_msat"] = "1" })
			c.buysWith(func(map[string]any) { c.advance(offer().ValidFor) })
			c.inState("dead")
			c.serves()
		}},
		stageReceived: {na: "nothing depends on the time before the HTLC is locked in"},
		stageHeld: {run: func(a *arena, t *testing.T) {
			a.delay = offer().ValidFor - 5*time.Second
			c := a.at(t, stageHeld)
			c.advance(5 * time.Second)
			c.failed(never, 5*time.Second, "dead")
			c.kept(0)
			a.delay = 0
		}},
		stageOpening: {run: at(stageOpening)}, stageCreated: {run: at(stageCreated)},
		stageSigned: {run: at(stageSigned)}, stageAwaited: {run: at(stageAwaited)},
		stageForwarded: {run: at(stageForwarded)}, stageClaimed: {run: at(stageClaimed)},
		stageSettled: {na: "the order is over"},
	}}
}

// buysWith asks for the menu, changes an item and wants buy to refuse it.
func (c *trial) buysWith(change func(map[string]any)) {
	c.t.Helper()
	reply := c.asks(`{"jsonrpc":"2.0","id":"m","method":"lsps2.get_info","params":{}}`, `menu`)
	var menu struct {
		Result struct {
			Items []map[string]any `json:"opening_fee_params_menu"`
		} `json:"result"`
	}
	must(c.t, json.Unmarshal(reply, &menu))
	item := menu.Result.Items[0]
	change(item)
	raw, err := json.Marshal(item)
	must(c.t, err)
	c.asks(fmt.Sprintf(`{"jsonrpc":"2.0","id":"b","method":"lsps2.buy",`+
		`"params":{"opening_fee_params":%s,"payment_size_msat":"50000000"}}`, raw), `201`)
}

// chainAway is F13: the LSP's chain backend is not reachable.
func chainAway() row {
	at := func(stage int) func(*arena, *testing.T) {
		return func(a *arena, t *testing.T) {
			c := a.at(t, stage)
			c.chainGone()
			c.free()
			if stage != stageSettled {
				c.paid()
			}
			c.chainBack()
			c.Mine(1) // with it the funding is given again
			ctx, cancel := c.Context()
			defer cancel()
			must(t, c.Chain.WaitTx(ctx, c.rec().Point.Hash))
			c.serves()
		}
	}
	const goesOn = "an opening under way goes on: its funding is stored, and is broadcast when the " +
		"backend is back; nothing of ours is at stake meanwhile"
	refuses := func(stage int, then func(*trial)) func(*arena, *testing.T) {
		return func(a *arena, t *testing.T) {
			c := a.at(t, stage)
			c.chainGone()
			then(c)
			c.failed(later, atOnce, "awaiting_parts")
			c.kept(0)
			c.chainBack()
			c.serves()
		}
	}
	return row{fault: "F13", name: "the chain backend is away", cells: [stages]cell{
		stageOrdered: {run: func(a *arena, t *testing.T) {
			c := a.at(t, stageOrdered)
			c.chainGone()
			ctx, cancel := context.WithTimeout(t.Context(), waitLink)
			defer cancel()
			_, err := c.client.JITInvoice(ctx, node.JITInvoiceRequest{
				LSP: c.seller.Key(), Addr: c.line.addr(), Amount: saleSize,
			})
			if err == nil {
				t.Error("the LSP sold a channel that it could not open")
			}
			c.chainBack()
			c.serves()
		}},
		stageReceived: {run: refuses(stageReceived, func(c *trial) { c.free() })},
		stageHeld:     {run: refuses(stageHeld, func(c *trial) { c.send(saleSize / 2) })},
		stageOpening:  {run: at(stageOpening), differs: goesOn},
		stageCreated:  {run: at(stageCreated), differs: goesOn},
		stageSigned:   {run: at(stageSigned)}, stageAwaited: {run: at(stageAwaited)},
		stageForwarded: {run: at(stageForwarded)}, stageClaimed: {run: at(stageClaimed)},
		stageSettled: {run: at(stageSettled)},
	}}
}

func (c *trial) chainGone() {
	c.t.Helper()
	c.chain.set(lineCut)
	if !c.eventually(func() bool { return !c.seller.ChainReachable() }) {
		c.t.Fatal("the LSP does not notice that its backend is away")
	}
}

func (c *trial) chainBack() {
	c.t.Helper()
	c.chain.set(lineOpen)
	if !c.eventually(func() bool { return c.seller.ChainReachable() }) {
		c.t.Fatal("the LSP does not come back to its backend")
	}
	c.soon(waitLink, func(ctx context.Context) bool {
		admin := c.admin(c.seller)
		defer admin.Close()
		info, err := admin.Info(ctx)
		return err == nil && info.SyncedToChain
	})
}
