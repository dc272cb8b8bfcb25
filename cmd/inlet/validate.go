package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/inletlsp/inlet/node/api"

	"github.com/inletlsp/inlet/node"
)

// networks are the names of the chains, in the order in which they are offered.
var networks = []string{"mainnet", "testnet", "signet", "regtest"}

// bound is the range of a number. Outside of it the node would not work as meant, for the reason
// given.
type bound struct {
	path     string
	min, max uint64
	why      string
}

// bounds are the ranges of the numbers that have one.
var bounds = []bound{
	{"onchain.open_conf_target", 1, 1008, "blocks within which estimates exist"},
	{"onchain.close_conf_target", 1, 1008, "blocks within which estimates exist"},
	{"onchain.max_fee_rate_sat_per_vb", 1, 10_000, "a closing channel must find room in a block"},
	{"onchain.fallback_fee_rate_sat_per_vb", 1, 1000, "under 1 no node relays the transaction"},
	{"onchain.ready_coins", 0, node.MaxReadyCoins, "one transaction makes them"},
	{"onchain.ready_coin_sat", 20_000, 1_000_000_000, "20,000 sat is the smallest channel"},
	{"onchain.merge_below_sat_per_vb", 0, 100, "merging is for cheap times"},
	{"channels.fee_ppm", 0, 1_000_000, "millionths of the payment"},
	{"channels.base_fee_msat", 0, 1_000_000_000, "more than a bitcoin cent for each payment"},
	{"channels.cltv_expiry_delta_blocks", 34, 2016, "under 34 (BOLT 2) a slow block costs money"},
	{"channels.min_inbound_size_sat", 20_000, 1_000_000_000, "smaller ones can't be closed"},
	{"channels.max_pending_per_peer", 1, 100, "each one is watched"},
	{"peers.max_without_channels", 1, 10_000, "each one is a connection"},
	{"lsp.lsps2.proportional_ppm", 0, 500_000, "more than half of the payment"},
	{"lsp.lsps2.min_payment_size_msat", 1000, 1_000_000_000_000, "1 sat to 10 bitcoin"},
	{"lsp.lsps2.max_payment_size_msat", 1000, 1_000_000_000_000, "1 sat to 10 bitcoin"},
	{"lsp.lsps2.valid_for_seconds", 600, 86_400, "bLIP-52 wants at least 10 minutes"},
	{"lsp.lsps2.min_lifetime_blocks", 1, 52_560, "up to a year"},
	{"lsp.lsps2.max_client_to_self_delay_blocks", leastToSelfDelay, 2016, "with less no known " +
		"client can open; so long a force close locks our coins"},
	{"lsp.lsps2.lsp_cltv_expiry_delta_blocks", 70, 2016, "the hold and a force close must fit in"},
	{"lsp.lsps2.hold_seconds", 5, 600, "the payer's coins are locked for so long"},
	{"lsp.lsps2.open_attempt_seconds", 1, 600, "an opening takes about a second"},
	{"lsp.lsps2.max_open_attempts", 1, 10, "attempts within one hold"},
	{"lsp.lsps2.fail_before_expiry_blocks", 24, 144, "under 24 the payer's node force-closes"},
	{"lsp.lsps2.min_outgoing_expiry_delta_blocks", 24, 1008, "the client has to claim in time"},
	{"lsp.lsps2.chain_fee_margin_ppm", 1, 100_000_000, "up to a hundred times the cost"},
	{"lsp.lsps2.promise_key_rotation_seconds", 3600, 2_592_000, "an hour to 30 days"},
	{"lsp.lsps2.min_channel_size_sat", 20_000, 16_777_215, "smaller ones other nodes refuse"},
	{"lsp.lsps2.max_channel_size_sat", 20_000, 16_777_215, "larger ones LDK clients refuse"},
	{"lsp.lsps2.coin_overbooking_ppm", 0, 100_000_000, "up to a hundred times the coins"},
	{"lsp.lsps2.overprovision_ppm", 0, 10_000_000, "up to eleven times the payment"},
	{"lsp.limits.open_orders_per_client", 1, 1000, "each one is kept in memory"},
	{"lsp.limits.open_orders", 1, 100_000, "each one is kept in memory"},
	{"lsp.limits.held_parts_per_payment", 1, 483, "what one channel can carry"},
	{"lsp.limits.held_parts_per_client", 1, 10_000, "each one is kept in memory"},
	{"lsp.limits.held_parts", 1, 100_000, "each one is kept in memory"},
	{"lsp.limits.requests_per_second_per_client", 1, 1000, "each one is signed"},
	{"lsp.limits.requests_per_second", 1, 100_000, "each one is signed"},
	{"lsp.limits.unpaid_window_seconds", 60, 7_776_000, "a minute to 90 days"},
	{"lsp.limits.at_risk_per_client_sat", 0, 2_100_000_000_000_000, "all bitcoin there are"},
	{"lsp.limits.at_risk_per_token_sat", 0, 2_100_000_000_000_000, "all bitcoin there are"},
	{"lsp.limits.at_risk_sat", 0, 2_100_000_000_000_000, "all bitcoin there are"},
}

// validate checks a configuration that a node is to run with. It names everything that is wrong
// at once; warnings are settings that work but hardly do what is meant.
func (c Config) validate() (warnings []string, err error) {
	checks := []error{
		c.checkBounds(), c.checkIdentity(), c.checkAddresses(), c.checkChain(),
		c.checkSecrets(), c.checkLSP(), oneOf("log.level", c.Log.Level, logLevels),
		oneOf("log.format", c.Log.Format, logFormats),
		oneOf("lsp.lsps2.lost_fee", c.LSP.LSPS2.LostFee, []string{"waive", "refuse"}),
	}
	if c.Onchain.FallbackFeeRateSatPerVb > c.Onchain.MaxFeeRateSatPerVb {
		checks = append(checks, errors.New("onchain.fallback_fee_rate_sat_per_vb: "+
			"it is more than onchain.max_fee_rate_sat_per_vb: lower one or raise the other"))
	}
	return c.warnings(), errors.Join(checks...)
}

func (c Config) checkBounds() error {
	values := map[string]uint64{}
	for _, k := range c.keys() {
		if k.value.CanUint() {
			values[k.path] = k.value.Uint()
		}
	}
	var errs []error
	for _, b := range bounds {
		if v := values[b.path]; v < b.min || v > b.max {
			errs = append(errs, fmt.Errorf("%s: %d is not from %d to %d (%s)",
				b.path, v, b.min, b.max, b.why))
		}
	}
	return errors.Join(errs...)
}

func checkNetwork(name string) error { return oneOf("network", name, networks) }

func oneOf(path, value string, known []string) error {
	if slices.Contains(known, value) {
		return nil
	}
	return fmt.Errorf("%s: there is no %q: choose one of %s", path, value,
		strings.Join(known, ", "))
}

func (c Config) checkIdentity() error {
	// BOLT 7: "alias: ... 32 bytes"
	if len(c.Alias) > 32 {
		return fmt.Errorf("alias: %d bytes are more than the 32 of BOLT 7: shorten it",
			len(c.Alias))
	}
	if strings.ContainsFunc(c.Alias, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return errors.New("alias: it has characters that can't be shown: leave them out")
	}
	return checkNetwork(c.Network)
}

func (c Config) checkAddresses() error {
	var errs []error
	if err := api.CheckListen(c.AdminListen); err != nil {
		errs = append(errs, err) // it names the key
	}
	_, adminPort, _ := net.SplitHostPort(c.AdminListen)
	for _, addr := range c.Listen {
		_, port, err := splitAddress(addr)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("listen: %w", err))
		case port == adminPort && port != "0":
			errs = append(errs, fmt.Errorf("listen: %s has the port of admin_listen: "+
				"give one of them another", addr))
		}
	}
	for _, addr := range c.ExternalAddresses {
		host, port, err := splitAddress(addr)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("external_addresses: %w", err))
		case host == "" || port == "0":
			errs = append(errs, fmt.Errorf("external_addresses: nobody can connect to %q: "+
				"give HOST:PORT", addr))
		}
	}
	return errors.Join(errs...)
}

func splitAddress(addr string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(addr)
	if err != nil {
		return "", "", fmt.Errorf("%q is not HOST:PORT", addr)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", "", fmt.Errorf("%q has no port from 0 to 65535", addr)
	}
	return host, port, nil
}

func (c Config) checkChain() error {
	errs := []error{oneOf("chain.backend", c.Chain.Backend, []string{"bitcoind", "btcd"})}
	switch c.Chain.Backend {
	case "btcd":
		b := c.Chain.Btcd
		if b.RPCUser == "" || b.RPCPassword == "" {
			errs = append(errs, errors.New("chain.btcd: rpc_user and rpc_password are missing: "+
				"take them from btcd.conf (rpcuser, rpcpass)"))
		}
		if _, _, err := splitAddress(b.RPCHost); err != nil {
			errs = append(errs, fmt.Errorf("chain.btcd.rpc_host: %w", err))
		}
	case "bitcoind":
		errs = append(errs, c.Chain.Bitcoind.check())
	}
	return errors.Join(errs...)
}

func (b BitcoindConfig) check() error {
	var errs []error
	if b.RPCUser != "" && b.RPCPassword == "" {
		errs = append(errs, errors.New("chain.bitcoind: rpc_user has no rpc_password: give it, "+
			"or leave rpc_user empty to use the cookie"))
	}
	if b.RPCUser == "" && b.RPCPassword != "" {
		errs = append(errs, errors.New("chain.bitcoind: rpc_password has no rpc_user: give it"))
	}
	if _, _, err := splitAddress(b.RPCHost); err != nil {
		errs = append(errs, fmt.Errorf("chain.bitcoind.rpc_host: %w", err))
	}
	if (b.ZMQBlock == "") != (b.ZMQTx == "") {
		errs = append(errs, errors.New("chain.bitcoind: zmq_block and zmq_tx go together: give "+
			"both (zmqpubrawblock and zmqpubrawtx in bitcoin.conf), or none"))
	}
	for path, endpoint := range map[string]string{"zmq_block": b.ZMQBlock, "zmq_tx": b.ZMQTx} {
		if endpoint == "" {
			continue
		}
		if u, err := url.Parse(endpoint); err != nil || u.Scheme != "tcp" || u.Port() == "" {
			errs = append(errs, fmt.Errorf("chain.bitcoind.%s: %q is not like "+
				"tcp://127.0.0.1:28332", path, endpoint))
		}
	}
	return errors.Join(errs...)
}

func (c Config) checkSecrets() error {
	switch {
	case c.InsecureNoPassphrase && c.Network == "mainnet":
		return errors.New("insecure_no_passphrase: not on mainnet, where whoever copies the " +
			"disk would have the coins: use passphrase_file or " + envPassphrase)
	case c.InsecureNoPassphrase && c.PassphraseFile != "":
		return errors.New("insecure_no_passphrase: it contradicts passphrase_file: remove one")
	}
	return nil
}
