// Package chain follows one Bitcoin full node, btcd or bitcoind, and gives the rest of the program
// what it needs from a chain: blocks, confirmations and spends (lnd's chainntnfs interfaces), fee
// rates, broadcast, and the view that btcwallet is built on.
//
//	src, err := chain.NewBtcd(chain.Options{Params: &chaincfg.MainNetParams}, chain.BtcdConfig{
//		RPCHost: "127.0.0.1:8334", RPCUser: "user", RPCPassword: "password",
//		TLS: true, CertFile: "/home/user/.btcd/rpc.cert",
//	})
//	...
//	if err := src.Start(ctx); err != nil { ... } // says what to do
//	defer src.Stop()
//
// # How it is made
//
//	link          one live connection; hints that there is something to look at, and requests
//	connection    which link is the present one; those who wait for one
//	follower      walks the view to the backend's best block, through reorganisations
//	view          the chain so far, and the steps that led there, for readers at their own pace
//	notifier      lnd's TxNotifier keeps the books; searches of the past, block subscribers
//	mempoolWatch  lnd's MempoolNotifier keeps the books; spends that are in no block
//	walletSource  one goroutine that tells btcwallet everything, in order
//	feeEstimator  answers from memory, which each block refreshes
//
// Notifications of the backend are only ever hints. On each of them, and on each new link, the
// follower asks for the best block and goes there, so that nothing hangs on a notification that was
// lost, came twice or came late. That is also the whole of what has to be done after an outage.
//
// lnd's own notifiers (btcdnotify, bitcoindnotify) and btcwallet's clients are not used. They learn
// of the blocks of an outage only when the next one comes, forget searches that were under way,
// block their callers until the backend is back, and take up to a minute to stop while it is away.
// What is hard about notifications, lnd's TxNotifier, is the same one.
//
// A backend that comes back with fewer blocks than were seen (a crash does that) is waited for; it
// is not followed down. Only another branch makes blocks disconnected.
package chain
