package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chain"
	"github.com/inletlsp/inlet/lsp"
	"github.com/inletlsp/inlet/lsp/jit"
	"github.com/inletlsp/inlet/node"
)

// chainParams are the parameters of a network of the configuration.
func chainParams(network string) *chaincfg.Params {
	switch network {
	case "testnet":
		return &chaincfg.TestNet3Params
	case "signet":
		return &chaincfg.SigNetParams
	case "regtest":
		return &chaincfg.RegressionNetParams
	}
	return &chaincfg.MainNetParams
}

// createWallet makes the wallet that inlet create asks for.
func createWallet(o createOrder) ([]string, error) {
	return node.Create(node.CreateOptions{
		Dir: o.config.DataDir, Params: chainParams(o.config.Network), Passphrase: o.passphrase,
		Insecure: o.passphrase == nil, Words: o.words,
	})
}

// runNode runs the node until ctx ends.
func runNode(ctx context.Context, c Config, passphrase []byte, log *slog.Logger) error {
	n, err := node.New(nodeOptions(c, passphrase, log))
	if err != nil {
		return err
	}
	return n.Run(ctx)
}

// nodeOptions says in the node's words what the configuration says.
func nodeOptions(c Config, passphrase []byte, log *slog.Logger) node.Options {
	o := node.Options{
		Dir: c.DataDir, Params: chainParams(c.Network), Alias: c.Alias, Listen: c.Listen,
		External: c.ExternalAddresses, Admin: c.AdminListen, Version: buildVersion().Version,
		Passphrase: passphrase, InsecureNoPassphrase: c.InsecureNoPassphrase,
		Onchain: node.OnchainOptions{
			OpenConfTarget:  c.Onchain.OpenConfTarget,
			CloseConfTarget: c.Onchain.CloseConfTarget,
			MaxFeeRate:      chainfee.SatPerVByte(c.Onchain.MaxFeeRateSatPerVb),
			FallbackFeeRate: chainfee.SatPerVByte(c.Onchain.FallbackFeeRateSatPerVb),
		},
		Channels: node.ChannelOptions{
			BaseFee: lnwire.MilliSatoshi(c.Channels.BaseFeeMsat), FeePPM: c.Channels.FeePpm,
			CLTVExpiryDelta:   c.Channels.CltvExpiryDeltaBlocks,
			MinInboundSize:    btcutil.Amount(c.Channels.MinInboundSizeSat),
			MaxPendingPerPeer: int(c.Channels.MaxPendingPerPeer),
		},
		MaxStrangers: int(c.Peers.MaxWithoutChannels),

		NoEvents: true, // nothing here reads them, so they would only fill the store
		Log:      log,
	}
	switch c.Chain.Backend {
	case "btcd":
		b := c.Chain.Btcd
		o.Chain.Btcd = &chain.BtcdConfig{
			RPCHost: b.RPCHost, RPCUser: b.RPCUser, RPCPassword: b.RPCPassword,
			CertFile: b.CertFile, TLS: b.TLS,
		}
	case "bitcoind":
		b := c.Chain.Bitcoind
		o.Chain.Bitcoind = &chain.BitcoindConfig{
			RPCHost: b.RPCHost, RPCUser: b.RPCUser, RPCPassword: b.RPCPassword,
			CookieFile: b.CookieFile, ZMQBlock: b.ZMQBlock, ZMQTx: b.ZMQTx,
		}
	}
	if c.LSP.Enabled {
		o.LSP = lspOptions(c.LSP)
	}
	return o
}

func lspOptions(c LSPConfig) *node.LSPOptions {
	return &node.LSPOptions{
		Offer: offer(c.LSPS2, int(c.Limits.HeldPartsPerPayment)),
		Limits: lsp.Limits{
			ClientPerSecond: int(c.Limits.RequestsPerSecondClient),
			PerSecond:       int(c.Limits.RequestsPerSecond),
			ClientOpen:      int(c.Limits.OpenOrdersPerClient),
			Open:            int(c.Limits.OpenOrders),
		},
		ClientParts:      int(c.Limits.HeldPartsPerClient),
		Parts:            int(c.Limits.HeldParts),
		OverprovisionPPM: c.LSPS2.OverprovisionPpm,
	}
}

func offer(c LSPS2Config, maxParts int) lsp.Offer {
	rules := jit.DefaultRules()
	rules.Hold = seconds(c.HoldSeconds)
	rules.OpenTimeout = seconds(c.OpenAttemptSeconds)
	rules.MaxOpenAttempts = int(c.MaxOpenAttempts)
	rules.MaxParts = maxParts
	rules.MinFinalExpiryDelta = c.MinOutgoingExpiryDeltaBlocks
	rules.ExpiryMargin = c.FailBeforeExpiryBlocks
	rules.VariableCompatFee = c.VariableCompatFee
	rules.LostSkim = jit.LostSkim(c.LostFee)
	return lsp.Offer{
		MinFee: lnwire.MilliSatoshi(c.MinFeeMsat), ProportionalPPM: c.ProportionalPpm,
		ValidFor: seconds(c.ValidForSeconds), MinLifetime: c.MinLifetimeBlocks,
		MaxClientToSelfDelay: c.MaxClientToSelfDelayBlocks,
		MinPaymentSize:       lnwire.MilliSatoshi(c.MinPaymentSizeMsat),
		MaxPaymentSize:       lnwire.MilliSatoshi(c.MaxPaymentSizeMsat),
		CLTVExpiryDelta:      c.LSPCltvExpiryDeltaBlocks,
		ClientTrustsLSP:      c.ClientTrustsLSP,
		Rules:                rules,
	}
}

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }
