package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/node/api"
)

// words24 are words enough for a wallet; which ones they are is the wallet's business.
var words24 = strings.Fields(strings.Repeat("abandon ability able ", 8))

// withNodes gives the program a node that keeps what it was asked for.
func withNodes(c *cli) (created *createOrder, ran *Config, passphrase *[]byte) {
	created, ran, passphrase = new(createOrder), new(Config), new([]byte)
	c.app.nodes = nodes{
		create: func(o createOrder) ([]string, error) {
			*created = o
			return words24, nil
		},
		verify: func(o verifyOrder) (*api.BackupReport, error) {
			c.verified = o
			return &api.BackupReport{File: o.file, Network: "regtest"}, c.verifyFails
		},
		run: func(_ context.Context, config Config, p []byte, log *slog.Logger) error {
			*ran, *passphrase = config, p
			log.Info("running")
			return nil
		},
		signals: func(_, _ func()) func() { return func() {} },
	}
	return created, ran, passphrase
}

func TestCreateShowsTheWordsOnce(t *testing.T) {
	c := newCLI(t)
	created, _, _ := withNodes(c)
	c.app.env = []string{"INLET_PASSPHRASE=secret"}
	require.Equal(t, exitOK, c.run(t, "create", "--network", "regtest", "--data_dir", "/d"),
		c.stderr.String())
	golden(t, "create.golden", c.stdout.String())
	if string(created.passphrase) != "secret" || created.words != nil ||
		created.config.Network != "regtest" {
		t.Errorf("the node was asked for %+v", created)
	}

	require.Equal(t, exitOK, c.run(t, "create", "--json"))
	var answer createAnswer
	require.NoError(t, json.Unmarshal(c.stdout.Bytes(), &answer))
	require.Equal(t, words24, answer.Words)
}

func TestRestoreTakesWordsHoweverTheyAreWritten(t *testing.T) {
	numbered := wordsText(words24)
	for name, text := range map[string]string{
		"one line": strings.Join(words24, " ") + "\n", "as shown": numbered,
		"upper case": strings.ToUpper(numbered),
	} {
		t.Run(name, func(t *testing.T) {
			c := newCLI(t)
			created, _, _ := withNodes(c)
			c.app.env = []string{"INLET_PASSPHRASE=secret"}
			c.app.stdin, c.app.lines = strings.NewReader(text), lineReader{}
			require.Equal(t, exitOK, c.run(t, "create", "--restore"), c.stderr.String())
			require.Equal(t, words24, created.words)
			require.NotContains(t, c.stdout.String(), "abandon", "the words are not shown again")

			path := filepath.Join(t.TempDir(), "words")
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			require.Equal(t, exitOK, c.run(t, "create", "--restore", "--words-file", path, "--json"))
			require.Equal(t, words24, created.words)
			require.NotContains(t, c.stdout.String(), "words")
		})
	}
	c := newCLI(t)
	withNodes(c)
	c.app.stdin = strings.NewReader("abandon ability")
	require.Equal(t, exitError, c.run(t, "create", "--restore"))
	require.Contains(t, c.stderr.String(), "2 were given")
}

func TestWhereThePassphraseComesFrom(t *testing.T) {
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "passphrase")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return "--passphrase-file=" + path
	}
	const env = "INLET_PASSPHRASE=of the environment"
	for _, c := range []struct {
		name, env string
		args      []string
		want      string // of the passphrase, or of the error
		status    int
	}{
		{"file", "", []string{file("of the file\n")}, "of the file", exitOK},
		{"file of Windows", "", []string{file("of the file\r\n")}, "of the file", exitOK},
		{"file over environment", env, []string{file("of the file")}, "of the file", exitOK},
		{"environment", env, nil, "of the environment", exitOK},
		{"none", "", []string{"--insecure-no-passphrase"}, "", exitOK},
		{"none on mainnet", "", []string{"--insecure-no-passphrase", "--network=mainnet"},
			"not on mainnet", exitError},
		{"nothing given", "", nil, "the wallet's passphrase is missing", exitError},
		{"empty file", "", []string{file("\n")}, "is empty", exitError},
		{"another file", "", []string{file("a\nb\n")}, "more than one line", exitError},
		{"no file", "", []string{"--passphrase-file=/does/not/exist"}, "passphrase_file",
			exitError},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, command := range []string{"run", "create"} {
				cli := newCLI(t)
				created, _, passphrase := withNodes(cli)
				cli.app.env = []string{c.env}
				args := append([]string{command, "--network=regtest"}, c.args...)
				require.Equal(t, c.status, cli.run(t, args...), cli.stderr.String())
				got := string(*passphrase) + string(created.passphrase)
				if c.status != exitOK {
					got = cli.stderr.String()
				}
				if !strings.Contains(got, c.want) {
					t.Errorf("%s: got %q, want %q", command, got, c.want)
				}
			}
		})
	}
}

func TestPassphraseOfAPerson(t *testing.T) {
	c := newCLI(t)
	created, _, passphrase := withNodes(c)
	c.app.env, c.app.terminal = nil, true
	say := func(lines ...string) {
		c.app.readSecret = func() ([]byte, error) {
			if len(lines) == 0 {
				return nil, errors.New("asked once too often")
			}
			line := lines[0]
			lines = lines[1:]
			return []byte(line), nil
		}
	}
	say("secret")
	require.Equal(t, exitOK, c.run(t, "run"), c.stderr.String())
	require.Equal(t, "secret", string(*passphrase))
	say("new", "new")
	require.Equal(t, exitOK, c.run(t, "create"), c.stderr.String())
	require.Equal(t, "new", string(created.passphrase))
	say("new", "knew")
	require.Equal(t, exitError, c.run(t, "create"))
	require.Contains(t, c.stderr.String(), "differ")
	say("")
	require.Equal(t, exitError, c.run(t, "create"))
	require.Contains(t, c.stderr.String(), "empty")
	require.NotContains(t, c.stdout.String()+c.stderr.String(), "knew", "nothing secret is shown")
}

func TestRunChecksItsConfiguration(t *testing.T) {
	c := newCLI(t)
	_, ran, _ := withNodes(c)
	args := []string{"run", "--network=regtest", "--insecure_no_passphrase"}
	require.Equal(t, exitError, c.run(t, append(args, "--log.level=loud")...))
	require.Contains(t, c.stderr.String(), "log.level")
	require.Empty(t, ran.Network, "a node with a wrong configuration doesn't start")

	require.Equal(t, exitOK, c.run(t, append(args, "--listen=:1,:2", "--listen=:3",
		"--lsp.lsps2.min-outgoing-expiry-delta-blocks=43", "--lsp.enabled")...), c.stderr.String())
	require.Equal(t, []string{":1", ":2", ":3"}, ran.Listen)
	require.True(t, ran.LSP.Enabled)
	require.Contains(t, c.stderr.String(), "LDK clients refuse payments")
}

func TestRunEndsOnASignal(t *testing.T) {
	c := newCLI(t)
	withNodes(c)
	c.app.nodes.signals = func(interrupt, _ func()) func() {
		interrupt()
		return func() {}
	}
	c.app.nodes.run = func(ctx context.Context, _ Config, _ []byte, _ *slog.Logger) error {
		<-ctx.Done()
		return nil
	}
	status := c.run(t, "run", "--network=regtest", "--insecure_no_passphrase", "--log.format=json")
	require.Equal(t, exitOK, status, c.stderr.String())
	for line := range strings.Lines(c.stderr.String()) {
		require.True(t, json.Valid([]byte(line)), line)
	}
}

func TestMoneyMovesOnlyAfterAYes(t *testing.T) {
	lines := []string{
		"wallet send bcrt1qexample 5000", "wallet send bcrt1qexample --all",
		"wallet bump " + fundingTxid, "pay " + bolt11,
		"channels open " + peerKey + "@h:1 100000 --push-msat 5000",
		"channels close a:0 --force", "channels close a:0",
	}
	var asked strings.Builder
	for _, line := range lines {
		for _, c := range []struct {
			answer string
			yes    bool
		}{{"y\n", true}, {"YES\n", true}, {"\n", false}, {"no\n", false}, {"", false}} {
			cli := newCLI(t)
			cli.app.terminal, cli.app.stdin = true, strings.NewReader(c.answer)
			status := cli.run(t, strings.Fields(line)...)
			if done := len(cli.node.Requests()) > 0; done != c.yes || (status == exitOK) != c.yes {
				t.Errorf("%s, answered %q: status %d, done %t", line, c.answer, status, done)
			}
			if c.answer == "y\n" {
				asked.WriteString("$ inlet " + line + "\n" + cli.stderr.String() + "\n\n")
			}
		}
		cli := newCLI(t)
		cli.app.terminal, cli.app.stdin = true, nil
		if status := cli.run(t, append(strings.Fields(line), "--yes")...); status != exitOK {
			t.Errorf("%s --yes: status %d, %s", line, status, &cli.stderr)
		}
	}
	golden(t, "questions.golden", asked.String())
}

func TestQuestionShowsWhatAnInvoiceAsksFor(t *testing.T) {
	text := invoiceText(api.PayRequest{Bolt11: "nonsense"}, "mainnet")
	require.Contains(t, text, "can't be read")
	text = invoiceText(api.PayRequest{Bolt11: bolt11}, "mainnet")
	require.Contains(t, text, nodeKey)
	require.Contains(t, text, "2,000,000 sat")
}

func TestLongLinesAreRefused(t *testing.T) {
	c := newCLI(t)
	c.app.terminal = true
	c.app.stdin = strings.NewReader(strings.Repeat("y", maxLineBytes+1))
	require.Equal(t, exitError, c.run(t, "wallet", "send", "a", "5"))
	require.Contains(t, c.stderr.String(), "too long")
	require.Empty(t, c.node.Requests())

	path := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("x", maxLineBytes+1)), 0o600))
	_, err := passphraseOfFile(path)
	require.ErrorContains(t, err, "right file")
}
