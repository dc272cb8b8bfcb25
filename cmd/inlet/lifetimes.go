package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/inletlsp/inlet/node/api"
)

func (a *app) lifetimesCommand() *cobra.Command {
	var unpaid, idle uint32
	cmd := &cobra.Command{
		Use: "lifetimes", Short: "Show which sold channels would be closed, and why",
		Long: "Show of each channel that was sold whether it is closed now, and why.\n" +
			"With a flag it shows what another policy would do; nothing is changed by that.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var r api.LifetimesRequest
			if cmd.Flags().Changed("close-unpaid-after-seconds") {
				r.CloseUnpaidAfterSeconds = &unpaid
			}
			if cmd.Flags().Changed("close-idle-after-blocks") {
				r.CloseIdleAfterBlocks = &idle
			}
			answer, err := ask(a, func(c *api.Client) (*api.Lifetimes, error) {
				return c.Lifetimes(cmd.Context(), r)
			})
			if err != nil {
				return err
			}
			return show(a, answer, lifetimesText)
		},
	}
	f := cmd.Flags()
	f.Uint32Var(&unpaid, "close-unpaid-after-seconds", 0, "as if the configuration said so; 0: never")
	f.Uint32Var(&idle, "close-idle-after-blocks", 0, "as if the configuration said so; 0: never")
	return cmd
}

func lifetimesText(l *api.Lifetimes) string {
	policy := func(set bool, text string) string {
		if !set {
			return "kept"
		}
		return text
	}
	text := fmt.Sprintf("Channels that nobody pays for are %s; paid ones that are idle are %s.\n",
		policy(l.CloseUnpaidAfterSeconds > 0, fmt.Sprintf("closed %v after their offer",
			time.Duration(l.CloseUnpaidAfterSeconds)*time.Second)),
		policy(l.CloseIdleAfterBlocks > 0, "closed after "+blocks(l.CloseIdleAfterBlocks, " blocks")))
	if len(l.Channels) == 0 {
		return text + "No channel that was sold is open.\n"
	}
	t := newTable("CHANNEL", "CLIENT", "PAID", "DEPTH>", "PROMISED>", "IDLE>", "CLOSED", "WHY")
	for _, c := range l.Channels {
		closed := map[string]string{"none": "no", "agreed": "with its client", "forced": "by force"}[c.Ending]
		t.add(c.ChannelPoint, c.Client, yesNo(c.Paid), grouped(strconv.Itoa(int(c.DepthBlocks))),
			grouped(strconv.Itoa(int(c.MinLifetimeBlocks))), grouped(strconv.Itoa(int(c.IdleBlocks))),
			closed, c.Reason)
	}
	return text + t.String()
}
