// Package chain follows one Bitcoin full node, btcd or bitcoind, and gives the rest of the program
// what it needs from a chain: blocks, confirmations and spends (lnd's chainntnfs interfaces), fee
// rates, broadcast, and the view that btcwallet is built on.
package chain
