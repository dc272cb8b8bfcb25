package conform

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp"
)

// fakeTroupe plays with an LSP in memory that keeps the rules, but for wrong.
type fakeTroupe struct {
	wrong string // the name of what is broken, see paidBroken

	trusts bool // client_trusts_lsp
	tight  bool // channels have no room for more than their payment

	last     uint64                          // of scids and invoices
	sold     map[lnwire.ShortChannelID]*sale // by jit_channel_scid and by alias
	invoices map[string]*fakeInvoice
	ways     []lnwire.MilliSatoshi // what the payer can send
	mined    int
}

// sale is an order, and its channel once there is one.
type sale struct {
	client   *fakeClient
	size     lnwire.MilliSatoshi
	channels int
	remote   lnwire.MilliSatoshi
}

type fakeClient struct {
	f        *fakeTroupe
	away     bool
	back     chan struct{}
	channels []Channel
}

type fakeInvoice struct {
	client   *fakeClient
	amount   lnwire.MilliSatoshi
	over     Hint
	received lnwire.MilliSatoshi
}

const fakeDelta = 144

func newTroupe(wrong string) *fakeTroupe {
	return &fakeTroupe{
		wrong: wrong, sold: map[lnwire.ShortChannelID]*sale{}, invoices: map[string]*fakeInvoice{},
		ways: []lnwire.MilliSatoshi{900_000_000, 800_000_000},
	}
}

func (f *fakeTroupe) Client(context.Context) (Client, error) {
	return &fakeClient{f: f, back: make(chan struct{})}, nil
}

func (f *fakeTroupe) Sendable(context.Context) (most, all lnwire.MilliSatoshi, err error) {
	return slices.Max(f.ways), f.ways[0] + f.ways[1], nil
}

func (f *fakeTroupe) Broadcast(context.Context, string) (bool, error) {
	return f.wrong != "does not broadcast", nil
}

func (f *fakeTroupe) Mine(context.Context) error {
	f.mined++
	return nil
}

func (f *fakeTroupe) scid() lnwire.ShortChannelID {
	f.last++
	return lnwire.ShortChannelID{BlockHeight: 16_000_000, TxIndex: uint32(f.last)}
}

func (f *fakeTroupe) Pay(_ context.Context, b Bill) (Payment, error) {
	inv := f.invoices[b.Bolt11]
	amount, parts := max(inv.amount, b.Amount), 1
	if amount > slices.Max(f.ways) {
		parts = 2
	}
	code := f.forward(inv, amount, parts)
	switch {
	case code != "":
		if f.wrong == "garbles failures" {
			code = ""
		}
		return Payment{Failures: []Failure{{Code: code, FromLSP: true}}}, nil
	case f.wrong == "keeps the preimage":
		return Payment{Pending: true, Parts: parts}, nil
	}
	return Payment{Paid: true, Parts: parts}, nil
}

// forward is what the LSP does with a payment; the failure's name, or "".
func (f *fakeTroupe) forward(inv *fakeInvoice, amount lnwire.MilliSatoshi, parts int) string {
	s := f.sold[inv.over.SCID]
	switch {
	case s == nil && f.wrong == "holds unknown scids":
		return "temporary_channel_failure"
	case s == nil:
		return unknownNextPeer
	case s.channels > 0:
		return f.over(s, inv, amount)
	case inv.over.Delta < fakeDelta && f.wrong != "takes any expiry":
		return incorrectCltvExpiry
	case s.size == 0 && amount < f.min() && f.wrong == "sells below the minimum":
		f.open(s, 0)
		return unknownNextPeer
	case s.size == 0 && (amount < f.min() || amount*4000/1_004_000 < 2_000_000):
		return unknownNextPeer
	case parts == 1 && s.size != 0 && f.wrong == "fails whole payments",
		parts > 1 && f.wrong == "fails parts", s.size == 0 && f.wrong == "fails variable amounts":
		return "temporary_channel_failure"
	}
	if s.client.away {
		if f.wrong == "fails when the client is away" {
			return unknownNextPeer
		}
		<-s.client.back
	}
	size := s.size
	if size == 0 {
		size = amount
	}
	fee, _ := item{minFee: 2_000_000, ppm: 4000}.fee(uint64(size))
	switch {
	case s.size != 0 && amount > s.size && f.wrong == "keeps what is overpaid":
		fee += uint64(amount - s.size)
	case f.wrong == "takes a msat too much", parts > 1 && f.wrong == "takes a msat too much of parts":
		fee++
	case s.size == 0: // as for LDK
		fee = uint64(amount) * 4000 / 1_004_000
	}
	inv.received = amount - lnwire.MilliSatoshi(fee)
	f.open(s, inv.received)
	return ""
}

func (f *fakeTroupe) min() lnwire.MilliSatoshi { return lsp.DefaultOffer().MinPaymentSize }

// open opens the channel of an order.
func (f *fakeTroupe) open(s *sale, forwarded lnwire.MilliSatoshi) {
	alias := f.scid()
	f.sold[alias] = s
	s.remote = 200_000_000
	if f.tight {
		s.remote = 1_000_000
	}
	c := Channel{
		Point: fmt.Sprintf("txid%d:1", alias.TxIndex), Private: f.wrong != "announces",
		ZeroConf: true, HasAlias: f.wrong != "gives no alias", Capacity: forwarded + s.remote,
		Local: forwarded, Remote: s.remote,
	}
	switch f.wrong {
	case "pushes":
		c.Local += 1000
	case "opens too small a channel":
		c.Local -= 1000
	}
	s.channels++
	s.client.channels = append(s.client.channels, c)
	if f.wrong == "opens two channels" {
		s.client.channels = append(s.client.channels, c)
	}
}

// over forwards over the channel that is there.
func (f *fakeTroupe) over(s *sale, inv *fakeInvoice, amount lnwire.MilliSatoshi) string {
	if amount > s.remote {
		if f.wrong == "opens another channel" {
			f.open(s, amount)
		}
		return "temporary_channel_failure"
	}
	if f.wrong == "forgets the scid" && inv.over.Delta != 0 {
		return unknownNextPeer
	}
	inv.received = amount
	if f.wrong == "takes the fee again" {
		inv.received -= 1000
	}
	return ""
}

func (c *fakeClient) Buy(_ context.Context, size lnwire.MilliSatoshi) (Deal, error) {
	over := Hint{SCID: c.f.scid(), Delta: fakeDelta}
	c.f.sold[over.SCID] = &sale{client: c, size: size}
	inv, err := c.Invoice(context.Background(), size, &over)
	return Deal{
		Invoice: inv, Over: over, MinFee: 2_000_000, PPM: 4000, MinSize: c.f.min(),
		MaxSize: 4_000_000_000, TrustsLSP: c.f.trusts,
	}, err
}

func (c *fakeClient) Invoice(_ context.Context, amount lnwire.MilliSatoshi, over *Hint) (Invoice, error) {
	if over == nil {
		if c.f.wrong == "sends no channel_update" {
			return Invoice{}, ErrNoHint
		}
		over = &Hint{}
		for scid, s := range c.f.sold {
			if s.client == c && s.channels > 0 {
				over.SCID = scid
			}
		}
	}
	c.f.last++
	hash := lntypes.Hash{byte(c.f.last), byte(c.f.last >> 8)}
	c.f.invoices[hash.String()] = &fakeInvoice{client: c, amount: amount, over: *over}
	return Invoice{Bolt11: hash.String(), Hash: hash}, nil
}

func (c *fakeClient) Received(_ context.Context, hash lntypes.Hash) (lnwire.MilliSatoshi, error) {
	return c.f.invoices[hash.String()].received, nil
}

func (c *fakeClient) Channels(context.Context, lnwire.MilliSatoshi) ([]Channel, error) {
	return slices.Clone(c.channels), nil
}

func (c *fakeClient) Leave(context.Context) error {
	c.away = true
	return nil
}

func (c *fakeClient) Return(context.Context) error {
	close(c.back)
	return nil
}

// paidBroken are LSPs that break one line each.
var paidBroken = []struct {
	line  string
	want  Verdict
	wrong string
}{
	{"LSPS2-16", Fail, "takes a msat too much"},
	{"LSPS2-50", Fail, "holds unknown scids"},
	{"LSPS2-51", Fail, "fails whole payments"},
	{"LSPS2-52", Fail, "fails parts"},
	{"LSPS2-53", Fail, "keeps what is overpaid"},
	{"LSPS2-63", Fail, "fails when the client is away"},
	{"LSPS2-66", Fail, "takes any expiry"},
	{"LSPS2-67", Fail, "fails variable amounts"},
	{"LSPS2-69", Fail, "sells below the minimum"},
	{"LSPS2-73", Fail, "garbles failures"},
	{"LSPS2-80", Fail, "announces"},
	{"LSPS2-80", Fail, "gives no alias"},
	{"LSPS2-80", Fail, "pushes"},
	{"LSPS2-81", Fail, "opens too small a channel"},
	{"LSPS2-87", Fail, "does not broadcast"},
	{"LSPS2-92", Fail, "takes a msat too much"},
	{"LSPS2-93", Fail, "takes a msat too much of parts"},
	{"LSPS2-94", Fail, "takes a msat too much of parts"},
	{"LSPS2-98", Fail, "keeps the preimage"},
	{"LSPS2-99", Differs, "opens two channels"},
	{"LSPS2-110", Fail, "forgets the scid"},
	{"LSPS2-110", Fail, "takes the fee again"},
	{"LSPS2-112", Differs, "opens another channel"},
	{"LSPS2-114", Differs, "sends no channel_update"},
}

// TestPaidOwn has a troupe before an LSP that keeps the rules.
func TestPaidOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTroupe("")
		results, err := RunPaid(t.Context(), newFake(t, fault{}).config(), f)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "paid_own.golden", Table(results))
		if f.mined == 0 {
			t.Error("no block is mined")
		}
	})
}

// TestPaidBroken has each rule that an LSP breaks reported as that line's failure, and
// every line that can pass can fail.
func TestPaidBroken(t *testing.T) {
	var all strings.Builder
	tested := map[string]bool{}
	for _, b := range paidBroken {
		synctest.Test(t, func(t *testing.T) {
			results, err := RunPaid(t.Context(), newFake(t, fault{}).config(), newTroupe(b.wrong))
			if err != nil {
				t.Fatalf("%s: %v", b.wrong, err)
			}
			fmt.Fprintf(&all, "an LSP that %s\n", b.wrong)
			got := NotShown
			for _, r := range results {
				if r.Verdict == Fail || r.Verdict == Differs {
					fmt.Fprintf(&all, "  %s %s: %s\n", r.ID, r.Verdict, r.Reason)
				}
				if r.ID == b.line {
					got = r.Verdict
				}
			}
			if got != b.want {
				t.Errorf("an LSP that %s: %s is %s, want %s", b.wrong, b.line, got, b.want)
			}
		})
		tested[b.line] = true
	}
	golden(t, "paid_broken.golden", all.String())
	synctest.Test(t, func(t *testing.T) {
		results, err := RunPaid(t.Context(), newFake(t, fault{}).config(), newTroupe(""))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Verdict == Pass && !tested[r.ID] {
				t.Errorf("nothing breaks %s", r.ID)
			}
		}
	})
}

// verdict is what a run says of a line.
func verdict(t *testing.T, results []Result, id string) Result {
	t.Helper()
	for _, r := range results {
		if r.ID == id {
			return r
		}
	}
	t.Fatalf("%s is not there", id)
	return Result{}
}

// TestPaidTrusts has an LSP that broadcasts only after the claim.
func TestPaidTrusts(t *testing.T) {
	for wrong, want := range map[string]Verdict{"": NotShown, "does not broadcast": Fail} {
		synctest.Test(t, func(t *testing.T) {
			f := newTroupe(wrong)
			f.trusts = true
			results, err := RunPaid(t.Context(), newFake(t, fault{}).config(), f)
			if err != nil {
				t.Fatal(err)
			}
			if r := verdict(t, results, "LSPS2-87"); r.Verdict != NotShown ||
				!strings.Contains(r.Reason, "client_trusts_lsp") {
				t.Errorf("%+v", r)
			}
			if r := verdict(t, results, "LSPS2-88"); r.Verdict != want {
				t.Errorf("%q: %+v", wrong, r)
			}
		})
	}
}

// TestPaidNotShown has what can't be seen say why, and nothing fail for it.
func TestPaidNotShown(t *testing.T) {
	empty := fault{answer: func(_ *fake, raw, a string) []string {
		if method(raw) == "lsps2.get_info" && code(a) == 0 {
			return []string{result(raw, `{"opening_fee_params_menu":[]}`)}
		}
		return []string{a}
	}}
	tight, one := newTroupe(""), newTroupe("")
	tight.tight = true
	one.ways = []lnwire.MilliSatoshi{900_000_000, 0}
	for _, c := range []struct {
		fault
		troupe   Troupe
		line, in string
	}{
		{empty, newTroupe(""), "LSPS2-51", "the menu is empty"},
		{fault{}, tight, "LSPS2-110", "no room in the channel"},
		{fault{}, tight, "LSPS2-114", "no room in the channel"},
		{fault{}, one, "LSPS2-52", "one channel"},
		{fault{}, noClients{newTroupe("")}, "LSPS2-63", "a client: no room"},
		{fault{}, noClients{newTroupe("")}, "LSPS2-50", "needs the channel"},
		{fault{}, newTroupe(""), "LSPS2-54", "90 seconds"},
		{fault{}, newTroupe(""), "LSPS2-111", "no onion messages"},
	} {
		synctest.Test(t, func(t *testing.T) {
			results, err := RunPaid(t.Context(), newFake(t, c.fault).config(), c.troupe)
			if err != nil || Failed(results) {
				t.Fatalf("%v\n%s", err, Table(results))
			}
			if r := verdict(t, results, c.line); r.Verdict != NotShown || !strings.Contains(r.Reason, c.in) {
				t.Errorf("%s is %s (%s), want %q", c.line, r.Verdict, r.Reason, c.in)
			}
		})
	}
}

// noClients is a troupe that has no more clients.
type noClients struct{ *fakeTroupe }

func (noClients) Client(context.Context) (Client, error) { return nil, errors.New("no room") }

// slow is a troupe whose payments take an hour each.
type slow struct{ *fakeTroupe }

func (s slow) Pay(ctx context.Context, b Bill) (Payment, error) {
	select {
	case <-time.After(time.Hour): // virtual
		return s.fakeTroupe.Pay(ctx, b)
	case <-ctx.Done():
		return Payment{}, ctx.Err()
	}
}

// TestPaidEnds: when the time is over what was seen stays, and another end is an error.
func TestPaidEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Minute)
		defer cancel()
		results, err := RunPaid(ctx, newFake(t, fault{}).config(), slow{newTroupe("")})
		if err != nil {
			t.Fatal(err)
		}
		if r := verdict(t, results, "LSPS2-51"); r.Verdict != Pass {
			t.Errorf("%+v", r)
		}
		for _, id := range []string{"LSPS2-110", "LSPS2-66"} {
			if r := verdict(t, results, id); r.Verdict != NotShown || !strings.Contains(r.Reason, "time") {
				t.Errorf("%+v", r)
			}
		}
		interrupted := errors.New("interrupted")
		ended, end := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Minute, func() { end(interrupted) })
		if _, err := RunPaid(ended, newFake(t, fault{}).config(), slow{newTroupe("")}); !errors.Is(err, interrupted) {
			t.Errorf("%v", err)
		}
	})
}

// TestJoined has the stronger verdict of each line, and all lines in order.
func TestJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wire, err := Run(t.Context(), newFake(t, fault{}).config())
		if err != nil {
			t.Fatal(err)
		}
		paid, err := RunPaid(t.Context(), newFake(t, fault{}).config(), newTroupe(""))
		if err != nil {
			t.Fatal(err)
		}
		all := Joined(wire, paid)
		if len(all) != len(wire)+len(paid)-1 {
			t.Errorf("%d lines of %d and %d", len(all), len(wire), len(paid))
		}
		if r := verdict(t, all, "LSPS2-16"); r.Verdict != Pass {
			t.Errorf("%+v", r)
		}
		if all[0].ID != "LSPS0-01" || all[len(all)-1].ID != "LSPS2-114" {
			t.Errorf("from %s to %s", all[0].ID, all[len(all)-1].ID)
		}
	})
}
