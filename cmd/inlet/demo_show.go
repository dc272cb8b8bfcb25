package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/btcsuite/btcd/btcutil"

	"github.com/inletlsp/inlet/node/api"
)

// programme shows a performance: lines for people, or one JSON object a line.
type programme struct {
	w     io.Writer
	json  bool
	color bool
	began time.Time // when the step that is shown began
	step  string
	err   error // the first of writing
}

// demoEvent is one line: who did what. Ms counts from the beginning of the step.
type demoEvent struct {
	Step       string    `json:"step"`
	Who        string    `json:"who"`
	Stage      string    `json:"stage"`
	Ms         int64     `json:"ms"`
	AmountMsat *api.Msat `json:"amount_msat,omitempty"`
	Text       string    `json:"text"`
}

// share is what a closing transaction pays, in satoshi.
type share struct{ client, lsp, fee int64 }

// Colours of a terminal, by name.
const (
	colorReset = "\x1b[0m"
	colorBold  = "\x1b[1m"
	colorDim   = "\x1b[2m"
	colorGood  = "\x1b[1;32m"
)

var whoColors = map[string]string{
	"lsp": "\x1b[35m", "payer": "\x1b[33m", "client": "\x1b[36m", "btcd": colorDim,
}

// textWidth is how wide the text of a line is; with the columns around it a line has 80.
const textWidth = 44

// begin starts a step; times count from here.
func (o *programme) begin(title string) {
	o.began, o.step = time.Now(), title
	if !o.json {
		o.print("\n" + o.paint(colorBold, title) + "\n")
	}
}

// tell shows what somebody has just done.
func (o *programme) tell(who, stage, text string) {
	o.event(demoEvent{Who: who, Stage: stage, Text: text}, time.Now())
}

// paid is tell with an amount.
func (o *programme) paid(who, stage, text string, amount btcutil.Amount) {
	msat := api.Msat(amount) * 1000 //nolint:gosec // not negative
	o.event(demoEvent{Who: who, Stage: stage, Text: text, AmountMsat: &msat}, time.Now())
}

// event shows what happened at a time.
func (o *programme) event(e demoEvent, at time.Time) {
	e.Step, e.Ms = o.step, max(0, at.Sub(o.began).Milliseconds())
	if o.json {
		o.encode(e)
		return
	}
	amount := ""
	if e.AmountMsat != nil {
		amount = msat(*e.AmountMsat)
	}
	o.line(fmt.Sprintf("%d ms", e.Ms), e.Who, e.Text, amount)
}

// line is one aligned line.
func (o *programme) line(when, who, text, amount string) {
	row := o.paint(colorDim, fmt.Sprintf("%9s", when)) + "  " +
		o.paint(whoColors[who], fmt.Sprintf("%-6s", who)) + "  " + text
	if amount != "" {
		gap := textWidth - utf8.RuneCountInString(text)
		row += strings.Repeat(" ", max(1, gap)) + fmt.Sprintf("%15s", amount)
	}
	o.print(row + "\n")
}

// closed shows who got what on chain.
func (o *programme) closed(txid string, s share, at time.Time) {
	text := "confirms " + short(txid) + ", which pays"
	o.event(demoEvent{Who: "btcd", Stage: "closed", Text: text}, at)
	for _, e := range []struct {
		who, stage, text string
		amount           int64
	}{
		{"client", "closed_client", "what it was paid", s.client},
		{"lsp", "closed_lsp", "what it had left in the channel", s.lsp},
		{"btcd", "closed_fee", "the miner's fee", s.fee},
	} {
		amount := api.Msat(e.amount) * 1000 //nolint:gosec // not negative
		o.event(demoEvent{Who: e.who, Stage: e.stage, Text: e.text, AmountMsat: &amount}, at)
	}
}

// summary shows how it went; took is how long all of it was.
func (o *programme) summary(s demoSummary, took time.Duration) {
	if o.json {
		o.encode(s)
		return
	}
	o.print(fmt.Sprintf("\n%s in %d ms, from the LSP's first sight of the payment to its end.\n",
		o.paint(colorGood, "Settled"), s.JitMs))
	o.print(fmt.Sprintf("%s paid - %s opening fee = %s received; %.1f s in all\n",
		msat(s.PaymentSizeMsat), msat(s.OpeningFeeMsat), msat(s.ReceivedMsat), took.Seconds()))
}

// paint colours text where the programme has colours.
func (o *programme) paint(color, text string) string {
	if !o.color || color == "" {
		return text
	}
	return color + text + colorReset
}

func (o *programme) encode(v any) {
	raw, err := json.Marshal(v)
	if err != nil && o.err == nil {
		o.err = fmt.Errorf("demo: encode: %w", err)
		return
	}
	o.print(string(raw) + "\n")
}

func (o *programme) print(text string) {
	if _, err := io.WriteString(o.w, text); err != nil && o.err == nil {
		o.err = fmt.Errorf("demo: write: %w", err)
	}
}
