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
	"github.com/inletlsp/inlet/lsp/admission"
	"github.com/inletlsp/inlet/lsp/jit"
	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/api"
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
		Insecure: o.passphrase == nil, Words: o.words, Backup: o.backup,
	})
}

// verifyBackup reads the backup that inlet backup verify asks for.
func verifyBackup(o verifyOrder) (*api.BackupReport, error) {
	params := chainParams(o.config.Network)
	if o.words != nil {
		return node.VerifyBackupByWords(o.file, o.words, params)
	}
	passphrase, err := o.passphrase()
	if err != nil {
		return nil, err
	}
	return node.VerifyBackup(o.file, node.CreateOptions{
		Dir: o.config.DataDir, Params: params, Passphrase: passphrase, Insecure: passphrase == nil,
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

func stock(c OnchainConfig) node.Stock {
	return node.Stock{
		Ready: int(c.ReadyCoins), Size: btcutil.Amount(c.ReadyCoinSat),
		MergeBelow: chainfee.SatPerVByte(c.MergeBelowSatPerVb),
	}
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
			Stock:           stock(c.Onchain),
		},
		Channels: node.ChannelOptions{
			BaseFee: lnwire.MilliSatoshi(c.Channels.BaseFeeMsat), FeePPM: c.Channels.FeePpm,
			CLTVExpiryDelta:   c.Channels.CltvExpiryDeltaBlocks,
			MinInboundSize:    btcutil.Amount(c.Channels.MinInboundSizeSat),
			MaxPendingPerPeer: int(c.Channels.MaxPendingPerPeer),
		},
		MaxStrangers:   int(c.Peers.MaxWithoutChannels),
		WarnStoreBytes: int64(c.Store.WarnSizeMb) << 20,

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
	s := c.LSPS2
	o := &node.LSPOptions{
		Offer: offer(s, int(c.Limits.HeldPartsPerPayment)),
		Limits: lsp.Limits{
			ClientPerSecond: int(c.Limits.RequestsPerSecondClient),
			PerSecond:       int(c.Limits.RequestsPerSecond),
			ClientOpen:      int(c.Limits.OpenOrdersPerClient),
			Open:            int(c.Limits.OpenOrders),
		},
		ClientParts:      int(c.Limits.HeldPartsPerClient),
		Parts:            int(c.Limits.HeldParts),
		OverprovisionPPM: s.OverprovisionPpm,
		MinChannelSize:   btcutil.Amount(s.MinChannelSizeSat),
		MaxChannelSize:   btcutil.Amount(s.MaxChannelSizeSat),
		OverbookPPM:      s.CoinOverbookingPpm,
		SellUnchecked:    !s.CheckLiquidity,
		KeyRotation:      seconds(s.PromiseKeyRotationSeconds),
		Admission:        admissionLimits(c),
		CloseUnpaidAfter: seconds(s.CloseUnpaidAfterSeconds),
		CloseIdleAfter:   s.CloseIdleAfterBlocks,
	}
	for _, t := range c.Tokens {
		o.Tokens = append(o.Tokens, t.token())
	}
	return o
}

func admissionLimits(c LSPConfig) admission.Limits {
	l := c.Limits
	quota := func(unpaid uint32, atRisk uint64, opens uint32) admission.Quota {
		return admission.Quota{
			Unpaid: int(unpaid), AtRisk: btcutil.Amount(atRisk), OpensPerDay: int(opens),
		}
	}
	return admission.Limits{
		Client:     quota(l.UnpaidChannelsPerClient, l.AtRiskPerClientSat, l.OpensPerDayPerClient),
		Token:      quota(l.UnpaidChannelsPerToken, l.AtRiskPerTokenSat, l.OpensPerDayPerToken),
		All:        quota(l.UnpaidChannels, l.AtRiskSat, l.OpensPerDay),
		Window:     seconds(l.UnpaidWindowSeconds),
		TrustAfter: int(c.LSPS2.ClientTrustsLSPAfterUnpaid),
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
	first := c.item()
	return lsp.Offer{
		MinFee: first.MinFee, ProportionalPPM: first.ProportionalPPM,
		ValidFor: first.ValidFor, MinLifetime: first.MinLifetime,
		MaxClientToSelfDelay: first.MaxClientToSelfDelay,
		MinPaymentSize:       first.MinPaymentSize,
		MaxPaymentSize:       first.MaxPaymentSize,
		More:                 items(c.Menu),
		CLTVExpiryDelta:      c.LSPCltvExpiryDeltaBlocks,
		ClientTrustsLSP:      c.ClientTrustsLSP,
		ChainFee:             lsp.ChainFee{Follow: c.MinFeeFollowsChain, MarginPPM: c.ChainFeeMarginPpm},
		Rules:                rules,
	}
}

func (c MenuItemConfig) item() lsp.MenuItem {
	return lsp.MenuItem{
		MinFee: lnwire.MilliSatoshi(c.MinFeeMsat), ProportionalPPM: c.ProportionalPpm,
		ValidFor: seconds(c.ValidForSeconds), MinLifetime: c.MinLifetimeBlocks,
		MaxClientToSelfDelay: c.MaxClientToSelfDelayBlocks,
		MinPaymentSize:       lnwire.MilliSatoshi(c.MinPaymentSizeMsat),
		MaxPaymentSize:       lnwire.MilliSatoshi(c.MaxPaymentSizeMsat),
	}
}

func items(list []MenuItemConfig) []lsp.MenuItem {
	var all []lsp.MenuItem
	for _, c := range list {
		all = append(all, c.item())
	}
	return all
}

// token is what a table that passed validate says.
func (c TokenConfig) token() lsp.Token {
	hash, _ := c.hash()
	end, _ := c.end()
	return lsp.Token{
		Name: c.Name, Hash: hash, Disabled: !c.Enabled, ExpiresAt: end,
		MaxOpen: int(c.MaxOpenOrders), MaxOrders: int(c.MaxOrders), Menu: items(c.Menu),
	}
}

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }
