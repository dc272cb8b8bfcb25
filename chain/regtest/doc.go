// Package regtest runs a private btcd or bitcoind on a chain of its own, with a miner that always
// has money: for the demo, the playground and the tests.
//
// The program is a child process on free ports of 127.0.0.1. It dies with its parent, also when
// that one is killed. Everything it writes is in the directory that it was given.
package regtest
