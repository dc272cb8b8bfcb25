package chain

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
)

const (
	defaultPollInterval   = time.Second
	defaultRetryInterval  = 500 * time.Millisecond
	defaultRequestTimeout = 30 * time.Second

	// maxRetryFactor is how many times the first wait the waits between two attempts to
	// connect grow to at most.
	maxRetryFactor = 16
)

// fill checks the options and replaces zero values by the defaults.
func (o *Options) fill() error {
	if o.Params == nil {
		return errors.New("chain: Options.Params is missing")
	}
	if o.Hints == nil {
		o.Hints = newMemoryHints()
	}
	if o.FeeFallback == 0 {
		o.FeeFallback = DefaultFeeFallback
	}
	if o.FeeCap == 0 {
		o.FeeCap = DefaultFeeCap
	}
	if o.FeeCap < chainfee.FeePerKwFloor {
		return fmt.Errorf("chain: fee cap %v is under the floor of %v; raise "+
			"onchain.max_fee_rate_sat_per_vb", o.FeeCap, chainfee.FeePerKwFloor)
	}
	o.FeeFallback = min(max(o.FeeFallback, chainfee.FeePerKwFloor), o.FeeCap)
	if o.PollInterval <= 0 {
		o.PollInterval = defaultPollInterval
	}
	if o.RetryInterval <= 0 {
		o.RetryInterval = defaultRetryInterval
	}
	if o.RequestTimeout <= 0 {
		o.RequestTimeout = defaultRequestTimeout
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// withPort adds the standard port to a host that has none.
func withPort(host, port string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(host, port)
}

// The programs' standard RPC ports, by the name of the network.
var (
	btcdPorts = map[string]string{
		chaincfg.MainNetParams.Name:       "8334",
		chaincfg.TestNet3Params.Name:      "18334",
		chaincfg.TestNet4Params.Name:      "48334",
		chaincfg.SigNetParams.Name:        "38334",
		chaincfg.SimNetParams.Name:        "18556",
		chaincfg.RegressionNetParams.Name: "18334",
	}
	bitcoindPorts = map[string]string{
		chaincfg.MainNetParams.Name:       "8332",
		chaincfg.TestNet3Params.Name:      "18332",
		chaincfg.TestNet4Params.Name:      "48332",
		chaincfg.SigNetParams.Name:        "38332",
		chaincfg.RegressionNetParams.Name: "18443",
	}
)

// networkName says in words which network a genesis block belongs to.
func networkName(genesis string) string {
	for _, p := range []*chaincfg.Params{
		&chaincfg.MainNetParams, &chaincfg.TestNet3Params, &chaincfg.TestNet4Params,
		&chaincfg.SigNetParams, &chaincfg.SimNetParams, &chaincfg.RegressionNetParams,
	} {
		if p.GenesisHash.String() == genesis {
			return p.Name
		}
	}
	return "an unknown network with genesis block " + genesis
}
