package itest

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"
)

// ldk is a running LDK node: cmd ldkclient in a process of its own.
type ldk struct {
	w        *world
	name     string
	settings map[string]any
	proc     *process
	id       string

	mu      sync.Mutex
	next    int                  // guarded by mu
	replies map[int]chan ldkLine // guarded by mu
	events  chan ldkLine
}

// ldkLine is one line that ldkclient prints.
type ldkLine struct {
	Ready, Error, Event string
	Reply               int
	Result, Detail      json.RawMessage
}

// ldk starts an LDK node that buys from lsp. anchors: "trusted", "default" or "off".
func (w *world) ldk(name string, lsp *inlet, anchors string) *ldk {
	w.Helper()
	c := w.bitcoind.Config()
	host, port, _ := strings.Cut(c.RPCHost, ":")
	l := &ldk{w: w, name: name, settings: map[string]any{
		"Dir": w.path(name), "Log": w.path(name + ".trace"), "LSP": lsp.id, "LSPAddr": lsp.addr,
		"RPCHost": host, "RPCPort": json.Number(port), "RPCUser": c.RPCUser,
		"RPCPassword": c.RPCPassword, "Listen": freeAddr(w), "Anchors": anchors,
	}}
	l.start()
	return l
}

func (l *ldk) start() {
	l.w.Helper()
	raw, err := json.Marshal(l.settings)
	if err != nil {
		l.w.Fatal(err)
	}
	ready := make(chan string, 1)
	l.mu.Lock()
	l.replies, l.events = map[int]chan ldkLine{}, make(chan ldkLine, 1000)
	events := l.events
	l.mu.Unlock()
	l.proc = l.w.start(l.name, func(text string) {
		var line ldkLine
		if json.Unmarshal([]byte(text), &line) != nil {
			return
		}
		switch {
		case line.Ready != "":
			ready <- line.Ready
		case line.Reply != 0:
			l.mu.Lock()
			ch := l.replies[line.Reply]
			delete(l.replies, line.Reply)
			l.mu.Unlock()
			if ch != nil {
				ch <- line
			}
		case line.Event != "":
			events <- line
		}
	}, programOf(l.w, "INLET_LDKCLIENT", "run `make test`"), string(raw))
	select {
	case l.id = <-ready:
	case <-l.proc.done:
		l.w.Fatalf("%s ended at its start", l.name)
	case <-time.After(wait):
		l.w.Fatalf("%s does not start", l.name)
	}
}

// do sends one request and decodes its result.
func (l *ldk) do(request map[string]any, result any) error {
	ch := make(chan ldkLine, 1)
	l.mu.Lock()
	l.next++
	request["ID"] = l.next
	l.replies[l.next] = ch
	l.mu.Unlock()
	raw, err := json.Marshal(request)
	if err != nil {
		return err
	}
	if _, err := l.proc.in.Write(append(raw, '\n')); err != nil {
		return err
	}
	select {
	case line := <-ch:
		if line.Error != "" {
			return fmt.Errorf("%s: %s", l.name, line.Error)
		}
		if result == nil {
			return nil
		}
		return decode(line.Result, result)
	case <-l.proc.done:
		return fmt.Errorf("%s has ended", l.name)
	case <-time.After(wait):
		return fmt.Errorf("%s does not answer %v", l.name, request["Do"])
	}
}

// jit buys a channel; amount 0 is an invoice of variable amount.
func (l *ldk) jit(msat uint64) string {
	l.w.Helper()
	do := "jit"
	if msat == 0 {
		do = "jit-variable"
	}
	var invoice string
	if err := l.do(map[string]any{"Do": do, "Amount": msat}, &invoice); err != nil {
		l.w.Fatal(err)
	}
	return invoice
}

func (l *ldk) invoice(msat uint64) string {
	l.w.Helper()
	var invoice string
	if err := l.do(map[string]any{"Do": "invoice", "Amount": msat}, &invoice); err != nil {
		l.w.Fatal(err)
	}
	return invoice
}

// event waits for an event by name.
func (l *ldk) event(name string) json.RawMessage {
	l.w.Helper()
	timeout := time.After(wait)
	for {
		select {
		case e := <-l.events:
			if e.Event == name {
				return e.Detail
			}
			l.w.Logf("%s: %s %s", l.name, e.Event, e.Detail)
		case <-timeout:
			l.w.Fatalf("%s had no event %s", l.name, name)
		}
	}
}

// received waits for a payment and returns what arrived, in msat.
func (l *ldk) received() uint64 {
	l.w.Helper()
	var e struct{ AmountMsat uint64 }
	if err := decode(l.event("PaymentReceived"), &e); err != nil {
		l.w.Fatal(err)
	}
	return e.AmountMsat
}

// ldkChannel is what LDK says of one of its channels.
type ldkChannel struct {
	CounterpartyNodeId    string
	ChannelValueSats      uint64
	IsUsable              bool
	IsAnnounced           bool
	Confirmations         *uint32
	ConfirmationsRequired *uint32
	OutboundCapacityMsat  uint64
	InboundCapacityMsat   uint64
}

func (l *ldk) channels() []ldkChannel {
	l.w.Helper()
	var list []ldkChannel
	if err := l.do(map[string]any{"Do": "channels"}, &list); err != nil {
		l.w.Fatal(err)
	}
	return list
}
