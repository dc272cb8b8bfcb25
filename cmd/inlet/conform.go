package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/spf13/cobra"

	"github.com/inletlsp/inlet/lsp/conform"
	"github.com/inletlsp/inlet/node"
)

const (
	// conformPause is between two requests: a limit of some requests a second is usual.
	conformPause = 150 * time.Millisecond

	// conformQuiet is how long to wait for what must not come.
	conformQuiet = 500 * time.Millisecond

	maxPatience = 600 // seconds
)

// conformOptions are the flags of inlet conform lsps2.
type conformOptions struct {
	token   string
	seconds int
	pay     bool // with money of a regtest
}

func (a *app) conformCommand() *cobra.Command {
	return group("conform", "Ask another node how it keeps to a protocol", a.conformLSPS2Command())
}

func (a *app) conformLSPS2Command() *cobra.Command {
	var o conformOptions
	cmd := &cobra.Command{
		Use:   "lsps2 PUBKEY@HOST:PORT",
		Short: "Ask an LSP what bLIP-50 and bLIP-52 say of its service",
		Long: "Connect to an LSP under throw-away keys and see which rules of bLIP-50 and bLIP-52 it\n" +
			"keeps, as far as a client sees them without money. No node needs to run here.\n\n" +
			fmt.Sprintf("It takes about a minute, asks slowly, and leaves at most %d orders, unpaid, which\n",
				conform.MaxOrders) +
			"end with their offers.\n\n" +
			regtestPayHelp +
			"pass: the rule was seen to hold. fail: it was seen broken. differs: the LSP does otherwise,\n" +
			"and the bLIPs let it. not shown: nothing was seen of it, and why.\n\n" +
			"The exit status is 0 when nothing failed, 1 when something did, and 2 when the command\n" +
			"line is wrong, the LSP can't be reached or nothing can be played before it.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.conformLSPS2(cmd.Context(), args[0], o)
		},
	}
	cmd.Flags().StringVar(&o.token, "token", "", "token for the LSP's menu")
	cmd.Flags().IntVar(&o.seconds, "timeout-seconds", 10, "how long an answer may take")
	cmd.Flags().BoolVar(&o.pay, "regtest-pay", false, "pay, with money of the regtest in [chain]")
	a.addKeys(cmd.Flags(), slices.DeleteFunc(keyPaths(), func(path string) bool {
		return path != "chain.backend" && !strings.HasPrefix(path, "chain.bitcoind.")
	})...)
	return cmd
}

// unreachableError is an LSP of which nothing can be said.
type unreachableError struct{ error }

func (e unreachableError) Unwrap() error { return e.error }

func (a *app) conformLSPS2(ctx context.Context, target string, o conformOptions) error {
	key, addr, err := parseTarget(target)
	if err != nil {
		return usageError{err}
	}
	if o.seconds < 1 || o.seconds > maxPatience {
		return usageError{fmt.Errorf("--timeout-seconds is %d: from 1 to %d", o.seconds, maxPatience)}
	}
	ask := conform.Run
	if o.pay {
		config, err := a.regtestConfig()
		if err != nil {
			return usageError{err}
		}
		ask = theatre{config: config, lsp: key, addr: addr}.ask
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := a.nodes.signals(func() { cancel(errStopped) }, func() {})
	defer stop()
	s := &stranger{lsp: key, addr: addr, keys: map[int]*btcec.PrivateKey{}}
	results, err := ask(ctx, conform.Config{
		Dial: s.dial, Token: o.token, Patience: time.Duration(o.seconds) * time.Second,
		Quiet: conformQuiet, Now: time.Now, Pause: pause,
	})
	switch {
	case errors.Is(err, errStopped):
		return err
	case err != nil:
		return unreachableError{fmt.Errorf("%s: %w", target, err)}
	}
	return a.showConformance(target, results)
}

var errStopped = errors.New("stopped before all was seen")

// pause waits between requests.
func pause(ctx context.Context) error {
	timer := time.NewTimer(conformPause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// parseTarget reads PUBKEY@HOST:PORT.
func parseTarget(text string) (*btcec.PublicKey, string, error) {
	id, addr, ok := strings.Cut(text, "@")
	key, err := node.ParseNodeID(id)
	if !ok || err != nil {
		return nil, "", fmt.Errorf("%q: give the LSP as PUBKEY@HOST:PORT", text)
	}
	if host, port, err := net.SplitHostPort(addr); err != nil || host == "" || port == "" {
		return nil, "", fmt.Errorf("%q is not HOST:PORT: give the LSP as PUBKEY@HOST:PORT", addr)
	}
	return key, addr, nil
}

// conformAnswer is what --json prints.
type conformAnswer struct {
	LSP   string          `json:"lsp"`
	Pass  int             `json:"pass"`
	Fail  int             `json:"fail"`
	Other int             `json:"differs"`
	Quiet int             `json:"not_shown"`
	Lines []conformedLine `json:"lines"`
}

type conformedLine struct {
	Line    string          `json:"line"`
	Verdict conform.Verdict `json:"verdict"`
	Rule    string          `json:"rule"`
	Source  string          `json:"source"`
	Reason  string          `json:"reason,omitempty"`
}

func (a *app) showConformance(target string, results []conform.Result) error {
	answer := conformAnswer{LSP: target}
	for _, r := range results {
		switch r.Verdict {
		case conform.Pass:
			answer.Pass++
		case conform.Fail:
			answer.Fail++
		case conform.Differs:
			answer.Other++
		case conform.NotShown:
			answer.Quiet++
		}
		answer.Lines = append(answer.Lines, conformedLine{
			Line: r.ID, Verdict: r.Verdict, Rule: r.Rule, Source: r.Where, Reason: clean(r.Reason),
		})
	}
	err := show(a, answer, func(conformAnswer) string { return cleanLines(conform.Table(results)) })
	if err == nil && conform.Failed(results) {
		return errReported
	}
	return err
}
