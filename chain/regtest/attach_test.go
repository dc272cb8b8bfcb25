package regtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/chain"
)

// TestAttach asks a bitcoind that somebody else has started.
func TestAttach(t *testing.T) {
	b := startBitcoind(t, 0)
	cfg := b.Config()
	cfg.RPCUser, cfg.RPCPassword, cfg.CookieFile = "", "", b.CookieFile()
	a, err := Attach(testContext(t), cfg)
	require.NoError(t, err)
	defer func() { require.NoError(t, a.Close()) }()
	height, err := a.MineTo(testContext(t), 3, someAddress(t, 7))
	require.NoError(t, err)
	require.EqualValues(t, DefaultBitcoindBlocks+3, height)

	ops, err := b.Fund(someAddress(t, 8), 1e8, 1)
	require.NoError(t, err)
	key, script := segwitKey(t)
	mine, err := b.Fund(keyAddress(t, key), 1e6, 1)
	require.NoError(t, err)
	tx := spendSegwit(t, key, script, mine[0], 1e6, 1000)
	pending := wire.OutPoint{Hash: tx.TxHash()}
	for _, c := range []struct {
		op   wire.OutPoint
		want bool
	}{{ops[0], true}, {mine[0], true}, {pending, false}} {
		known, err := a.Knows(testContext(t), c.op)
		require.NoError(t, err)
		require.Equal(t, c.want, known, "%v before", c.op)
	}
	_, err = b.Send(tx)
	require.NoError(t, err)
	known, err := a.Knows(testContext(t), pending)
	require.NoError(t, err)
	require.True(t, known, "in the mempool")
	known, err = a.Knows(testContext(t), mine[0])
	require.NoError(t, err)
	require.False(t, known, "spent in the mempool")
}

// TestAttachRefused: another chain, and a bitcoind that makes no blocks.
func TestAttachRefused(t *testing.T) {
	answers := map[string]string{"getblockchaininfo": `"result":{"chain":"main"}`}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			ID     uint64
			Method string
		}
		require.NoError(t, json.NewDecoder(r.Body).Decode(&q))
		said := answers[q.Method]
		if said == "" {
			said = `"error":{"code":-32601,"message":"Method not found"}`
		}
		_, _ = fmt.Fprintf(w, `{"id":%d,%s}`, q.ID, said)
	}))
	defer server.Close()
	cfg := chain.BitcoindConfig{RPCHost: strings.TrimPrefix(server.URL, "http://"), RPCUser: "u"}
	_, err := Attach(testContext(t), cfg)
	require.ErrorIs(t, err, ErrNotRegtest)

	answers["getblockchaininfo"] = `"result":{"chain":"regtest"}`
	a, err := Attach(testContext(t), cfg)
	require.NoError(t, err)
	defer func() { require.NoError(t, a.Close()) }()
	_, err = a.MineTo(testContext(t), 1, someAddress(t, 7))
	require.ErrorIs(t, err, ErrNoMining)

	cfg.CookieFile = t.TempDir() + "/.cookie"
	_, err = Attach(testContext(t), cfg)
	require.ErrorContains(t, err, "cookie")
}
