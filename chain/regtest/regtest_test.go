package regtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/stretchr/testify/require"
)

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// need skips a test without its program, and fails it in CI.
func need(t *testing.T, err error) {
	if errors.Is(err, ErrNoProgram) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	require.NoError(t, err)
}

func startBtcd(t *testing.T, blocks int) *Btcd {
	b, err := StartBtcd(testContext(t), Btcd{Dir: t.TempDir(), Blocks: blocks})
	need(t, err)
	t.Cleanup(func() { require.NoError(t, b.Stop()) })
	return b
}

func startBitcoind(t *testing.T, blocks int) *Bitcoind {
	b, err := StartBitcoind(testContext(t), Bitcoind{Dir: t.TempDir(), Blocks: blocks})
	need(t, err)
	t.Cleanup(func() { require.NoError(t, b.Stop()) })
	return b
}

// someAddress is a pay-to-witness-pubkey-hash address whose key nobody has.
func someAddress(t *testing.T, b byte) btcutil.Address {
	hash := make([]byte, 20)
	hash[0] = b
	addr, err := btcutil.NewAddressWitnessPubKeyHash(hash, &chaincfg.RegressionNetParams)
	require.NoError(t, err)
	return addr
}

func TestBtcd(t *testing.T) {
	testRegtest(t, startBtcd(t, 0), DefaultBtcdBlocks)
}

func TestBitcoind(t *testing.T) {
	testRegtest(t, startBitcoind(t, 0), DefaultBitcoindBlocks)
}

func testRegtest(t *testing.T, r Regtest, start uint32) {
	height, err := r.Height()
	require.NoError(t, err)
	require.Equal(t, start, height, "starts with mature coins")

	t.Run("fund", func(t *testing.T) {
		ops, err := r.Fund(someAddress(t, 1), 1e8, 30)
		require.NoError(t, err)
		require.Len(t, ops, 30)
		tx, err := r.Tx(ops[29].Hash)
		require.NoError(t, err)
		require.EqualValues(t, 1, tx.Confirmations)
		require.EqualValues(t, 1e8, tx.Tx.TxOut[ops[29].Index].Value)
		best, err := r.BestBlock()
		require.NoError(t, err)
		require.Equal(t, best, tx.BlockHash)
	})
	t.Run("fund many, again and again from change", func(t *testing.T) {
		for i := range 5 {
			tx, err := r.FundMany([]Payment{
				{someAddress(t, 2), 10e8}, {someAddress(t, 3), btcutil.Amount(5e7 + i)},
			})
			require.NoError(t, err)
			require.EqualValues(t, 10e8, tx.TxOut[0].Value)
			require.EqualValues(t, 5e7+i, tx.TxOut[1].Value)
		}
	})
	t.Run("mine to an address", func(t *testing.T) {
		before, err := r.Height()
		require.NoError(t, err)
		_, err = r.MineTo(2, someAddress(t, 4))
		require.NoError(t, err)
		after, err := r.Height()
		require.NoError(t, err)
		require.Equal(t, before+2, after)
	})
	testMining(t, r)
	testEnds(t, r)
}

func testMining(t *testing.T, r Regtest) {
	t.Run("mine without the mempool", func(t *testing.T) {
		key, script := segwitKey(t)
		ops, err := r.Fund(keyAddress(t, key), 1e6, 1)
		require.NoError(t, err)
		tx := spendSegwit(t, key, script, ops[0], 1e6, 1000)
		_, err = r.Send(tx)
		require.NoError(t, err)
		_, err = r.MineEmpty(2)
		require.NoError(t, err)
		got, err := r.Tx(tx.TxHash())
		require.NoError(t, err)
		require.Zero(t, got.Confirmations)
		_, err = r.Mine(1)
		require.NoError(t, err)
		got, err = r.Tx(tx.TxHash())
		require.NoError(t, err)
		require.EqualValues(t, 1, got.Confirmations)
	})
	t.Run("reorganisation", func(t *testing.T) {
		before, err := r.Mine(1)
		require.NoError(t, err)
		require.NoError(t, r.InvalidateBlock(before[0]))
		after, err := r.MineTo(2, someAddress(t, 5))
		require.NoError(t, err)
		require.NotContains(t, after, before[0])
		_, err = r.Fund(someAddress(t, 6), 1e6, 1)
		require.NoError(t, err, "the miner's coins follow the chain")
	})
	t.Run("unknown transaction", func(t *testing.T) {
		_, err := r.Tx(chainhash.Hash{1})
		require.ErrorIs(t, err, ErrNoTx)
	})
}

func testEnds(t *testing.T, r Regtest) {
	t.Run("stop and restart", func(t *testing.T) {
		before, err := r.BestBlock()
		require.NoError(t, err)
		require.NoError(t, r.Stop())
		require.NoError(t, r.Stop(), "stopping twice is harmless")
		_, err = r.Height()
		require.Error(t, err)
		require.NoError(t, r.Restart(testContext(t)))
		after, err := r.BestBlock()
		require.NoError(t, err)
		require.Equal(t, before, after)
		_, err = r.Fund(someAddress(t, 7), 1e6, 1)
		require.NoError(t, err)
	})
	t.Run("kill and restart", func(t *testing.T) {
		before, err := r.BestBlock()
		require.NoError(t, err)
		require.NoError(t, r.Kill())
		require.NoError(t, r.Restart(testContext(t)))
		after, err := r.BestBlock()
		require.NoError(t, err)
		require.Equal(t, before, after)
		_, err = r.Fund(someAddress(t, 8), 1e6, 1)
		require.NoError(t, err)
	})
}

func TestNoMoney(t *testing.T) {
	r := startBtcd(t, NoBlocks)
	_, err := r.Fund(someAddress(t, 1), 1e5*btcutil.SatoshiPerBitcoin, 1)
	require.ErrorIs(t, err, ErrNoMoney)
}

// crowded draws a port that is taken the first time.
type crowded struct {
	*Btcd
	taken string
	draws int
}

func (c *crowded) draw() error {
	c.draws++
	if err := c.Btcd.draw(); err != nil {
		return err
	}
	if c.draws == 1 {
		c.peerAddr = c.taken
	}
	return nil
}

func TestPortClash(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	b := &Btcd{Dir: t.TempDir(), front: &front{}}
	b.Binary, err = FindBtcd()
	need(t, err)
	b.node, err = newNode(b.Dir, 1)
	require.NoError(t, err)
	c := &crowded{Btcd: b, taken: listener.Addr().String()}
	b.program = c
	require.NoError(t, b.start(testContext(t), NoBlocks))
	require.Equal(t, 2, c.draws, "the second ports are good")
	require.NoError(t, b.Stop())
}

func TestProgramMissing(t *testing.T) {
	t.Setenv("INLET_BTCD", filepath.Join(t.TempDir(), "nothing"))
	_, err := StartBtcd(t.Context(), Btcd{Dir: t.TempDir()})
	require.ErrorIs(t, err, ErrNoProgram)
	require.ErrorContains(t, err, "INLET_BTCD")
}

// TestDiesWithParent kills a process that has started a btcd, and waits for the end of the btcd:
// that of the pipe which both held open.
func TestDiesWithParent(t *testing.T) {
	if dir := os.Getenv("REGTEST_PARENT_DIR"); dir != "" {
		_, err := StartBtcd(t.Context(), Btcd{Dir: dir, Blocks: NoBlocks})
		require.NoError(t, err)
		fmt.Println("started")
		select {}
	}
	_, err := FindBtcd()
	need(t, err)
	dir := t.TempDir()
	parent := exec.Command(os.Args[0], "-test.run=^TestDiesWithParent$")
	parent.Env = append(os.Environ(), "REGTEST_PARENT_DIR="+dir)
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "started\n", line)

	conf, err := os.ReadFile(filepath.Join(dir, "btcd.conf"))
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(conf), "\nlisten=")
	addr, _, _ := strings.Cut(rest, "\n")
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err, "the btcd runs")
	defer conn.Close()

	require.NoError(t, parent.Process.Kill())
	_ = parent.Wait() // it was killed
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, err = io.Copy(io.Discard, conn)
	require.False(t, errors.Is(err, os.ErrDeadlineExceeded), "the btcd is gone")
}
