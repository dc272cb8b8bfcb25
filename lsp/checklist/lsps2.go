package checklist

// Parts of bLIP-52.
const (
	s1 = "bLIP-52 s.1"
	s2 = "bLIP-52 s.2"
	s3 = "bLIP-52 s.3"
	s4 = "bLIP-52 s.4"
	s5 = "bLIP-52 s.5"
	s6 = "bLIP-52 s.6"

	ldk   = "LDK clients"
	bolt4 = "BOLT 4"
	trust = "bLIP-52 trust models"
)

// menuAndBuy is get_info and buy, as the LSP answers them.
var menuAndBuy = []Line{
	{"LSPS2-01", Service, s1, "get_info without a token, or with null, gives the public menu", ""},
	{"LSPS2-02", Service, s1, "an unknown or expired token: 200", ""},
	{"LSPS2-03", Service, s1, "an LSP that cannot sell: an empty menu or code 1", ""},
	{"LSPS2-04", Service, s1, "a menu item has its eight fields, in their types, and no other", ""},
	{"LSPS2-05", Service, s1, "each menu item costs more than the one before it, in order", ""},
	{"LSPS2-06", Service, s1, "valid_until is at least 10 minutes ahead", ""},
	{"LSPS2-07", Service, s1, "a promise is at most 512 bytes of ASCII that needs no escape", ""},
	{"LSPS2-08", Service, s2, "one field of the item, or the promise, is changed: 201", ""},
	{"LSPS2-09", Service, ldk, "an item that was parsed and written anew is still promised", ""},
	{"LSPS2-10", Service, s1, "a promise outlives a restart and a change of its key", ""},
	{"LSPS2-11", Service, ours, "an item of another client: 201", ""},
	{"LSPS2-12", Service, s2, "an item after its valid_until: 201", ""},
	{"LSPS2-13", Service, s2, "a payment of min and of max is sold; below 202, above 203", ""},
	{"LSPS2-14", Service, s2, "a fee of the whole payment: 202; one msat less is sold", ""},
	{"LSPS2-15", Service, s2, "a fee that overflows, in the product or in the sum: 203", ""},
	{"LSPS2-16", Both, "bLIP-52 opening_fee", "the fee, at its bounds and where it overflows", ""},
	{"LSPS2-17", Service, s2, "a payment that cannot reach the LSP: 203", ""},
	{"LSPS2-18", Service, s2, "no payment_size_msat, or null, is a variable amount", ""},
	{"LSPS2-19", Service, s1, "an item with a field more: refused", ""},
	{"LSPS2-20", Service, s2, "a field less, or of another type: refused, and nothing is kept", ""},
	{"LSPS2-21", Service, s2, "the answer to buy, and client_trusts_lsp only where it is so", ""},
	{"LSPS2-22", Service, s2, "each purchase has an scid of its own that cannot be foreseen", ""},
	{"LSPS2-23", Service, ours, "an order is on disk before its answer leaves", ""},
	{"LSPS2-24", Service, s2, "too many open orders of a client: 1, until one of them ends", ""},
	{"LSPS2-25", Service, trust, "limits on all orders and clients hold under throw-away ids", ""},
	{"LSPS2-26", Service, ldk, "errors have no data, but for the names of unknown parameters", ""},
	{"LSPS2-27", Service, "bLIP-50 time bounds", "orders that ran out unpaid are deleted", ""},
	{"LSPS2-28", Service, ldk, "an answer takes less than a second, under load too", ""},
}

// clientSide is the purchase, the invoice and the channel, as the client has them.
var clientSide = []Line{
	{"LSPS2-30", Client, s1, "a menu item with an unknown field ends the purchase", ""},
	{"LSPS2-31", Client, s1, "a promise of 513 bytes ends the purchase, one of 512 does not", ""},
	{"LSPS2-32", Client, s2, "buy has the item as it came", ""},
	{"LSPS2-33", Client, s2, "no buy when the fee is too high or overflows, or the size is out", ""},
	{"LSPS2-34", Client, s2, "client_trusts_lsp is accepted only where the user allows it", ""},
	{"LSPS2-35", Client, s3, "the invoice has one hint of one hop: the LSP, its scid, no fee", ""},
	{"LSPS2-36", Client, s3, "the invoice ends with the offer at the latest", ""},
	{"LSPS2-37", Client, s3, "the invoice asks for 2 blocks more than the client wants", ""},
	{"LSPS2-38", Client, s3, "a fixed invoice has its amount and basic_mpp, a variable neither", ""},
	{"LSPS2-39", Client, s5, "a channel of the LSP is zero-conf while an order is live", ""},
	{"LSPS2-40", Client, s5, "the client's to_self_delay is at most what was agreed", ""},
	{"LSPS2-41", Client, s5, "the LSP may give up an open and try again", ""},
	{"LSPS2-42", Client, s5, "all that was taken is at most the opening fee", ""},
	{"LSPS2-43", Client, s5, "each HTLC is what its onion says less extra_fee", ""},
	{"LSPS2-44", Client, "bLIP-25", "extra_fee on a payment that was not bought so: failed", ""},
	{"LSPS2-45", Client, s5, "parts that make the payment less the fee are claimed", ""},
	{"LSPS2-46", Client, s5, "client_trusts_lsp: the preimage leaves without the transaction", ""},
	{"LSPS2-47", Client, s5, "a client that waits sees the right output first", ""},
	{"LSPS2-48", Client, s6, "later invoices have the channel's alias and its fees", ""},
}

// collecting is the payment at the LSP, before there is a channel.
var collecting = []Line{
	{"LSPS2-50", Service, s4, "an HTLC to an unknown scid: unknown_next_peer at once", ""},
	{"LSPS2-51", Service, s4, "fixed: one part of the whole size begins the open", ""},
	{"LSPS2-52", Service, s4, "fixed: one msat less is held; the last one begins the open", ""},
	{"LSPS2-53", Service, s5, "an overpaid order: the fee is of the size, the rest is the client's", ""},
	{
		"LSPS2-54", Service, s4,
		"90 s after the first part all go back with temporary_channel_failure", "",
	},
	{"LSPS2-55", Service, s4, "a part after that begins a new set and new 90 s", ""},
	{"LSPS2-56", Service, s4, "never mpp_timeout", ""},
	{"LSPS2-57", Service, s4, "valid_until passes a set that is not complete: unknown_next_peer", ""},
	{"LSPS2-58", Service, s4, "a set that is complete at valid_until is late", ""},
	{"LSPS2-59", Service, s4, "each payment hash has a set of its own", ""},
	{"LSPS2-60", Service, ours, "the same hash over another scid is not touched", ""},
	{"LSPS2-61", Service, ours, "the same hash on two orders: two sets", ""},
	{"LSPS2-62", Service, s4, "a part too many: unknown_next_peer for the set", ""},
	{
		"LSPS2-63", Service, s4,
		"the client is away: parts are held, the open begins when it is back", "",
	},
	{"LSPS2-64", Service, s4, "the client stays away: temporary_channel_failure in the end", ""},
	{"LSPS2-65", Service, ours, "a held part goes back before its expiry is near", ""},
	{"LSPS2-66", Service, bolt4, "less than lsp_cltv_expiry_delta: incorrect_cltv_expiry", ""},
	{"LSPS2-67", Service, s4, "variable: fee and htlc_minimum must fit into the payment", ""},
	{"LSPS2-68", Service, s4, "variable: a fee that overflows: unknown_next_peer", ""},
	{"LSPS2-69", Service, s2, "variable: below min or above max: unknown_next_peer, no open", ""},
	{"LSPS2-70", Service, ours, "variable: a second part fails, the first goes on", ""},
	{"LSPS2-71", Service, s4, "variable: after valid_until without a channel: unknown_next_peer", ""},
	{"LSPS2-72", Service, ours, "limits on held parts: beyond, temporary_channel_failure", ""},
	{"LSPS2-73", Service, bolt4, "failures are to the letter and the payer can read them", ""},
	{
		"LSPS2-74", Service, s3, "an scid inside a blinded path",
		"no blinded paths in this version",
	},
}

// opening is the channel and the forward.
var opening = []Line{
	{"LSPS2-80", Service, s5, "open_channel: private, with scid_alias, nothing pushed", ""},
	{"LSPS2-81", Service, s5, "the channel carries what is forwarded, after reserve and fees", ""},
	{"LSPS2-82", Service, s5, "a to_self_delay over the limit ends the open: unknown_next_peer", ""},
	{"LSPS2-83", Service, ours, "limits of the client that cannot carry the payment end the open", ""},
	{"LSPS2-84", Service, s5, "the client refuses: unknown_next_peer, coins free, may try again", ""},
	{
		"LSPS2-85", Service, s5,
		"the client goes before funding_signed: temporary_channel_failure, coins free", "",
	},
	{"LSPS2-86", Service, s5, "a failure of the LSP before the broadcast: error, and once more", ""},
	{"LSPS2-87", Service, s5, "LSP trusts client: broadcast and channel_ready at once", ""},
	{"LSPS2-88", Service, s5, "client trusts LSP: broadcast after the claim and not before", ""},
	{"LSPS2-89", Service, s5, "client trusts LSP, no claim: no broadcast, coins free, no channel", ""},
	{"LSPS2-90", Service, s5, "client trusts LSP only when buy said so", ""},
	{"LSPS2-91", Service, s5, "no HTLC before both channel_ready", ""},
	{"LSPS2-92", Service, s5, "extra_fee has 8 bytes, on parts with a deduction, never zero", ""},
	{"LSPS2-93", Service, s5, "the deductions make the fee; each part is over htlc_minimum", ""},
	{"LSPS2-94", Service, s5, "the fee is split well over any parts", ""},
	{"LSPS2-95", Service, bolt4, "the onion and its outgoing expiry go on unchanged", ""},
	{"LSPS2-96", Service, ldk, "the client fails the HTLC: passed on; the fee is still owed", ""},
	{"LSPS2-97", Service, ours, "one part fails: no second fee, no double claim", ""},
	{"LSPS2-98", Service, "BOLT 2", "a part is claimed upstream when its preimage is known", ""},
	{"LSPS2-99", Service, ours, "one channel an order, whatever happens", ""},
	{"LSPS2-100", Service, ours, "the client goes after funding_signed: forwarded when it is back", ""},
	{"LSPS2-101", Service, "BOLT 2", "HTLCs that are sent again have the same extra_fee", ""},
	{"LSPS2-102", Service, ours, "a kill at any step: nothing stuck, nothing funded twice", ""},
	{"LSPS2-103", Service, ours, "parts that come again are known by channel and HTLC id", ""},
	{"LSPS2-104", Service, ours, "the funding is broadcast until it is confirmed", ""},
	{"LSPS2-105", Service, ldk, "the client refuses anchors: once more without", ""},
}

// after is the life of the channel.
var after = []Line{
	{"LSPS2-110", Service, s6, "a second payment over the scid goes on in full", ""},
	{
		"LSPS2-111", Service, s6, "an onion message over the scid goes on",
		"no onion messages in this version",
	},
	{"LSPS2-112", Service, ours, "more than the channel holds: a failure, no second channel", ""},
	{"LSPS2-113", Service, s6, "the scid ends with the offer or later, the alias goes on", ""},
	{"LSPS2-114", Service, ldk, "the client gets a channel_update with the alias", ""},
	{"LSPS2-115", Service, s1, "a paid channel is not closed before min_lifetime", ""},
	{"LSPS2-116", Service, s1, "an unpaid channel may be closed, and counts for the client", ""},
	{"LSPS2-117", Service, trust, "too many unpaid opens: code 1, or client_trusts_lsp", ""},
	{"LSPS2-118", Service, ldk, "an LDK client buys: one part, several, variable", ""},
}
