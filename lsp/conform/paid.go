package conform

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/checklist"
)

// usual is the size of the payments that are played, where the menu allows it: enough for
// a channel that is worth its fees.
const usual = 100_000_000 // msat

// paidRun is a run with money.
type paidRun struct {
	*tester
	troupe Troupe
	item   item // the first of the menu
	first  *customer
}

// customer is a client with what it bought.
type customer struct {
	Client
	deal Deal
}

// scene shows some lines, and is of use by itself.
type scene struct {
	lines string // separated by spaces
	play  func(ctx context.Context, p *paidRun) error
}

// scenes are played in this order.
var scenes = []scene{
	{"LSPS2-51 LSPS2-80 LSPS2-81 LSPS2-87 LSPS2-92 LSPS2-93 LSPS2-98 LSPS2-16", playFixed},
	{"LSPS2-110", playSecond},
	{"LSPS2-114", playOrdinary},
	{"LSPS2-112", playTooMuch},
	{"LSPS2-52 LSPS2-94", playParts},
	{"LSPS2-67 LSPS2-69", playVariable},
	{"LSPS2-50", playUnknown},
	{"LSPS2-63", playAway},
	{"LSPS2-66", playShort},
	{"LSPS2-53", playMore},
}

// RunPaid plays with money what Run can't see: the payment, the channel that it opens and
// its life after. It uses of cfg what reads the menu. When ctx ends by its deadline, what
// was not played is NotShown; any other end is an error.
func RunPaid(ctx context.Context, cfg Config, troupe Troupe) ([]Result, error) {
	p := &paidRun{tester: &tester{cfg: cfg, results: map[string]*Result{}}, troupe: troupe}
	for _, l := range checklist.Lines() {
		if why, ok := needsMoney(l); ok {
			p.results[l.ID] = &Result{l, NotShown, why}
			p.order = append(p.order, l.ID)
		}
	}
	why := p.readMenu(ctx)
	for _, s := range scenes {
		err := why
		if err == nil && ctx.Err() == nil {
			err = s.play(ctx, p)
		}
		if ctx.Err() != nil {
			if cause := context.Cause(ctx); !errors.Is(cause, context.DeadlineExceeded) {
				return nil, cause
			}
			err = errTooLong
		}
		if err != nil {
			p.notShown(s.lines, "%v", err)
		}
	}
	return p.list(), nil
}

var errTooLong = errors.New("the time of the whole run was over")

// Joined is two runs of the same LSP: of a line that is in both, the stronger verdict.
func Joined(a, b []Result) []Result {
	var all []Result
	for _, l := range checklist.Lines() {
		var best *Result
		for _, r := range slices.Concat(a, b) {
			if r.ID == l.ID && (best == nil || strength[r.Verdict] > strength[best.Verdict]) {
				best = &r
			}
		}
		if best != nil {
			all = append(all, *best)
		}
	}
	return all
}

// needsMoney says whether RunPaid is about a line. why is what is said when nothing was
// seen of it.
func needsMoney(l checklist.Line) (why string, ok bool) {
	var n int
	if _, err := fmt.Sscanf(l.ID, "LSPS2-%d", &n); err != nil || l.Role == checklist.Client {
		return "", false
	}
	if n != 16 && (n < 50 || n > 114) {
		return "", false
	}
	if why := unplayed[l.ID]; why != "" {
		return why, true
	}
	if l.Exempt != "" {
		return l.Exempt, true
	}
	return "the checks did not get that far", true
}

// Why a line is not played.
const (
	takesLong   = "takes more than 90 seconds"
	takesOffer  = "takes until the end of an offer"
	needsStop   = "needs a restart of the LSP"
	needsBad    = "needs a client that breaks the opening off"
	needsHeld   = "needs a payer that holds parts back"
	needsUnpaid = "would leave a channel that nobody pays for"
)

// unplayed are the lines that are not played, because that takes too long, does harm or
// would not be seen.
var unplayed = map[string]string{
	"LSPS2-54": takesLong, "LSPS2-55": takesLong, "LSPS2-56": takesLong,
	"LSPS2-57": takesOffer, "LSPS2-58": takesOffer,
	"LSPS2-59": needsHeld, "LSPS2-60": needsHeld, "LSPS2-61": needsHeld, "LSPS2-62": needsHeld,
	"LSPS2-64": takesLong,
	"LSPS2-65": "takes a day of blocks while a payment is held",
	"LSPS2-68": "the item's maximum is below what overflows",
	"LSPS2-70": needsHeld, "LSPS2-71": takesOffer,
	"LSPS2-72": "would leave no room for others at the LSP",
	"LSPS2-82": needsBad, "LSPS2-83": needsBad, "LSPS2-84": needsBad, "LSPS2-85": needsBad,
	"LSPS2-86": "needs a fault inside the LSP",
	"LSPS2-88": "what comes before the claim is not seen",
	"LSPS2-89": needsUnpaid, "LSPS2-90": needsUnpaid,
	"LSPS2-91": "the client's node would say nothing of it",
	"LSPS2-95": "the client sees no more than that it can claim",
	"LSPS2-96": needsUnpaid, "LSPS2-97": needsUnpaid, "LSPS2-100": needsBad,
	"LSPS2-101": needsStop, "LSPS2-102": needsStop, "LSPS2-103": needsStop, "LSPS2-104": needsStop,
	"LSPS2-105": "the clients take anchors",
	"LSPS2-113": takesOffer,
}

// readMenu takes the first item of the menu. The error says why nothing can be played.
func (p *paidRun) readMenu(ctx context.Context) error {
	conn, err := p.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.close()
	menu, a, err := conn.menu(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("get_info: %w", err)
	case a.result == nil:
		return fmt.Errorf("get_info is answered with %s", a.text())
	case len(menu) == 0:
		return errors.New("the menu is empty")
	}
	p.item, _ = readItem(menu[0])
	return nil
}

// size is that of a payment. It is no whole number of satoshi and mostly gives a fee that has to be
// rounded.
func (p *paidRun) size() (lnwire.MilliSatoshi, error) {
	size := max(p.item.good(), min(usual, p.item.maxSize))
	if size < p.item.maxSize {
		size++
	}
	if fee, ok := p.item.fee(size); !ok || fee >= size {
		return 0, errors.New("the item allows no payment that bears its fee")
	}
	return lnwire.MilliSatoshi(size), nil
}

// notShown says why, of the lines of which nothing was seen.
func (p *paidRun) notShown(lines, format string, args ...any) {
	for _, id := range strings.Fields(lines) {
		p.see(id, NotShown, format, args...)
	}
}

// buy brings a client that has bought a channel.
func (p *paidRun) buy(ctx context.Context, size lnwire.MilliSatoshi) (*customer, error) {
	client, err := p.troupe.Client(ctx)
	if err != nil {
		return nil, fmt.Errorf("a client: %w", err)
	}
	deal, err := client.Buy(ctx, size)
	if err != nil {
		return nil, fmt.Errorf("buy %d msat: %w", size, err)
	}
	return &customer{client, deal}, nil
}

// only is the client's channel, with so much on the client's side. More than one are a
// channel too many.
func (p *paidRun) only(ctx context.Context, c *customer, least lnwire.MilliSatoshi) (Channel, error) {
	channels, err := c.Channels(ctx, least)
	if err != nil {
		return Channel{}, err
	}
	p.holds("LSPS2-99", len(channels) == 1, "%d channels for one order", len(channels))
	if len(channels) != 1 {
		return Channel{}, fmt.Errorf("the client has %d channels", len(channels))
	}
	return channels[0], nil
}

// refused judges a payment that the LSP must fail with this code.
func (p *paidRun) refused(id string, pay Payment, code string) {
	p.holds(id, pay.failed(code), "%s", pay.text())
	for _, f := range pay.Failures {
		p.holds("LSPS2-73", f.Code != "", "%s", f)
	}
}
