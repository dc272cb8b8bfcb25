package lsp

import (
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
)

// Ask is what a client wants to buy, after everything in it was checked.
type Ask struct {
	Client [33]byte

	// Token is the name of the token that the item was served for; "": none.
	Token string

	// PaymentSize is payment_size_msat; 0: variable. MaxPayment is the largest payment
	// that the order could become: PaymentSize, or the item's maximum when variable.
	PaymentSize, MaxPayment lnwire.MilliSatoshi
}

func newAsk(p Purchase) Ask {
	a := Ask{Client: p.Client, Token: p.Token, PaymentSize: p.PaymentSize, MaxPayment: p.PaymentSize}
	if p.PaymentSize == 0 {
		a.MaxPayment = p.Params.MaxPaymentSize
	}
	return a
}

// Verdict is the node's answer to an Ask.
type Verdict struct {
	// Refusal says in plain words why the client may not buy now; the client reads it,
	// as error 1 of bLIP-50. "" sells.
	Refusal string

	// ClientTrustsLSP sells only to a client that lets us broadcast the funding after
	// its claim. The answer to buy says so.
	ClientTrustsLSP bool
}

// verdict asks the node whether it wants to sell.
func (s *Service) verdict(now time.Time, a Ask) Verdict {
	if s.cfg.Admit == nil {
		return Verdict{}
	}
	return s.cfg.Admit(now, a)
}
