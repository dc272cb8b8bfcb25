package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/inletlsp/inlet/node"
)

// compactAnswer is the document of inlet compact.
type compactAnswer struct {
	DataDir     string `json:"data_dir"`
	BeforeBytes int64  `json:"before_bytes"`
	AfterBytes  int64  `json:"after_bytes"`
}

func (a *app) compactCommand() *cobra.Command {
	return &cobra.Command{
		Use: "compact", Short: "Make the database file smaller, while the node is stopped",
		Long: "Write inlet.db anew without the room of what was deleted. The node must be stopped, and\n" +
			"the disk needs room for the new file beside the old one, which stays until the new one is\n" +
			"whole. No passphrase is needed. Never keep the old file to start from it again.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			config, err := a.config()
			if err != nil {
				return err
			}
			answer := compactAnswer{DataDir: config.DataDir}
			answer.BeforeBytes, answer.AfterBytes, err = node.Compact(config.DataDir)
			if err != nil {
				return explain(err, config)
			}
			return show(a, answer, compactText)
		},
	}
}

func compactText(c compactAnswer) string {
	return fmt.Sprintf("The database in %s had %s bytes and has %s now.\n", clean(c.DataDir),
		grouped(fmt.Sprint(c.BeforeBytes)), grouped(fmt.Sprint(c.AfterBytes)))
}
