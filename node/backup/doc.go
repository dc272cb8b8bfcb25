// Package backup is the channel backup: what a node needs, besides its 24 words, to get the money
// in its channels back when its disk is lost.
//
// A channel's state is not in it: an old state is worse than none, because to publish it costs the
// whole channel. What is in it says which channels there are, with whom, and by which of the
// wallet's keys. A node that is restored from it asks its peers to close (BOLT 2,
// option_data_loss_protect) and sweeps what they pay to it. So a backup is good until the next
// channel is opened, and never dangerous.
//
//	magic (8) | version (2) | key id (8) | length of the box (8) | nonce (24) | box
//
// The box is XChaCha20-Poly1305 over the JSON of [Contents], with everything before the nonce as
// additional data. The key comes from the wallet's seed, so the 24 words alone open a backup.
//
// [Encode] and [Decode] are pure; [WriteFile] is the one way to disk, and [Keeper] writes the file
// of a running node whenever its channels have changed.
package backup
