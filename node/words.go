package node

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chain"
	"github.com/inletlsp/inlet/chanfactory"
	"github.com/inletlsp/inlet/lsp"
	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/pay"
	"github.com/inletlsp/inlet/peer"
	"github.com/inletlsp/inlet/wallet"
)

// errNoService answers what only an LSP can do.
var errNoService = &api.Error{
	Code: api.Unimplemented, Message: "this node sells no channels",
	Hint: "switch the service on with lsp.enabled",
}

func invalid(message, hint string) error {
	return &api.Error{Code: api.InvalidArgument, Message: message, Hint: hint}
}

// parseURI reads PUBKEY@HOST:PORT. bLIP-50 splits a connection string at the first
// @ and the last colon.
func parseURI(uri string) (*btcec.PublicKey, string, error) {
	id, addr, ok := strings.Cut(uri, "@")
	if !ok {
		return nil, "", invalid(fmt.Sprintf("%q has no @", uri), "write it as PUBKEY@HOST:PORT")
	}
	key, err := parseNodeID(id)
	if err != nil {
		return nil, "", err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host == "" || port == "" {
		return nil, "", invalid(fmt.Sprintf("%q is not HOST:PORT", addr),
			"write the peer as PUBKEY@HOST:PORT, usually with port 9735")
	}
	return key, addr, nil
}

// parsePeer reads PUBKEY@HOST:PORT, or a PUBKEY of a peer that is connected.
func parsePeer(s string) (*btcec.PublicKey, string, error) {
	if !strings.Contains(s, "@") {
		key, err := parseNodeID(s)
		return key, "", err
	}
	return parseURI(s)
}

// ParseNodeID reads a node id: a public key in hexadecimal.
func ParseNodeID(s string) (*btcec.PublicKey, error) { return parseNodeID(s) }

func parseNodeID(s string) (*btcec.PublicKey, error) {
	raw, err := hex.DecodeString(s)
	if err == nil && len(raw) == 33 {
		if key, err := btcec.ParsePubKey(raw); err == nil {
			return key, nil
		}
	}
	return nil, invalid(fmt.Sprintf("%q is not a node id", s),
		"it is a public key: 66 hexadecimal digits that begin with 02 or 03")
}

func parseKey(id [33]byte) (*btcec.PublicKey, error) { return btcec.ParsePubKey(id[:]) }

// formatScid writes a short channel id as bLIP-50 does: BLOCKxTXxOUTPUT.
func formatScid(s lnwire.ShortChannelID) string {
	return fmt.Sprintf("%dx%dx%d", s.BlockHeight, s.TxIndex, s.TxPosition)
}

// networkName is what people call the network.
func networkName(p *chaincfg.Params) string {
	switch p.Name {
	case chaincfg.TestNet3Params.Name:
		return "testnet"
	default:
		return p.Name
	}
}

// explain gives the errors that a caller can do something about their code. What
// is not in the table is a fault of ours.
func explain(err error) error {
	if err == nil {
		return nil
	}
	var rpc *lsp.RPCError
	if errors.As(err, &rpc) {
		return &api.Error{Code: api.FailedPrecondition,
			Message: fmt.Sprintf("the LSP refused (code %d): %s", rpc.Code, rpc.Message)}
	}
	for _, row := range explained {
		if errors.Is(err, row.is) {
			return &api.Error{Code: row.code, Message: err.Error()}
		}
	}
	return err
}

var explained = []struct {
	is   error
	code api.Code
}{
	{ErrNotRunning, api.Unavailable},
	{ErrUnknownChannel, api.NotFound},
	{ErrUnseenFunding, api.FailedPrecondition},
	{ErrRestored, api.FailedPrecondition},
	{chanfactory.ErrRestored, api.FailedPrecondition},
	{ErrMinLifetime, api.FailedPrecondition},
	{ErrPaymentUnderWay, api.FailedPrecondition},
	{ErrOpenFailed, api.FailedPrecondition},
	{ErrTooManyPurchases, api.ResourceExhausted},
	{chanfactory.ErrUnknownChannel, api.NotFound},
	{chanfactory.ErrPendingOpen, api.FailedPrecondition},
	{chanfactory.ErrClosing, api.AlreadyExists},
	{chanfactory.ErrPeerGone, api.Unavailable},
	{chanfactory.ErrBusy, api.ResourceExhausted},
	{chanfactory.ErrUnsupported, api.FailedPrecondition},
	{chanfactory.ErrBadRequest, api.InvalidArgument},
	{peer.ErrNotConnected, api.NotFound},
	{lsp.ErrPeerGone, api.Unavailable},
	{lsp.ErrMuted, api.Unavailable},
	{lsp.ErrBusy, api.ResourceExhausted},
	{pay.ErrBadInvoice, api.InvalidArgument},
	{pay.ErrForeignNetwork, api.InvalidArgument},
	{pay.ErrExpired, api.FailedPrecondition},
	{pay.ErrOwnInvoice, api.InvalidArgument},
	{pay.ErrUnsupported, api.InvalidArgument},
	{pay.ErrAmountMissing, api.InvalidArgument},
	{pay.ErrUnderpaid, api.InvalidArgument},
	{pay.ErrOverpaid, api.InvalidArgument},
	{pay.ErrAmountTooLarge, api.InvalidArgument},
	{pay.ErrInFlight, api.AlreadyExists},
	{pay.ErrAlreadyPaid, api.AlreadyExists},
	{pay.ErrBusy, api.ResourceExhausted},
	{pay.ErrBadRequest, api.InvalidArgument},
	{wallet.ErrStopped, api.Unavailable},
	{wallet.ErrAddress, api.InvalidArgument},
	{wallet.ErrAmount, api.InvalidArgument},
	{wallet.ErrDust, api.InvalidArgument},
	{wallet.ErrFeeRate, api.InvalidArgument},
	{wallet.ErrInsufficientFunds, api.ResourceExhausted},
	{wallet.ErrUnknownTx, api.NotFound},
	{wallet.ErrCannotBump, api.FailedPrecondition},
	{wallet.ErrLeased, api.FailedPrecondition},
	{chain.ErrUnreachable, api.Unavailable},
	{peer.ErrSelf, api.InvalidArgument},
	{peer.ErrHandshake, api.Unavailable},
	{peer.ErrNoInit, api.Unavailable},
	{peer.ErrWrongNetwork, api.FailedPrecondition},
	{peer.ErrFeatures, api.FailedPrecondition},
	{peer.ErrTooManyPeers, api.ResourceExhausted},
	{peer.ErrRefused, api.Unavailable},
	{peer.ErrDisconnected, api.Unavailable},
}
