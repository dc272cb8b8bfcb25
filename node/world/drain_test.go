package world

import (
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/inletlsp/inlet/lsp/jit"
)

type outPoint = wire.OutPoint

// payerPoint names the payer's channel.
func (w *world) payerPoint() wire.OutPoint {
	return wire.OutPoint{Hash: chainhash.Hash{31: 1}}
}

// close is a channel whose funding output is spent. What was forwarded over it ends
// on the chain.
func (w *world) close(p wire.OutPoint) {
	w.say("channel %d is closed", nr(p))
	w.count["closed"]++
	w.disk.channels[p].closed = true
	delete(w.lsp.swtch.links, p)
	w.lsp.desk.post(input{point: &p, event: jit.ChannelGone{Point: p}})
	w.lookOnChain(p)
}

// lookOnChain finds what the client did with the HTLCs of a closed channel.
func (w *world) lookOnChain(p wire.OutPoint) {
	ch := w.disk.channels[p]
	for _, k := range sortedKeys(ch.out) {
		if ch.out[k].state != "sent" || ch.client.chans[p] == nil {
			continue
		}
		if r := ch.client.chans[p].htlcs[k]; r != nil && r.state != "held" {
			w.onChain(p, k, r.state == "claimed")
		}
	}
}

// onChain is the outcome of an HTLC of a closed channel.
func (w *world) onChain(p wire.OutPoint, k uint64, claimed bool) {
	if claimed {
		w.lsp.desk.post(input{hash: w.htlcs[k].hash(), preimage: true})
	}
	w.resolved(p, k, claimed)
}

// expireOnChain closes what a client has not answered in time, and takes back what
// it has not claimed on the chain.
func (w *world) expireOnChain() {
	if w.lsp == nil {
		return
	}
	for _, p := range sortedPoints(w.disk.channels) {
		ch := w.disk.channels[p]
		for _, k := range sortedKeys(ch.out) {
			out := ch.out[k]
			if out.state != "sent" || w.height < w.htlcs[k].part.OutgoingExpiry {
				continue
			}
			if !ch.closed && w.chain.confirmed[p] != 0 {
				w.close(p)
			}
			if ch.closed && out.state == "sent" {
				// A claim that comes too late is none.
				if c := ch.client.chans[p]; c != nil && c.htlcs[k] != nil && c.htlcs[k].state == "held" {
					c.htlcs[k].state = "failed"
				}
				w.onChain(p, k, false)
			}
		}
	}
}

// drain ends a history: everyone is well again, nothing new comes, and time and
// blocks pass.
func (w *world) drain() {
	clear(w.held)
	w.crashIn, w.rotate = 0, 0
	if w.lsp == nil {
		w.start()
	}
	w.chain.up, w.chain.mining = true, true
	w.run()
	for _, c := range w.clients {
		c.open, c.sign, c.up, c.pay = "accept", "sign", "ready", "claim"
		if c.conn == 0 {
			w.connect(c)
		}
	}
	_ = w.payer(true)
	w.run()
	for _, c := range w.clients {
		_ = w.clientVerb(c, []string{"ready", c.name})
		w.run()
	}
	for range 4 {
		w.pass(2 * time.Minute)
		w.run()
		for _, c := range w.clients {
			for _, r := range c.holding(0) {
				w.finish(c, r, r.key%2 == 0)
			}
			w.run()
		}
		for range 3 {
			w.block()
		}
		w.checkRest()
	}
	for range 250 {
		w.block()
	}
	w.pass(3 * time.Hour)
	w.run()
	w.checkRest()
	w.checkEnd()
}
