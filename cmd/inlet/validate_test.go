package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// loaded is a valid configuration with some keys changed.
func loaded(t *testing.T, changes ...string) Config {
	t.Helper()
	flags := map[string]string{}
	for _, change := range changes {
		path, text, _ := strings.Cut(change, "=")
		flags[path] = text
	}
	config, err := sources{home: "/home/op", flags: flags}.load()
	require.NoError(t, err)
	return config
}

func TestDefaultsAreValid(t *testing.T) {
	for _, network := range networks {
		for _, backend := range []string{"bitcoind", "btcd"} {
			warnings, err := loaded(t, "network="+network, "chain.backend="+backend,
				"chain.btcd.rpc_user=u", "chain.btcd.rpc_password=p").validate()
			require.NoError(t, err)
			if len(warnings) != 0 {
				t.Errorf("the defaults give warnings: %q", warnings)
			}
		}
	}
}

func TestWrongSettingsAreRefused(t *testing.T) {
	for _, c := range []struct{ change, want string }{
		{"alias=" + strings.Repeat("x", 33), "32 of BOLT 7"},
		{"alias=a\x1b[2J", "can't be shown"},
		{"listen=9735", "not HOST:PORT"},
		{"listen=:99999", "no port from 0 to 65535"},
		{"listen=:9736", "has the port of admin_listen"},
		{"external_addresses=:9735", "nobody can connect"},
		{"external_addresses=example.com", "not HOST:PORT"},
		{"admin_listen=0.0.0.0:9736", "SSH tunnel"},
		{"admin_listen=9736", "not HOST:PORT"},
		{"log.level=loud", "choose one of debug, info, warn, error"},
		{"log.format=xml", "choose one of text, json"},
		{"onchain.max_fee_rate_sat_per_vb=5", "fallback_fee_rate_sat_per_vb"},
		{"onchain.open_conf_target=0", "0 is not from 1 to 1008"},
		{"channels.cltv_expiry_delta_blocks=20", "BOLT 2"},
		{"channels.cltv_expiry_delta_blocks=145", "forwards to clients would be refused"},
		{"channels.fee_ppm=1000001", "millionths"},
		{"chain.backend=electrum", "choose one of bitcoind, btcd"},
		{"chain.backend=btcd", "rpc_user and rpc_password are missing"},
		{"chain.bitcoind.rpc_user=u", "leave rpc_user empty to use the cookie"},
		{"chain.bitcoind.rpc_password=p", "rpc_password has no rpc_user"},
		{"chain.bitcoind.rpc_host=localhost:x", "no port from 0 to 65535"},
		{"chain.bitcoind.zmq_tx=tcp://127.0.0.1:1", "go together"},
		{"chain.bitcoind.zmq_block=28332", "not like tcp://"},
		{"insecure_no_passphrase=true", "not on mainnet"},
		{"lsp.lsps2.valid_for_seconds=599", "at least 10 minutes"},
		{"lsp.lsps2.min_payment_size_msat=4000000001", "more than max_payment_size_msat"},
		{"lsp.lsps2.min_fee_msat=4000000000", "nothing could ever be sold"},
		{"lsp.lsps2.open_attempt_seconds=91", "no attempt could end"},
		{"lsp.lsps2.hold_seconds=601", "locked for so long"},
		{"lsp.lsps2.lost_fee=keep", "choose one of waive, refuse"},
		{"lsp.lsps2.max_client_to_self_delay_blocks=143", "no known client can open"},
		{"lsp.lsps2.min_channel_size_sat=16777216", "from 20000 to 16777215"},
		{"lsp.lsps2.max_channel_size_sat=19999", "from 20000 to 16777215"},
		{"lsp.lsps2.promise_key_rotation_seconds=3599", "an hour"},
		{"lsp.limits.open_orders=9", "more than open_orders"},
		{"lsp.limits.held_parts_per_payment=61", "more than held_parts_per_client"},
		{"lsp.limits.held_parts=59", "more than held_parts"},
		{"lsp.limits.unpaid_channels_per_client=51", "more than all may (50)"},
		{"lsp.limits.at_risk_sat=5", "more than all may (5)"},
		{"lsp.limits.opens_per_day=999", "more than all may (999)"},
		{"lsp.limits.unpaid_window_seconds=59", "from 60"},
		{"lsp.lsps2.client_trusts_lsp_after_unpaid=51", "never be reached"},
		{"lsp.lsps2.close_unpaid_after_seconds=3599", "may still be held"},
		{"lsp.limits.requests_per_second=9", "more than requests_per_second"},
	} {
		_, err := loaded(t, c.change).validate()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want something with %q", c.change, err, c.want)
		}
	}
}

func TestChannelSizesGoTogether(t *testing.T) {
	_, err := loaded(t, "lsp.lsps2.min_channel_size_sat=30000",
		"lsp.lsps2.max_channel_size_sat=20000").validate()
	require.ErrorContains(t, err, "more than max_channel_size_sat (20000)")
}

func TestAllFaultsAreNamedAtOnce(t *testing.T) {
	_, err := loaded(t, "log.level=loud", "lsp.lsps2.hold_seconds=1", "listen=x").validate()
	for _, path := range []string{"log.level", "lsp.lsps2.hold_seconds", "listen"} {
		require.ErrorContains(t, err, path)
	}
}

func TestOddSettingsAreWarnedAbout(t *testing.T) {
	for _, c := range []struct{ change, want string }{
		{"lsp.lsps2.min_outgoing_expiry_delta_blocks=43", "LDK clients refuse"},
		{"lsp.lsps2.min_payment_size_msat=2000000", "refused all the same"},
	} {
		warnings, err := loaded(t, c.change).validate()
		require.NoError(t, err)
		if len(warnings) != 1 || !strings.Contains(warnings[0], c.want) {
			t.Errorf("%s: got %q, want one warning with %q", c.change, warnings, c.want)
		}
	}
}

func TestPassphraseFileContradictsInsecure(t *testing.T) {
	_, err := loaded(t, "network=regtest", "insecure_no_passphrase=true",
		"passphrase_file=/x").validate()
	require.ErrorContains(t, err, "contradicts")
}
