package funding

import (
	"errors"
	"fmt"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
)

// ErrNotWithheld: the funding transaction may be out already, or came to nothing.
var ErrNotWithheld = errors.New("funding: the transaction is not withheld")

// Begin carries on a channel that was stored just now. tx is Withheld, Leaving or Theirs.
func Begin(f Facts, tx TxState) (Channel, []Command) {
	if f.ZeroConf {
		// The rest follows Opened: channel_ready first, the payment waits for it.
		return Channel{f, tx, AwaitOpen{}}, []Command{Watch{}, MarkOpen{}}
	}
	c := Channel{f, tx, AwaitDepth{}}
	return c, append([]Command{Watch{}, WaitDepth{}}, c.publish()...)
}

// Resume carries on a stored channel after a restart. use is AwaitDepth, AwaitOpen (a zero-conf
// channel that was not marked yet), AwaitChannelReady or Usable.
func Resume(f Facts, tx TxState, use UseState) (Channel, []Command) {
	c := Channel{f, tx, use}
	var out []Command
	switch tx.(type) {
	case Withheld, Leaving, Out:
		// Before anything else selects coins.
		out = append(out, RenewCoins{})
	}
	if _, deep := tx.(Deep); !deep {
		if _, open := use.(AwaitOpen); open {
			return c, append(out, MarkOpen{}) // the rest follows Opened
		}
		out = append(out, WaitDepth{})
	}
	return c, append(out, c.publish()...)
}

// publish is the broadcast of a transaction that may be out. A stuck channel may have nobody who
// watches it, so it is not funded before the next start.
func (c Channel) publish() []Command {
	if _, stuck := c.Use.(Stuck); stuck {
		return nil
	}
	switch c.Tx.(type) {
	case Leaving, Out:
		return []Command{Publish{}}
	}
	return nil
}

// Done says that the channel has nothing left to await here.
func (c Channel) Done() bool {
	switch c.Tx.(type) {
	case Abandoned:
		return true
	case Deep:
		_, usable := c.Use.(Usable)
		return usable
	}
	return false
}

// Deadline is when a RenewTick is due.
func (c Channel) Deadline() (time.Time, bool) {
	switch tx := c.Tx.(type) {
	case Withheld:
		return tx.RenewAt, true
	case Leaving:
		return tx.RenewAt, true
	case Out:
		return tx.RenewAt, true
	}
	return time.Time{}, false
}

// Step moves the channel on. An event without a place changes nothing: peers repeat themselves,
// blocks come always. Only a Release or Drop that can't be done is an error, ErrNotWithheld.
func (c Channel) Step(now time.Time, ev ChannelEvent) (Channel, []Command, error) {
	if c.Done() {
		return c, nil, c.tooLate(ev)
	}
	switch ev := ev.(type) {
	case RecvChannelReady, PeerOnline, Opened, Linked, LinkFailed, StoreFailed:
		next, out := c.stepUse(ev)
		return next, out, nil
	}
	return c.stepTx(now, ev)
}

func (c Channel) tooLate(ev ChannelEvent) error {
	_, abandoned := c.Tx.(Abandoned)
	switch ev.(type) {
	case Release:
		if abandoned {
			return ErrNotWithheld
		}
	case Drop:
		return ErrNotWithheld
	}
	return nil
}

// stepUse is the way to channel_ready from both sides.
func (c Channel) stepUse(ev ChannelEvent) (Channel, []Command) {
	switch use := c.Use.(type) {
	case AwaitDepth:
		if ready, ok := ev.(RecvChannelReady); ok {
			c.Use = AwaitDepth{Early: ready.Msg}
		}

	case AwaitOpen:
		if _, ok := ev.(Opened); ok {
			return c.opened(use.Early)
		}

	case AwaitChannelReady:
		switch ev := ev.(type) {
		case RecvChannelReady:
			c.Use = AwaitLink{}
			return c, []Command{Link{ev.Msg}}
		case PeerOnline:
			if !ev.Linked {
				return c, []Command{SendReady{}}
			}
		}

	case AwaitLink:
		switch ev.(type) {
		case Linked:
			c.Use = Usable{}
			return c, []Command{Tell{ToldReady{}}}
		case LinkFailed:
			c.Use = AwaitChannelReady{}
		}

	case Usable:
		// BOLT 2: "MUST ignore any redundant `channel_ready` it receives." But its alias counts.
		if ready, ok := ev.(RecvChannelReady); ok && ready.Msg.AliasScid != nil {
			return c, []Command{KeepAlias{*ready.Msg.AliasScid}}
		}
	}
	if failed, ok := ev.(StoreFailed); ok {
		c.Use = Stuck(failed)
	}
	return c, nil
}

// opened follows MarkOpen.
func (c Channel) opened(early *lnwire.ChannelReady) (Channel, []Command) {
	out := []Command{SendReady{}}
	c.Use = AwaitChannelReady{}
	if _, deep := c.Tx.(Deep); !deep {
		out = append(out, WaitDepth{})
		out = append(out, c.publish()...)
	}
	if early != nil {
		c.Use = AwaitLink{}
		out = append(out, Link{early})
	}
	return c, out
}

// stepTx is the way of the funding transaction.
func (c Channel) stepTx(now time.Time, ev ChannelEvent) (Channel, []Command, error) {
	switch ev := ev.(type) {
	case Confirmed:
		next, out := c.confirmed(ev.Scid)
		return next, out, nil

	case BadFunding:
		next, out := c.abandon(ev.Reason)
		return next, out, nil
	}
	switch tx := c.Tx.(type) {
	case Withheld:
		next, out := c.stepWithheld(now, tx, ev)
		return next, out, nil

	case Leaving:
		switch ev.(type) {
		case Published:
			c.Tx = Out(tx)
			return c, []Command{Tell{ToldBroadcast{}}}, nil
		case Block:
			return c, c.publish(), nil
		case RenewTick:
			if !now.Before(tx.RenewAt) {
				c.Tx = Leaving{now.Add(RenewEvery)}
				return c, []Command{RenewCoins{}}, nil
			}
		}

	case Out:
		switch ev.(type) {
		case Block:
			return c, c.publish(), nil
		case RenewTick:
			if !now.Before(tx.RenewAt) {
				c.Tx = Out{now.Add(RenewEvery)}
				return c, []Command{RenewCoins{}}, nil
			}
		}

	case Theirs:
		next, out := c.stepTheirs(ev)
		return next, out, nil
	}
	if _, ok := ev.(Drop); ok {
		return c, nil, ErrNotWithheld
	}
	return c, nil, nil
}

// stepWithheld: nothing leads from here to Publish but ReleaseKept.
func (c Channel) stepWithheld(now time.Time, tx Withheld, ev ChannelEvent) (Channel, []Command) {
	switch ev := ev.(type) {
	case Release:
		return c, []Command{KeepReleased{}}

	case ReleaseKept:
		c.Tx = Leaving(tx)
		return c, c.publish()

	case Drop:
		return c, []Command{KeepDropped(ev)}

	case RecvChannelError:
		// The peer will not use it, so it must not be funded. Once HTLCs went over it, only our
		// caller knows whether they were paid for.
		return c, []Command{WeighLoss{"the peer failed the channel: " + ev.Text}}

	case Worthless:
		return c, []Command{KeepDropped(ev)}

	case DropKept:
		return c.abandon(ev.Reason)

	case RenewTick:
		if !now.Before(tx.RenewAt) {
			c.Tx = Withheld{now.Add(RenewEvery)}
			return c, []Command{RenewCoins{}}
		}
	}
	return c, nil
}

// stepTheirs: an acceptor has nothing at stake until it holds something in the channel.
func (c Channel) stepTheirs(ev ChannelEvent) (Channel, []Command) {
	switch ev := ev.(type) {
	case RecvChannelError:
		return c, []Command{WeighLoss{"the peer failed the channel: " + ev.Text}}

	case Worthless:
		return c.abandon(ev.Reason)

	case Block:
		if c.Facts.GiveUpAt == 0 || ev.Height < c.Facts.GiveUpAt {
			return c, nil
		}
		// It may be in a block and not be deep enough, or we were away for so long that the search
		// for it has only begun. What the opener gave us is in there.
		if _, waits := c.Use.(AwaitDepth); waits {
			return c, []Command{LookForFunding{
				fmt.Sprintf("its funding did not confirm in %d blocks", FundeeBlocks),
			}}
		}
	}
	return c, nil
}

// confirmed: an ordinary channel opens now, a zero-conf one gets its second name.
func (c Channel) confirmed(scid lnwire.ShortChannelID) (Channel, []Command) {
	if _, deep := c.Tx.(Deep); deep {
		return c, nil
	}
	var out []Command
	if c.Facts.Opener {
		out = append(out, KeepConfirmed{})
	}
	c.Tx = Deep{scid}
	if waits, ok := c.Use.(AwaitDepth); ok {
		c.Use = AwaitOpen(waits)
		return c, append(out, Tell{ToldConfirmed{scid}}, MarkOpen{&scid})
	}
	return c, append(out, MarkReal{scid}, Tell{ToldConfirmed{scid}})
}

// abandon ends a channel whose funding will never be there.
func (c Channel) abandon(reason string) (Channel, []Command) {
	out := []Command{
		Send{&lnwire.Error{
			ChanID: lnwire.NewChanIDFromOutPoint(c.Facts.Point),
			Data:   lnwire.ErrorData(reason),
		}},
		CloseUnfunded{},
	}
	if c.Facts.Opener {
		out = append(out, FreeCoins{})
	}
	c.Tx = Abandoned{reason}
	return c, append(out, Tell{ToldDropped{reason}})
}
