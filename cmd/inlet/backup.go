package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/api"
)

// verifyOrder is what inlet backup verify asks for when no daemon can be asked.
type verifyOrder struct {
	config Config
	file   string

	// words open the backup; nil: the wallet in the data directory does, with its passphrase.
	words      []string
	passphrase func() ([]byte, error)
}

func (a *app) backupCommand() *cobra.Command {
	return group("backup", "Copy the channel backup, and see that it can be read",
		a.verifyCommand(), a.exportCommand())
}

func (a *app) verifyCommand() *cobra.Command {
	var wordsFile string
	cmd := &cobra.Command{
		Use: "verify [FILE]", Short: "Read a channel backup to its end",
		Long: "Read a channel backup (without FILE: that of the data directory), and show what it\n" +
			"would bring back. It is opened by the running node, or with the wallet in the data\n" +
			"directory, or, with --words-file, by the 24 words alone.\n\n" +
			"Exit status 1: it could not be read.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			report, err := a.verifyBackup(cmd, args, wordsFile)
			if err != nil {
				return err
			}
			return show(a, report, backupText)
		},
	}
	cmd.Flags().StringVar(&wordsFile, "words-file", "", "open it by the words in this file")
	a.addKeys(cmd.Flags(), "passphrase_file", "insecure_no_passphrase")
	return cmd
}

func (a *app) verifyBackup(cmd *cobra.Command, args []string, wordsFile string) (
	*api.BackupReport, error) {

	config, err := a.config()
	if err != nil {
		return nil, err
	}
	order := verifyOrder{
		config: config, file: filepath.Join(config.DataDir, node.BackupFile),
		passphrase: func() ([]byte, error) { return a.passphrase(config, false) },
	}
	if len(args) > 0 {
		if order.file, err = filepath.Abs(args[0]); err != nil {
			return nil, err
		}
	}
	if wordsFile != "" {
		if order.words, err = a.readWords(wordsFile); err != nil {
			return nil, err
		}
		return a.nodes.verify(order)
	}
	report, err := ask(a, func(c *api.Client) (*api.BackupReport, error) {
		return c.VerifyBackup(cmd.Context(), api.VerifyBackupRequest{File: order.file})
	})
	var answered *api.Error
	if err == nil || errors.As(err, &answered) && answered.Code == api.FailedPrecondition {
		return report, err
	}
	return a.nodes.verify(order) // no daemon, or another one's
}

func (a *app) exportCommand() *cobra.Command {
	return &cobra.Command{
		Use: "export FILE", Short: "Copy the channel backup of the data directory",
		Long: "Copy the channel backup to FILE, on another disk or to be sent away. The node may run.\n" +
			"The copy is encrypted; the 24 words open it. It is good until the next channel opens.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			config, err := a.config()
			if err != nil {
				return err
			}
			if err := node.ExportBackup(config.DataDir, args[0]); err != nil {
				return explain(err, config)
			}
			answer := struct {
				File string `json:"file"`
			}{args[0]}
			return show(a, answer, func(struct {
				File string `json:"file"`
			}) string {
				return "The backup is in " + clean(args[0]) + "; inlet backup verify FILE reads it.\n"
			})
		},
	}
}

func backupText(r *api.BackupReport) string {
	var s sheet
	s.add("file", r.File)
	s.add("written", clock(r.WrittenAt))
	s.add("network", r.Network)
	s.add("node id", r.NodeID)
	s.add("channels", strconv.Itoa(len(r.Channels)))
	s.add("orders", strconv.Itoa(r.Orders))
	text := "The backup is whole and can be read.\n" + s.String()
	if len(r.Channels) == 0 {
		return text
	}
	t := newTable("CAPACITY>", "PEER", "ADDRESS", "CHANNEL")
	for _, ch := range r.Channels {
		address := "(comes by itself)"
		if len(ch.Addresses) > 0 {
			address = ch.Addresses[0]
		}
		t.add(sat(ch.CapacitySat), ch.Peer, address, ch.ChannelPoint)
	}
	return text + fmt.Sprintf("\n%s", t)
}
