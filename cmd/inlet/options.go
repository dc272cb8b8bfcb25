package main

import (
	"github.com/btcsuite/btcd/chaincfg"
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
