// Package pay makes and settles BOLT 11 invoices and pays those of others.
//
// Invoices sit over lnd's invoice registry: the registry decides about every HTLC that ends here,
// this package writes the invoice, adds the hints by which a payer finds us, and says which HTLCs
// may carry less than their onion promises (bLIP-25, by way of the Skim port).
//
// Payments need no network graph. A payment leaves by our own channels and goes to a peer of ours,
// or through a peer of ours along a route hint of the invoice:
//
//	us --channel--> destination
//	us --channel--> peer --hint--> [node --hint-->] destination
//
// It may be split over several channels. One payment is a value (transfer) with one method, step:
//
//	           begin            part settled
//	(new) --------------> sending ---------> paid
//	                      |  ^  |
//	part failed, another  |  |  | part failed for good, deadline, restart
//	way is left           +--+  v
//	                           draining -----------> failed
//	                              |   the last part failed
//	                              +----------------> paid
//	                                  a part settled after all
//
// The transfer, with each attempt's id, session key and route, is on disk before the attempt's HTLC
// is handed to the switch; after a restart each attempt is followed to its end by that id. A hash
// whose payment is in flight or has succeeded is never paid again.
package pay
