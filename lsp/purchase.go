package lsp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/inletlsp/inlet/lsp/jit"
	"github.com/lightningnetwork/lnd/lnwire"
)

// ErrTaken is what a Book returns for a jit_channel_scid that it knows already.
var ErrTaken = errors.New("lsp: jit_channel_scid is taken")

// Book keeps what was bought.
type Book interface {
	// Add makes the purchase durable before it returns. An scid that any order or
	// channel has is refused with ErrTaken. It is called from many goroutines.
	Add(Purchase) error
}

// Purchase is one successful buy.
type Purchase struct {
	ID              string // of the order: its scid in text
	Client          [33]byte
	Token           string // name of the token that it was bought by; "": none
	SCID            lnwire.ShortChannelID
	Params          OpeningFeeParams
	PaymentSize     lnwire.MilliSatoshi // 0: variable
	OpeningFee      lnwire.MilliSatoshi // 0 when variable: it depends on the payment
	CLTVExpiryDelta uint16
	ClientTrustsLSP bool
	AliasUntil      time.Time
	Rules           jit.Rules
	CreatedAt       time.Time
}

// Order is the order of this purchase, waiting for its first part.
func (p Purchase) Order() jit.Order {
	minPayment := p.Params.MinPaymentSize
	if least, ok := minVariable(p.Params, p.Rules); ok {
		minPayment = least
	}
	return jit.New(p.ID, jit.Terms{
		Client:               p.Client,
		SCID:                 p.SCID,
		PaymentSize:          p.PaymentSize,
		MinFee:               p.Params.MinFee,
		PPM:                  p.Params.Proportional,
		MinPayment:           minPayment,
		MaxPayment:           p.Params.MaxPaymentSize,
		ValidUntil:           p.Params.ValidUntil,
		AliasUntil:           p.AliasUntil,
		CLTVExpiryDelta:      p.CLTVExpiryDelta,
		MaxClientToSelfDelay: p.Params.MaxClientToSelfDelay,
		MinLifetime:          p.Params.MinLifetime,
		ClientTrustsLSP:      p.ClientTrustsLSP,
		Rules:                p.Rules,
	})
}

// The blocks of a jit_channel_scid: inside the range in which lnd's switch knows an
// alias, [16000000, 16250000), and clear of its beginning, where aliasmgr counts up
// from for ordinary channels.
const (
	firstSCIDBlock = 16_050_000
	lastSCIDBlock  = 16_249_999
)

// drawSCID draws an id that cannot be guessed: whoever knows it can make us open.
func drawSCID(rand io.Reader) (lnwire.ShortChannelID, error) {
	var b [13]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return lnwire.ShortChannelID{}, fmt.Errorf("lsp: draw jit_channel_scid: %w", err)
	}
	const blocks = lastSCIDBlock - firstSCIDBlock + 1
	return lnwire.ShortChannelID{
		BlockHeight: firstSCIDBlock + uint32(binary.BigEndian.Uint64(b[:8])%blocks),
		TxIndex:     uint32(b[8])<<16 | uint32(b[9])<<8 | uint32(b[10]),
		TxPosition:  binary.BigEndian.Uint16(b[11:]),
	}, nil
}
