// Package wallet keeps the node's seed, its keys and its coins.
//
// One seed of 24 aezeed words gives everything: the on-chain coins (BIP 84 and BIP 86, exactly
// as lnd derives them, so that the words bring the coins back in lnd too), the channel keys at
// m/1017'/coin'/family'/0/index, the node's identity (family 6, index 0) and the purpose-bound
// secrets of DeriveSecret.
//
// What it promises:
//
//   - The seed is stored only under a passphrase, or openly when Insecure was asked for by name.
//   - A channel key is handed out once, whatever happens: counters are on disk before they count.
//   - A coin is leased before it is signed for, and freed on every way out.
//   - The reserve for fee bumps (Options.AnchorReserve) is spent neither by Send nor by openings
//     that are funded through Funder.
//   - A transaction of ours is on disk before it is broadcast, and is broadcast again at start.
//
// The smallest program: Create once and show the words, then Open, Start, and Stop at the end.
//
//	words, err := wallet.Create(db, wallet.CreateOptions{Params: params, Passphrase: pass})
//	w, err := wallet.Open(wallet.Options{DB: db, Params: params, Passphrase: pass, Chain: source})
//	err = w.Start(ctx)
//	addr, err := w.NewAddress()
//	defer w.Stop()
package wallet
