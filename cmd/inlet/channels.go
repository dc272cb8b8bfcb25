package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/inletlsp/inlet/node/api"
)

func (a *app) channelsCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "channels", Short: "Show the channels", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			answer, err := ask(a, func(c *api.Client) (*api.ChannelList, error) {
				return c.Channels(cmd.Context())
			})
			if err != nil {
				return err
			}
			return show(a, answer, channelsText)
		},
	}
	list.AddCommand(a.openCommand(), a.closeCommand())
	return list
}

func channelsText(l *api.ChannelList) string {
	if len(l.Channels) == 0 {
		return "There are no channels.\n"
	}
	t := newTable("STATE", "PEER", "CAPACITY>", "LOCAL>", "REMOTE>", "SCID", "KIND",
		"CHANNEL POINT")
	for _, c := range l.Channels {
		t.add(channelState(c), short(c.Peer), sat(c.CapacitySat), msat(c.LocalMsat),
			msat(c.RemoteMsat), channelName(c), channelKind(c), c.ChannelPoint)
	}
	return t.String()
}

// channelState is one word for how the channel is doing.
func channelState(c api.Channel) string {
	switch {
	case c.State != api.ChannelOpen:
		return string(c.State)
	case c.Active:
		return "active"
	}
	return "inactive"
}

// channelName is the short channel id, or before the funding confirms the first alias.
func channelName(c api.Channel) string {
	if c.Scid == "" && len(c.Aliases) > 0 {
		return c.Aliases[0]
	}
	return c.Scid
}

func channelKind(c api.Channel) string {
	kind := []string{"public"}
	if c.Private {
		kind[0] = "private"
	}
	if c.ZeroConf {
		kind = append(kind, "zero-conf")
	}
	if !c.Confirmed {
		kind = append(kind, "unconfirmed")
	}
	if c.OrderID != "" {
		kind = append(kind, "order "+c.OrderID)
	}
	return strings.Join(kind, ", ")
}

func (a *app) openCommand() *cobra.Command {
	var r api.OpenRequest
	var capacity, push uint64
	cmd := &cobra.Command{
		Use:   "open PUBKEY[@HOST:PORT] [CAPACITY_SAT]",
		Short: "Open a channel",
		Long: "Open a channel of CAPACITY_SAT satoshi; it returns when the funding transaction is " +
			"out.\nIn a terminal it asks first, unless --yes is given.",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.Peer, r.PushMsat = args[0], api.Msat(push)
			var err error
			if r.CapacitySat, err = amountSat(args[1:], capacity); err != nil {
				return err
			}
			if r.CapacitySat == 0 {
				return usageError{errors.New("how large? Give CAPACITY_SAT")}
			}
			return a.open(cmd.Context(), r)
		},
	}
	flags := cmd.Flags()
	flags.Uint64Var(&capacity, "capacity-sat", 0, "the same as CAPACITY_SAT")
	flags.Uint64Var(&push, "push-msat", 0, "give the peer so much of it, as a gift")
	flags.BoolVar(&r.Private, "private", false, "don't announce the channel")
	flags.BoolVar(&r.ZeroConf, "zero-conf", false, "use it before the funding confirms")
	addFeeRate(cmd, &r.FeeRateSatPerVb)
	return a.addYes(cmd)
}

func (a *app) open(ctx context.Context, r api.OpenRequest) error {
	gift := ""
	if r.PushMsat != 0 {
		gift = ", of which " + msat(r.PushMsat) + " are a gift to it"
	}
	err := a.confirm("Open a channel of %s with %s%s?", sat(r.CapacitySat), r.Peer, gift)
	if err != nil {
		return err
	}
	answer, err := ask(a, func(c *api.Client) (*api.OpenResponse, error) {
		return c.OpenChannel(ctx, r)
	})
	if err != nil {
		return err
	}
	return show(a, answer, func(o *api.OpenResponse) string {
		return clean("The funding transaction is out, channel point "+o.ChannelPoint) + "\n"
	})
}

func (a *app) closeCommand() *cobra.Command {
	var r api.CloseRequest
	cmd := &cobra.Command{
		Use:   "close CHANNEL",
		Short: "Close a channel",
		Long: "Close a channel, named by its channel point or short channel id, together with the " +
			"peer,\nor with --force alone: that costs more, and our coins come back after days.\n" +
			"A channel that a client has paid for stays for the min_lifetime of its offer;\n" +
			"--break-min-lifetime closes it all the same, and breaks that promise.\n" +
			"In a terminal it asks first, unless --yes is given.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.closeChannel(cmd.Context(), args[0], r)
		},
	}
	cmd.Flags().BoolVar(&r.Force, "force", false, "publish our commitment transaction")
	cmd.Flags().BoolVar(&r.BreakMinLifetime, "break-min-lifetime", false,
		"close what a client has paid for to stay open")
	addFeeRate(cmd, &r.FeeRateSatPerVb)
	return a.addYes(cmd)
}

func (a *app) closeChannel(ctx context.Context, name string, r api.CloseRequest) error {
	how := "together with the peer"
	if r.Force {
		how = "by force"
	}
	if r.BreakMinLifetime {
		how += ", although its client may have paid for it to stay open"
	}
	if err := a.confirm("Close channel %s %s?", name, how); err != nil {
		return err
	}
	answer, err := ask(a, func(c *api.Client) (*api.CloseResponse, error) {
		var err error
		if r.ChannelPoint, err = channelPoint(ctx, c, name); err != nil {
			return nil, err
		}
		return c.CloseChannel(ctx, r)
	})
	if err != nil {
		return err
	}
	return show(a, answer, func(r *api.CloseResponse) string {
		return "Closing with transaction " + clean(r.ClosingTxid) + "\n"
	})
}

// channelPoint finds the channel that a short channel id or an alias names.
func channelPoint(ctx context.Context, c *api.Client, name string) (string, error) {
	if strings.Contains(name, ":") {
		return name, nil
	}
	list, err := c.Channels(ctx)
	if err != nil {
		return "", err
	}
	for _, channel := range list.Channels {
		if channel.Scid == name || slices.Contains(channel.Aliases, name) {
			return channel.ChannelPoint, nil
		}
	}
	return "", fmt.Errorf("there is no channel %s\ninlet channels lists them", name)
}
