package main

import (
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/lsp/admission"
	"github.com/inletlsp/inlet/lsp/jit"
)

// TestEveryKeyReachesTheNode changes each key and looks for the change in the node's options: a
// setting that does nothing is a lie.
func TestEveryKeyReachesTheNode(t *testing.T) {
	const passphrase = "secret"
	log := slog.New(slog.DiscardHandler)
	basis := func(path string) Config {
		c := loaded(t, "lsp.enabled=true")
		if strings.HasPrefix(path, "chain.btcd.") {
			c.Chain.Backend = "btcd"
		}
		return c
	}
	// These are for this program, not for the node.
	ours := map[string]bool{"passphrase_file": true, "log.level": true, "log.format": true}
	for _, path := range keyPaths() {
		before, after := basis(path), basis(path)
		for _, k := range after.keys() {
			if k.path == path {
				change(t, k)
			}
		}
		same := reflect.DeepEqual(nodeOptions(before, []byte(passphrase), log),
			nodeOptions(after, []byte(passphrase), log))
		if same != ours[path] {
			t.Errorf("%s: unchanged %t, want %t", path, same, ours[path])
		}
	}
}

// TestDefaultAdmission has the defaults of the configuration be those of an embedder.
func TestDefaultAdmission(t *testing.T) {
	require.Equal(t, admission.DefaultLimits(), admissionLimits(DefaultConfig().LSP))
}

// change gives the key another value than it has.
func change(t *testing.T, k key) {
	t.Helper()
	text := "1"
	switch {
	case k.path == "network":
		text = "regtest"
	case k.path == "chain.backend":
		text = "btcd"
	case k.kind() == "bool":
		text = "true"
		if k.value.Bool() {
			text = "false"
		}
	case k.kind() == "text", k.kind() == "list":
		text = "changed"
	case k.value.Uint() == 1:
		text = "2"
	}
	require.NoError(t, k.set(text))
}

func TestDefaultRulesAreThoseOfTheEngine(t *testing.T) {
	c := DefaultConfig()
	got := offer(c.LSP.LSPS2, int(c.LSP.Limits.HeldPartsPerPayment)).Rules
	if want := jit.DefaultRules(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestChainParamsAreThoseOfTheNetwork(t *testing.T) {
	for network, want := range map[string]string{
		"mainnet": "mainnet", "testnet": "testnet3", "signet": "signet", "regtest": "regtest",
	} {
		if got := chainParams(network).Name; got != want {
			t.Errorf("%s: got %s, want %s", network, got, want)
		}
	}
}
