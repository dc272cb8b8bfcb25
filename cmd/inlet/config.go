package main

import (
	"net"
	"path/filepath"
	"strings"
)

// Config is everything that an operator can set. The toml tags are the keys of the file, of the
// environment (INLET_ and the path in upper case, dots as underscores) and of the flags.
// inlet.example.toml explains each key and shows its default.
type Config struct {
	DataDir              string   `toml:"data_dir"`
	Network              string   `toml:"network"`
	Alias                string   `toml:"alias"`
	Listen               []string `toml:"listen"`
	ExternalAddresses    []string `toml:"external_addresses"`
	AdminListen          string   `toml:"admin_listen"`
	PassphraseFile       string   `toml:"passphrase_file"`
	InsecureNoPassphrase bool     `toml:"insecure_no_passphrase"`

	Log      LogConfig      `toml:"log"`
	Store    StoreConfig    `toml:"store"`
	Onchain  OnchainConfig  `toml:"onchain"`
	Channels ChannelsConfig `toml:"channels"`
	Peers    PeersConfig    `toml:"peers"`
	Chain    ChainConfig    `toml:"chain"`
	LSP      LSPConfig      `toml:"lsp"`
}

// LogConfig says what is logged to standard error.
type LogConfig struct {
	Level  string `toml:"level"`
	Format string `toml:"format"`
}

// StoreConfig is about the database.
type StoreConfig struct {
	WarnSizeMb uint32 `toml:"warn_size_mb"`
}

// OnchainConfig bounds what transactions pay.
type OnchainConfig struct {
	OpenConfTarget          uint32 `toml:"open_conf_target"`
	CloseConfTarget         uint32 `toml:"close_conf_target"`
	MaxFeeRateSatPerVb      uint64 `toml:"max_fee_rate_sat_per_vb"`
	FallbackFeeRateSatPerVb uint64 `toml:"fallback_fee_rate_sat_per_vb"`
	ReadyCoins              uint32 `toml:"ready_coins"`
	ReadyCoinSat            uint64 `toml:"ready_coin_sat"`
	MergeBelowSatPerVb      uint64 `toml:"merge_below_sat_per_vb"`
}

// ChannelsConfig is the policy of channels.
type ChannelsConfig struct {
	BaseFeeMsat           uint64 `toml:"base_fee_msat"`
	FeePpm                uint32 `toml:"fee_ppm"`
	CltvExpiryDeltaBlocks uint16 `toml:"cltv_expiry_delta_blocks"`
	MinInboundSizeSat     uint64 `toml:"min_inbound_size_sat"`
	MaxPendingPerPeer     uint32 `toml:"max_pending_per_peer"`
}

// PeersConfig limits connections.
type PeersConfig struct {
	MaxWithoutChannels uint32 `toml:"max_without_channels"`
}

// ChainConfig chooses where blocks come from.
type ChainConfig struct {
	Backend  string         `toml:"backend"`
	Btcd     BtcdConfig     `toml:"btcd"`
	Bitcoind BitcoindConfig `toml:"bitcoind"`
}

// BtcdConfig is how to reach a btcd.
type BtcdConfig struct {
	RPCHost     string `toml:"rpc_host"`
	RPCUser     string `toml:"rpc_user"`
	RPCPassword string `toml:"rpc_password"`
	CertFile    string `toml:"cert_file"`
	TLS         bool   `toml:"tls"`
}

// BitcoindConfig is how to reach a bitcoind.
type BitcoindConfig struct {
	RPCHost     string `toml:"rpc_host"`
	RPCUser     string `toml:"rpc_user"`
	RPCPassword string `toml:"rpc_password"`
	CookieFile  string `toml:"cookie_file"`
	ZMQBlock    string `toml:"zmq_block"`
	ZMQTx       string `toml:"zmq_tx"`
}

// LSPConfig is the service that sells channels.
type LSPConfig struct {
	Enabled bool          `toml:"enabled"`
	LSPS2   LSPS2Config   `toml:"lsps2"`
	Tokens  []TokenConfig `toml:"tokens"`
	Limits  LimitsConfig  `toml:"limits"`
}

// LSPS2Config is what is sold: the first item of the menu, more of them, and what holds for all.
type LSPS2Config struct {
	MenuItemConfig
	Menu                     []MenuItemConfig `toml:"menu"`
	LSPCltvExpiryDeltaBlocks uint16           `toml:"lsp_cltv_expiry_delta_blocks"`
	TrustConfig
	VariableCompatFee bool `toml:"variable_compat_fee"`
	StockConfig
	SaleConfig
}

// TrustConfig says who trusts whom, and what becomes of channels that nobody pays for. Its keys are
// in the same section as those of LSPS2Config.
type TrustConfig struct {
	ClientTrustsLSP            bool   `toml:"client_trusts_lsp"`
	ClientTrustsLSPAfterUnpaid uint32 `toml:"client_trusts_lsp_after_unpaid"`
	CloseUnpaidAfterSeconds    uint32 `toml:"close_unpaid_after_seconds"`
	CloseIdleAfterBlocks       uint32 `toml:"close_idle_after_blocks"`
}

// MenuItemConfig is one item of a menu. In a table of a list, what is left out is as in lsp.lsps2.
type MenuItemConfig struct {
	MinFeeMsat                 uint64 `toml:"min_fee_msat"`
	ProportionalPpm            uint32 `toml:"proportional_ppm"`
	ValidForSeconds            uint32 `toml:"valid_for_seconds"`
	MinLifetimeBlocks          uint32 `toml:"min_lifetime_blocks"`
	MaxClientToSelfDelayBlocks uint32 `toml:"max_client_to_self_delay_blocks"`
	MinPaymentSizeMsat         uint64 `toml:"min_payment_size_msat"`
	MaxPaymentSizeMsat         uint64 `toml:"max_payment_size_msat"`
}

// StockConfig is about the channels that are sold and their price. Its keys are in the same section
// as those of LSPS2Config.
type StockConfig struct {
	MinFeeFollowsChain        bool   `toml:"min_fee_follows_chain"`
	ChainFeeMarginPpm         uint32 `toml:"chain_fee_margin_ppm"`
	PromiseKeyRotationSeconds uint32 `toml:"promise_key_rotation_seconds"`
	MinChannelSizeSat         uint64 `toml:"min_channel_size_sat"`
	MaxChannelSizeSat         uint64 `toml:"max_channel_size_sat"`
	OverprovisionPpm          uint32 `toml:"overprovision_ppm"`
	CheckLiquidity            bool   `toml:"check_liquidity"`
	CoinOverbookingPpm        uint32 `toml:"coin_overbooking_ppm"`
}

// TokenConfig is a menu for those who know a secret.
type TokenConfig struct {
	Name          string           `toml:"name"`
	Token         string           `toml:"token"`
	TokenSha256   string           `toml:"token_sha256"`
	Enabled       bool             `toml:"enabled"`
	ExpiresAt     string           `toml:"expires_at"`
	MaxOpenOrders uint32           `toml:"max_open_orders"`
	MaxOrders     uint32           `toml:"max_orders"`
	Menu          []MenuItemConfig `toml:"menu"`
}

// SaleConfig is within which bounds a sale comes to its end. Its keys are in the same section as
// those of LSPS2Config.
type SaleConfig struct {
	HoldSeconds                  uint32 `toml:"hold_seconds"`
	OpenAttemptSeconds           uint32 `toml:"open_attempt_seconds"`
	MaxOpenAttempts              uint32 `toml:"max_open_attempts"`
	FailBeforeExpiryBlocks       uint32 `toml:"fail_before_expiry_blocks"`
	MinOutgoingExpiryDeltaBlocks uint32 `toml:"min_outgoing_expiry_delta_blocks"`
	LostFee                      string `toml:"lost_fee"`
}

// LimitsConfig bounds what clients can cost.
type LimitsConfig struct {
	OpenOrdersPerClient     uint32 `toml:"open_orders_per_client"`
	OpenOrders              uint32 `toml:"open_orders"`
	HeldPartsPerPayment     uint32 `toml:"held_parts_per_payment"`
	HeldPartsPerClient      uint32 `toml:"held_parts_per_client"`
	HeldParts               uint32 `toml:"held_parts"`
	RequestsPerSecondClient uint32 `toml:"requests_per_second_per_client"`
	RequestsPerSecond       uint32 `toml:"requests_per_second"`
	AdmissionConfig
}

// AdmissionConfig bounds what clients, tokens and all together may leave unpaid; 0 is no limit. Its
// keys are in the same section as those of LimitsConfig.
type AdmissionConfig struct {
	UnpaidChannelsPerClient uint32 `toml:"unpaid_channels_per_client"`
	UnpaidChannelsPerToken  uint32 `toml:"unpaid_channels_per_token"`
	UnpaidChannels          uint32 `toml:"unpaid_channels"`
	UnpaidWindowSeconds     uint32 `toml:"unpaid_window_seconds"`
	AtRiskPerClientSat      uint64 `toml:"at_risk_per_client_sat"`
	AtRiskPerTokenSat       uint64 `toml:"at_risk_per_token_sat"`
	AtRiskSat               uint64 `toml:"at_risk_sat"`
	OpensPerDayPerClient    uint32 `toml:"opens_per_day_per_client"`
	OpensPerDayPerToken     uint32 `toml:"opens_per_day_per_token"`
	OpensPerDay             uint32 `toml:"opens_per_day"`
}

// DefaultConfig is the configuration of an empty file.
func DefaultConfig() Config {
	return Config{
		Network:     "mainnet",
		Listen:      []string{":9735"},
		AdminListen: "127.0.0.1:9736",
		Log:         LogConfig{Level: "info", Format: "text"},
		Store:       StoreConfig{WarnSizeMb: 1024},
		Onchain: OnchainConfig{
			OpenConfTarget: 6, CloseConfTarget: 6,
			MaxFeeRateSatPerVb: 250, FallbackFeeRateSatPerVb: 10, ReadyCoinSat: 1_000_000,
		},
		Channels: ChannelsConfig{
			BaseFeeMsat: 1000, FeePpm: 100, CltvExpiryDeltaBlocks: 80,
			MinInboundSizeSat: 20_000, MaxPendingPerPeer: 1,
		},
		Peers: PeersConfig{MaxWithoutChannels: 100},
		Chain: ChainConfig{Backend: "bitcoind", Btcd: BtcdConfig{TLS: true}},
		LSP: LSPConfig{
			LSPS2: LSPS2Config{
				MenuItemConfig: MenuItemConfig{
					MinFeeMsat: 2_000_000, ProportionalPpm: 4000, ValidForSeconds: 3600,
					MinLifetimeBlocks: 4320, MaxClientToSelfDelayBlocks: 2016,
					MinPaymentSizeMsat: 10_000_000, MaxPaymentSizeMsat: 4_000_000_000,
				},
				LSPCltvExpiryDeltaBlocks: 144, VariableCompatFee: true,
				TrustConfig: TrustConfig{ClientTrustsLSPAfterUnpaid: 10},
				StockConfig: StockConfig{
					ChainFeeMarginPpm: 1_500_000, PromiseKeyRotationSeconds: 259_200,
					MinChannelSizeSat: 20_000, MaxChannelSizeSat: 16_777_215,
					CheckLiquidity: true, CoinOverbookingPpm: 3_000_000,
				},
				SaleConfig: SaleConfig{
					HoldSeconds: 90, OpenAttemptSeconds: 15, MaxOpenAttempts: 3,
					FailBeforeExpiryBlocks: 24, MinOutgoingExpiryDeltaBlocks: 44,
					LostFee: "waive",
				},
			},
			Limits: LimitsConfig{
				OpenOrdersPerClient: 10, OpenOrders: 1000,
				HeldPartsPerPayment: 30, HeldPartsPerClient: 60, HeldParts: 2000,
				RequestsPerSecondClient: 10, RequestsPerSecond: 2000,
				AdmissionConfig: AdmissionConfig{
					UnpaidChannelsPerClient: 2, UnpaidChannelsPerToken: 10, UnpaidChannels: 50,
					UnpaidWindowSeconds: 86_400, AtRiskPerClientSat: 20_000_000,
					AtRiskPerTokenSat: 100_000_000, AtRiskSat: 200_000_000,
					OpensPerDayPerClient: 50, OpensPerDayPerToken: 1000, OpensPerDay: 5000,
				},
			},
		},
	}
}

// complete fills in what depends on other keys or on the machine.
func (c *Config) complete(home string) {
	base := filepath.Join(home, ".inlet")
	if c.DataDir == "" {
		c.DataDir = filepath.Join(base, c.Network)
	}
	c.DataDir = expandHome(c.DataDir, home)
	c.PassphraseFile = expandHome(c.PassphraseFile, home)
	c.Chain.complete(c.Network, home)
}

// expandHome replaces a leading ~ as a shell would, since a file or the environment has no shell.
func expandHome(path, home string) string {
	if path == "~" {
		return home
	}
	if len(path) > 1 && path[0] == '~' && path[1] == filepath.Separator {
		return filepath.Join(home, path[2:])
	}
	return path
}

// rpcPorts are the ports on which the backends answer RPC, by network.
var rpcPorts = map[string]struct{ btcd, bitcoind string }{
	"mainnet": {"8334", "8332"},
	"testnet": {"18334", "18332"},
	"signet":  {"38334", "38332"},
	"regtest": {"18334", "18443"},
}

// bitcoindFolders are where bitcoind keeps its cookie below its data directory, by network.
var bitcoindFolders = map[string]string{
	"mainnet": "", "testnet": "testnet3", "signet": "signet", "regtest": "regtest",
}

func (c *ChainConfig) complete(network, home string) {
	ports := rpcPorts[network]
	c.Btcd.RPCHost = hostPort(c.Btcd.RPCHost, ports.btcd)
	if c.Btcd.CertFile == "" && c.Btcd.TLS {
		c.Btcd.CertFile = filepath.Join(home, ".btcd", "rpc.cert")
	}
	c.Btcd.CertFile = expandHome(c.Btcd.CertFile, home)
	c.Bitcoind.RPCHost = hostPort(c.Bitcoind.RPCHost, ports.bitcoind)
	if c.Bitcoind.CookieFile == "" && c.Bitcoind.RPCUser == "" {
		c.Bitcoind.CookieFile = filepath.Join(home, ".bitcoin", bitcoindFolders[network], ".cookie")
	}
	c.Bitcoind.CookieFile = expandHome(c.Bitcoind.CookieFile, home)
}

// hostPort adds the usual port to a host that comes without, and this machine to no host at all.
func hostPort(addr, port string) string {
	if addr == "" {
		addr = "127.0.0.1"
	}
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return net.JoinHostPort(strings.Trim(addr, "[]"), port)
	}
	return addr
}
