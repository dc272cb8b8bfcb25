package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/inletlsp/inlet/node"
)

// createOrder is what inlet create asks of the node.
type createOrder struct {
	config     Config
	passphrase []byte // nil: without one

	// words restore a wallet; nil draws new ones. backup restores its channels; nil: none.
	words  []string
	backup []byte
}

// createAnswer is the document of inlet create.
type createAnswer struct {
	Network string `json:"network"`
	DataDir string `json:"data_dir"`

	// Words are the new wallet's, and left out when the wallet was restored from them.
	Words []string `json:"words,omitempty"`

	// ChannelsRestored says that a channel backup was restored, too.
	ChannelsRestored bool `json:"channels_restored,omitempty"`
}

// wordCount is how many words an aezeed has.
const wordCount = 24

func (a *app) createCommand() *cobra.Command {
	var restore bool
	var wordsFile, backupFile string
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make the data directory and the wallet",
		Long: "Make the data directory and a new wallet, and show its 24 words, this once.\n" +
			"With --restore, make the wallet from the words of an earlier one. With --backup, too,\n" +
			"ask the peers of its channels to close them, and take home what is in them.\n\n" +
			"The passphrase protects the wallet on this machine. It comes from --passphrase_file,\n" +
			"from " + envPassphrase + " in the environment, or is asked for in a terminal.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if !restore && (wordsFile != "" || backupFile != "") {
				return usageError{errors.New("--words-file and --backup need --restore")}
			}
			return a.create(restore, wordsFile, backupFile)
		},
	}
	cmd.Flags().BoolVar(&restore, "restore", false, "restore from 24 words (standard input)")
	cmd.Flags().StringVar(&wordsFile, "words-file", "", "read the words to restore from a file")
	cmd.Flags().StringVar(&backupFile, "backup", "", "restore the channels of this backup")
	a.addKeys(cmd.Flags(), "passphrase_file", "insecure_no_passphrase")
	return cmd
}

func (a *app) create(restore bool, wordsFile, backupFile string) error {
	config, err := a.config()
	if err != nil {
		return err
	}
	order := createOrder{config: config}
	if backupFile != "" {
		if order.backup, err = node.ReadBackup(backupFile); err != nil {
			return err
		}
	}
	if restore {
		if order.words, err = a.readWords(wordsFile); err != nil {
			return err
		}
	}
	if order.passphrase, err = a.passphrase(config, true); err != nil {
		return err
	}
	words, err := a.nodes.create(order)
	if err != nil {
		return explain(err, config)
	}
	answer := createAnswer{
		Network: config.Network, DataDir: config.DataDir, Words: words,
		ChannelsRestored: order.backup != nil,
	}
	if restore {
		answer.Words = nil
	}
	return show(a, answer, a.createText)
}

// readWords takes the words from a file, or from standard input: one line or several, as they
// come.
func (a *app) readWords(path string) ([]string, error) {
	var words []string
	if path != "" {
		text, err := readSmallFile(path)
		if err != nil {
			return nil, fmt.Errorf("read the words: %w", err)
		}
		words = splitWords(text)
	} else {
		if a.terminal {
			_, _ = fmt.Fprint(a.stderr, "The 24 words: ")
		}
		for len(words) < wordCount {
			line, err := a.lines.next(a.stdin)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("read the words: %w", err)
			}
			words = append(words, splitWords(line)...)
		}
	}
	if len(words) != wordCount {
		return nil, fmt.Errorf("a wallet has %d words, and %d were given: nothing was done",
			wordCount, len(words))
	}
	return words, nil
}

// splitWords takes words with or without their numbers, as create shows them.
func splitWords(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return r < 'a' || r > 'z'
	})
}

func readSmallFile(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxLineBytes))
	return string(text), err
}

func (a *app) createText(answer createAnswer) string {
	next := "Start the node: inlet run"
	for _, path := range []string{"network", "data_dir"} {
		if f := a.options.keys[path]; f.given {
			next += " --" + path + " " + f.text
		}
	}
	head := fmt.Sprintf("The wallet for %s is in %s\n", answer.Network, answer.DataDir)
	if answer.Words == nil {
		head += "Its coins are looked for when the node runs; that takes a while.\n"
		if answer.ChannelsRestored {
			head += "Its channels are restored: while the node runs, their peers are asked to close them.\n" +
				"Leave it running until inlet channels shows none. Never start the old data again.\n"
		}
		return head + next + "\n"
	}
	return head + "\n" + wordsText(answer.Words) + `
Write these 24 words on paper, in this order, now. They are shown only once.
  - Whoever has them has the coins. Keep them off computers and phones.
  - Without them the coins are lost when this disk is.
  - They bring back the on-chain coins. Channels need the file channels.backup as well,
    which is in the data directory: keep a copy of it elsewhere, made anew when channels
    open (inlet backup export).
  - Never run a copy of the data directory: an old copy of a channel can cost all of it.

` + next + "\n"
}

// wordsText shows the words in four columns, to be read from the left to the right.
func wordsText(words []string) string {
	var b strings.Builder
	for i, word := range words {
		if i%4 == 3 {
			fmt.Fprintf(&b, "%4d %s\n", i+1, word)
		} else {
			fmt.Fprintf(&b, "%4d %-12s", i+1, word)
		}
	}
	return b.String()
}
