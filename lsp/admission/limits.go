package admission

import (
	"errors"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/btcutil"
)

// Quota bounds what a client, a token or all together may have at a time. Zero is no limit. Open
// orders, which cost nothing yet, are the service's to count.
type Quota struct {
	// Unpaid are channels that were funded and not paid for: they are open, or were closed within
	// Limits.Window. One whose payment is under way counts when a channel is to be opened, and in
	// Judge once that has taken ten minutes.
	Unpaid int

	// AtRisk is what is in channels that are not paid for, the withheld ones included.
	AtRisk btcutil.Amount

	// OpensPerDay are the channels opened in any 24 hours, paid or not. A withheld funding that was
	// dropped counts for its client and its token, and not for all: else throw-away clients could
	// use up everybody's.
	OpensPerDay int
}

// Limits are those of every client, of every token, and of all together.
type Limits struct {
	Client, Token, All Quota

	// Window is for how long a channel that was never paid for counts after it is owed for, and
	// the time in which TrustAfter are counted.
	Window time.Duration

	// TrustAfter is how many unpaid channels within Window make all clients trust us, with the
	// policy Auto. They need not any more when half of that is left. 0: never.
	TrustAfter int
}

// DefaultLimits are those of a node that was not told otherwise.
func DefaultLimits() Limits {
	return Limits{
		Client:     Quota{Unpaid: 2, AtRisk: 20_000_000, OpensPerDay: 50},
		Token:      Quota{Unpaid: 10, AtRisk: 100_000_000, OpensPerDay: 1000},
		All:        Quota{Unpaid: 50, AtRisk: 200_000_000, OpensPerDay: 5000},
		Window:     24 * time.Hour,
		TrustAfter: 10,
	}
}

// maxWindow keeps what must be remembered in bounds.
const maxWindow = 90 * 24 * time.Hour

// Validate says what is wrong with the limits, by the names of the configuration.
func (l Limits) Validate() error {
	switch {
	case l.Window < time.Minute || l.Window > maxWindow:
		return fmt.Errorf("lsp.limits: unpaid_window_seconds is %d: at least 60, at most %d (90 days)",
			int(l.Window.Seconds()), int(maxWindow.Seconds()))

	case l.TrustAfter < 0:
		return errors.New("lsp.lsps2: client_trusts_lsp_after_unpaid is negative")

	case l.All.Unpaid != 0 && l.TrustAfter > l.All.Unpaid:
		return fmt.Errorf("lsp.lsps2: client_trusts_lsp_after_unpaid is %d, more than "+
			"lsp.limits.unpaid_channels (%d): it would never be reached", l.TrustAfter, l.All.Unpaid)
	}
	for _, q := range []Quota{l.Client, l.Token, l.All} {
		if q.Unpaid < 0 || q.AtRisk < 0 || q.OpensPerDay < 0 {
			return errors.New("lsp.limits: a limit is negative")
		}
	}
	return nil
}

// Policy says who trusts whom.
type Policy string

const (
	// Auto: we trust clients, unless they or all together have left too much unpaid.
	Auto Policy = "auto"

	// LSP: we trust clients, and refuse those that have left too much unpaid.
	LSP Policy = "lsp"

	// Client: clients trust us.
	Client Policy = "client"
)

// Valid says that it is one of the three.
func (p Policy) Valid() bool { return p == Auto || p == LSP || p == Client }
