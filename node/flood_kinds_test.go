package node_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chanfactory"
	"github.com/inletlsp/inlet/node"
)

// flood is many strangers that do one thing each, again and again.
type flood struct {
	key  *btcec.PublicKey
	addr string
	// calm is how long a stranger that was thrown out waits, pace how long between messages.
	calm, pace time.Duration

	wg      sync.WaitGroup
	counts  [nFloodKinds]atomic.Int64 // messages sent
	rounds  [nFloodKinds]atomic.Int64 // connections made
	bought  atomic.Int64
	refused atomic.Int64
}

const nFloodKinds = 9

// floodKind is one way to be a nuisance. It returns when the connection is over.
type floodKind struct {
	name string
	run  func(*flood, context.Context, *btcec.PrivateKey, *atomic.Int64) error
}

var floodKinds = [nFloodKinds]floodKind{
	{"connects and says nothing", (*flood).silent},
	{"is silent after the handshake", (*flood).noInit},
	{"sends init for ever", (*flood).inits},
	{"sends pings", (*flood).pings},
	{"asks LSPS requests", (*flood).requests},
	{"sends malformed LSPS", (*flood).malformed},
	{"opens channels", (*flood).opens},
	{"reestablishes unknown channels", (*flood).reestablishes},
	{"never reads", (*flood).neverReads},
}

// start begins with so many node ids, in turn of each kind. They end with ctx.
func (f *flood) start(ctx context.Context, ids int) {
	for i := range ids {
		kind, key := i%len(floodKinds), newKey()
		f.wg.Go(func() {
			for ctx.Err() == nil {
				f.rounds[kind].Add(1)
				if floodKinds[kind].run(f, ctx, key, &f.counts[kind]) != nil {
					f.refused.Add(1)
				}
				f.wait(ctx, f.calm/2+time.Duration(mrand.Int64N(int64(f.calm))))
				if floodKinds[kind].name == "opens channels" {
					key = newKey() // "with fresh ids"
				}
			}
		})
	}
}

func (f *flood) wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// repeat sends until the connection or ctx is over.
func (f *flood) repeat(ctx context.Context, s *stranger, n *atomic.Int64, make func(int) []byte) error {
	for i := 0; ctx.Err() == nil; i++ {
		_ = s.SetWriteDeadline(time.Now().Add(10 * time.Second))
		if err := s.send(make(i)); err != nil {
			return nil //nolint:nilerr // the LSP ended the connection, which is its right
		}
		n.Add(1)
		f.wait(ctx, f.pace)
	}
	return nil
}

// with makes a connection, with init or without, that ends with ctx.
func (f *flood) with(ctx context.Context, as *btcec.PrivateKey, init bool,
	do func(*stranger) error) error {

	dial := knock
	if init {
		dial = greetAs
	}
	s, err := dial(ecdh(as), f.key, f.addr)
	if err != nil {
		return err
	}
	defer s.Close()
	defer context.AfterFunc(ctx, func() { s.Close() })()
	return do(s)
}

func (f *flood) silent(ctx context.Context, _ *btcec.PrivateKey, _ *atomic.Int64) error {
	c, err := net.DialTimeout("tcp", f.addr, dialTimeout)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	_, _ = c.Read(make([]byte, 1))
	return nil
}

func (f *flood) noInit(ctx context.Context, as *btcec.PrivateKey, _ *atomic.Int64) error {
	return f.with(ctx, as, false, func(s *stranger) error {
		s.drain()
		return nil
	})
}

func (f *flood) inits(ctx context.Context, as *btcec.PrivateKey, n *atomic.Int64) error {
	return f.with(ctx, as, false, func(s *stranger) error {
		go s.drain()
		raw := encoded(strangerInit())
		return f.repeat(ctx, s, n, func(int) []byte { return raw })
	})
}

func (f *flood) pings(ctx context.Context, as *btcec.PrivateKey, n *atomic.Int64) error {
	return f.with(ctx, as, true, func(s *stranger) error {
		go s.drain()
		raw := encoded(lnwire.NewPing(65531))
		return f.repeat(ctx, s, n, func(int) []byte { return raw })
	})
}

func (f *flood) reestablishes(ctx context.Context, as *btcec.PrivateKey, n *atomic.Int64) error {
	return f.with(ctx, as, true, func(s *stranger) error {
		go s.drain()
		return f.repeat(ctx, s, n, func(int) []byte {
			m := &lnwire.ChannelReestablish{
				NextLocalCommitHeight: 9, RemoteCommitTailHeight: 8,
				LocalUnrevokedCommitPoint: as.PubKey(),
			}
			_, _ = rand.Read(m.ChanID[:])
			return encoded(m)
		})
	})
}

// requests asks for the menu, and one of two ids buys from it as much as it gets.
func (f *flood) requests(ctx context.Context, as *btcec.PrivateKey, n *atomic.Int64) error {
	buys := as.Serialize()[31]&1 == 0
	return f.with(ctx, as, true, func(s *stranger) error {
		for i := 0; ctx.Err() == nil; i++ {
			n.Add(1)
			raw, err := s.ask(fmt.Sprint("menu", i), "lsps2.get_info", struct{}{})
			var menu struct {
				Items []json.RawMessage `json:"opening_fee_params_menu"`
			}
			switch {
			case err == nil && buys && json.Unmarshal(raw, &menu) == nil && len(menu.Items) > 0:
				n.Add(1)
				_, err = s.ask(fmt.Sprint("buy", i), "lsps2.buy", map[string]any{
					"opening_fee_params": menu.Items[0], "payment_size_msat": "50000000"})
				if err == nil {
					f.bought.Add(1)
				}
			case err != nil && !bytes.HasPrefix([]byte(err.Error()), []byte("{")):
				return nil // the connection is over
			}
			f.wait(ctx, f.pace)
		}
		return nil
	})
}

var badLSPS = [][]byte{
	[]byte("\xff\xfe{}"), []byte("{}\x00"), []byte("{}{}"), []byte("[]"), []byte(`"x"`), []byte(``),
	bytes.Repeat([]byte("["), 65533), bytes.Repeat([]byte(`{"a":`), 13000),
	[]byte(`{"jsonrpc":"2.0","id":null,"method":"lsps2.get_info"}`),
	[]byte(`{"jsonrpc":"1.0","id":"1","method":"lsps2.get_info"}`),
	[]byte(`{"jsonrpc":"2.0","id":"1","error":{"code":-32700,"message":"x"}}`),
	[]byte(`{"jsonrpc":"2.0","id":"` + string(bytes.Repeat([]byte("x"), 60000)) + `","method":"a"}`),
	[]byte(`{"jsonrpc":"2.0","id":"1","method":"lsps2.buy","params":{"token":"` + "\\u001b[2J\\n" + `"}}`),
}

func (f *flood) malformed(ctx context.Context, as *btcec.PrivateKey, n *atomic.Int64) error {
	return f.with(ctx, as, true, func(s *stranger) error {
		go s.drain()
		return f.repeat(ctx, s, n, func(i int) []byte {
			return append([]byte{0x94, 0x19}, badLSPS[i%len(badLSPS)]...)
		})
	})
}

// opens proposes channels, and for each that is accepted a funding that is not there.
func (f *flood) opens(ctx context.Context, as *btcec.PrivateKey, n *atomic.Int64) error {
	return f.with(ctx, as, true, func(s *stranger) error {
		go s.drain()
		return f.repeat(ctx, s, n, func(i int) []byte {
			open := strangerOpen(as.PubKey())
			if i%3 < 2 {
				return encoded(open)
			}
			sig, _ := lnwire.NewSigFromWireECDSA(bytes.Repeat([]byte{1}, 64))
			return encoded(&lnwire.FundingCreated{
				PendingChannelID: open.PendingChannelID, CommitSig: sig,
				FundingPoint: wire.OutPoint{Hash: open.PendingChannelID},
			})
		})
	})
}

// strangerOpen is a valid open_channel.
func strangerOpen(key *btcec.PublicKey) *lnwire.OpenChannel {
	m := &lnwire.OpenChannel{
		ChainHash:     *chaincfg.RegressionNetParams.GenesisHash,
		FundingAmount: 100_000, DustLimit: 354, MaxValueInFlight: 100_000_000,
		ChannelReserve: 1000, HtlcMinimum: 1, FeePerKiloWeight: 2500, CsvDelay: 144,
		MaxAcceptedHTLCs: 483, FundingKey: key, RevocationPoint: key, PaymentPoint: key,
		DelayedPaymentPoint: key, HtlcPoint: key, FirstCommitmentPoint: key,
		ChannelType: chanfactory.ChanType{Anchors: true}.Wire(),
	}
	_, _ = rand.Read(m.PendingChannelID[:])
	return m
}

// neverReads asks for much and takes nothing.
func (f *flood) neverReads(ctx context.Context, as *btcec.PrivateKey, n *atomic.Int64) error {
	return f.with(ctx, as, true, func(s *stranger) error {
		ping, ask := encoded(lnwire.NewPing(65531)), append([]byte{0x94, 0x19},
			`{"jsonrpc":"2.0","id":"1","method":"lsps2.get_info","params":{}}`...)
		return f.repeat(ctx, s, n, func(i int) []byte {
			if i < 25 {
				return ping // 1.6 MB of pongs
			}
			return ask
		})
	})
}

func encoded(m lnwire.Message) []byte {
	var buf bytes.Buffer
	if _, err := lnwire.WriteMessage(&buf, m, 0); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

// strangersPlan is what the process of the strangers is told.
type strangersPlan struct {
	LSP, Addr  string
	IDs        int
	Calm, Pace time.Duration
}

// strangersEnv has the plan.
const strangersEnv = "INLET_TEST_STRANGERS"

// startStrangers runs the strangers in a process of their own, that gives way to all others:
// in life they are on other machines. stop ends it and returns what it did.
func startStrangers(t testing.TB, plan strangersPlan) (stop func() string) {
	t.Helper()
	raw, err := json.Marshal(plan)
	must(t, err)
	cmd := exec.Command(os.Args[0], "-test.run", "^TestStrangers$", "-test.v")
	cmd.Env = append(os.Environ(), strangersEnv+"="+string(raw))
	in, err := cmd.StdinPipe()
	must(t, err)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	must(t, cmd.Start())
	must(t, syscall.Setpriority(syscall.PRIO_PROCESS, cmd.Process.Pid, 10))
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return func() string {
		must(t, in.Close())
		if err := cmd.Wait(); err != nil {
			t.Errorf("the strangers ended with %v", err)
		}
		return out.String()
	}
}

// TestStrangers is the process of the strangers; alone it does nothing.
func TestStrangers(t *testing.T) {
	var plan strangersPlan
	if json.Unmarshal([]byte(os.Getenv(strangersEnv)), &plan) != nil {
		return // only TestFlood runs it
	}
	key, err := node.ParseNodeID(plan.LSP)
	must(t, err)
	ctx, end := context.WithCancel(t.Context())
	defer end()
	f := &flood{key: key, addr: plan.Addr, calm: plan.Calm, pace: plan.Pace}
	f.start(ctx, plan.IDs)
	_, _ = io.Copy(io.Discard, os.Stdin) // until it is closed
	end()
	f.wg.Wait()
	for i, k := range floodKinds {
		t.Logf("%-32s %6d connections, %7d messages", k.name, f.rounds[i].Load(), f.counts[i].Load())
	}
	t.Logf("%d connections were refused; %d orders were sold to strangers", f.refused.Load(),
		f.bought.Load())
}
