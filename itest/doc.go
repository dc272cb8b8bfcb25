// Package itest runs Inlet against programs that are not ours: a real lnd pays, a
// real LDK node receives, on one regtest on which a btcd and a bitcoind are each
// other's peers. `make interop` builds or fetches what it needs; lnd is a tool of
// this module.
package itest
