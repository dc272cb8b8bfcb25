package main

// keyHelp is the usage of each configuration key as a flag.
var keyHelp = map[string]string{
	"data_dir":               "directory of all state (default ~/.inlet/NETWORK)",
	"network":                "mainnet, testnet, signet or regtest",
	"alias":                  "name shown to other people, at most 32 bytes",
	"listen":                 "addresses for Lightning peers, HOST:PORT",
	"external_addresses":     "addresses that others reach this node at",
	"admin_listen":           "loopback address of the admin API",
	"passphrase_file":        "file with the wallet's passphrase",
	"insecure_no_passphrase": "wallet without a passphrase (not on mainnet)",

	"log.level":  "debug, info, warn or error",
	"log.format": "text or json",

	"onchain.open_conf_target":             "blocks in which a funding transaction should confirm",
	"onchain.close_conf_target":            "blocks in which a cooperative close should confirm",
	"onchain.max_fee_rate_sat_per_vb":      "no transaction of ours pays more",
	"onchain.fallback_fee_rate_sat_per_vb": "used while the chain backend has no estimate",

	"channels.base_fee_msat":            "fee for each forwarded payment",
	"channels.fee_ppm":                  "fee in millionths of a forwarded payment",
	"channels.cltv_expiry_delta_blocks": "blocks between incoming and outgoing expiry",
	"channels.min_inbound_size_sat":     "smallest channel that others may open to us",
	"channels.max_pending_per_peer":     "unconfirmed channels that one peer may open to us",

	"peers.max_without_channels": "connected peers that we have no channel with",

	"chain.backend": "bitcoind or btcd",

	"chain.btcd.rpc_host":     "HOST:PORT of btcd's RPC (default: this machine)",
	"chain.btcd.rpc_user":     "btcd's rpcuser",
	"chain.btcd.rpc_password": "btcd's rpcpass",
	"chain.btcd.cert_file":    "btcd's rpc.cert (default ~/.btcd/rpc.cert)",
	"chain.btcd.tls":          "false if btcd runs with notls",

	"chain.bitcoind.rpc_host":     "HOST:PORT of bitcoind's RPC (default: this machine)",
	"chain.bitcoind.rpc_user":     "bitcoind's rpcuser; empty: use the cookie",
	"chain.bitcoind.rpc_password": "bitcoind's rpcpassword",
	"chain.bitcoind.cookie_file":  "bitcoind's .cookie (default: in ~/.bitcoin)",
	"chain.bitcoind.zmq_block":    "bitcoind's zmqpubrawblock, like tcp://127.0.0.1:28332",
	"chain.bitcoind.zmq_tx":       "bitcoind's zmqpubrawtx, like tcp://127.0.0.1:28333",

	"lsp.enabled": "sell just-in-time channels",

	"lsp.lsps2.min_fee_msat":                     "smallest fee for a channel",
	"lsp.lsps2.proportional_ppm":                 "fee in millionths of the payment",
	"lsp.lsps2.valid_for_seconds":                "how long an offer stands",
	"lsp.lsps2.min_lifetime_blocks":              "a paid channel isn't closed before",
	"lsp.lsps2.max_client_to_self_delay_blocks":  "largest to_self_delay for a client to ask",
	"lsp.lsps2.min_payment_size_msat":            "smallest payment that opens a channel",
	"lsp.lsps2.max_payment_size_msat":            "largest payment that opens a channel",
	"lsp.lsps2.lsp_cltv_expiry_delta_blocks":     "time lock delta in clients' invoices",
	"lsp.lsps2.hold_seconds":                     "how long parts wait for the rest or the client",
	"lsp.lsps2.open_attempt_seconds":             "how long one opening may take",
	"lsp.lsps2.max_open_attempts":                "openings tried within one hold",
	"lsp.lsps2.fail_before_expiry_blocks":        "held parts are failed so long before they expire",
	"lsp.lsps2.min_outgoing_expiry_delta_blocks": "least time lock left to clients",
	"lsp.lsps2.client_trusts_lsp":                "fund on chain only when the client has claimed",
	"lsp.lsps2.variable_compat_fee":              "for variable amounts take what LDK clients accept",
	"lsp.lsps2.min_fee_follows_chain":            "raise min_fee_msat to what a channel costs on chain",
	"lsp.lsps2.chain_fee_margin_ppm":             "by how much that cost is multiplied, in millionths",
	"lsp.lsps2.promise_key_rotation_seconds":     "how long one key signs offers",
	"lsp.lsps2.min_channel_size_sat":             "smallest channel that is opened for a client",
	"lsp.lsps2.max_channel_size_sat":             "largest channel that is opened for a client",
	"lsp.lsps2.check_liquidity":                  "sell only what can reach us and be funded",
	"lsp.lsps2.coin_overbooking_ppm":             "promise more than the coins, in millionths of them",
	"lsp.lsps2.overprovision_ppm":                "make channels larger, by millionths of the payment",
	"lsp.lsps2.lost_fee":                         "waive or refuse when the fee can't be taken",

	"lsp.limits.open_orders_per_client":         "orders of one client not yet paid",
	"lsp.limits.open_orders":                    "orders of all clients not yet paid",
	"lsp.limits.held_parts_per_payment":         "parts held of one payment",
	"lsp.limits.held_parts_per_client":          "parts held for one client",
	"lsp.limits.held_parts":                     "parts held in all",
	"lsp.limits.requests_per_second_per_client": "LSPS requests that one peer may send",
	"lsp.limits.requests_per_second":            "LSPS requests that all peers may send",
}
