package wallet

import (
	"fmt"
	"strings"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/txscript"
	"github.com/lightningnetwork/lnd/lnwallet"
)

// AddressKind chooses the script of an address.
type AddressKind uint8

// The kinds of addresses.
const (
	// Taproot is a BIP 86 address, the default.
	Taproot AddressKind = iota

	// WitnessPubKey is a BIP 84 address, for senders that cannot pay taproot.
	WitnessPubKey
)

// NewAddress gives a fresh taproot address.
func (w *Wallet) NewAddress() (btcutil.Address, error) { return w.NewAddressOf(Taproot) }

// NewAddressOf gives a fresh address of the kind.
func (w *Wallet) NewAddressOf(kind AddressKind) (btcutil.Address, error) {
	if !w.running() {
		return nil, fmt.Errorf("wallet: new address: %w", ErrStopped)
	}
	form := lnwallet.TaprootPubkey
	if kind == WitnessPubKey {
		form = lnwallet.WitnessPubKey
	}
	addr, err := w.btcw.NewAddress(form, false, lnwallet.DefaultAccountName)
	if err != nil {
		return nil, fmt.Errorf("wallet: new address: %w", err)
	}

	return addr, nil
}

// changeScript gives the script of a fresh change address.
func (w *Wallet) changeScript() ([]byte, error) {
	addr, err := w.change.take()
	if err != nil {
		return nil, err
	}

	return txscript.PayToAddrScript(addr)
}

// SweepScript gives a fresh taproot output script, for sweeps and cooperative closes.
func (w *Wallet) SweepScript() (lnwallet.AddrWithKey, error) {
	addr, err := w.NewAddress()
	if err != nil {
		return lnwallet.AddrWithKey{}, err
	}
	script, err := txscript.PayToAddrScript(addr)
	if err != nil {
		return lnwallet.AddrWithKey{}, fmt.Errorf("wallet: new sweep script: %w", err)
	}

	return lnwallet.AddrWithKey{DeliveryAddress: script}, nil
}

// payScript decodes an address of the wallet's network. An address of another one is refused by
// the name of its network: coins sent there would be lost.
func payScript(text string, params *chaincfg.Params) ([]byte, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, fmt.Errorf("%w: it is empty", ErrAddress)
	}
	if strings.ToUpper(text) == text {
		text = strings.ToLower(text) // BIP 173: an address may come all in capitals
	}

	addr, err := btcutil.DecodeAddress(text, params)
	if err != nil || !addr.IsForNet(params) {
		if other := networkOf(text, params); other != "" {
			return nil, fmt.Errorf("%w: %q is for %s, this node is on %s", ErrAddress, text,
				other, params.Name)
		}
		if err == nil {
			return nil, fmt.Errorf("%w: %q is for another network than %s", ErrAddress, text,
				params.Name)
		}

		return nil, fmt.Errorf("%w: %q: %w", ErrAddress, text, err)
	}
	if _, bare := addr.(*btcutil.AddressPubKey); bare {
		return nil, fmt.Errorf("%w: %q is a public key, not an address", ErrAddress, text)
	}

	script, err := txscript.PayToAddrScript(addr)
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %w", ErrAddress, text, err)
	}

	return script, nil
}

// networkOf names the other networks that an address could be for.
func networkOf(text string, own *chaincfg.Params) string {
	var names []string
	for _, params := range []*chaincfg.Params{
		&chaincfg.MainNetParams, &chaincfg.TestNet3Params, &chaincfg.SigNetParams,
		&chaincfg.RegressionNetParams, &chaincfg.SimNetParams,
	} {
		addr, err := btcutil.DecodeAddress(text, params)
		if err == nil && params.Net != own.Net && addr.IsForNet(params) {
			names = append(names, params.Name)
		}
	}

	return strings.Join(names, " or ")
}
