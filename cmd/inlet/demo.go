package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/inletlsp/inlet/chain/regtest"
)

// demoTimeout ends a demo that hangs. It is long because the machine may be busy.
const demoTimeout = 3 * time.Minute

// Why a demo ends early.
var (
	errInterrupted = errors.New("the demo was interrupted")
	errDemoTooLong = fmt.Errorf("the demo took more than %v", demoTimeout)
)

// demoOptions are the flags of inlet demo.
type demoOptions struct {
	btcd string
	keep bool
}

func (a *app) demoCommand() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show a sale from end to end on a private chain",
		Long: "Show what this program does, from end to end, on this machine alone: a payment becomes\n" +
			"the receiver's first channel. A real btcd on regtest and three nodes, an LSP, a payer\n" +
			"and a client, talk over TCP. Everything is in a temporary folder, which is removed at\n" +
			"the end unless something failed.\n\n" +
			"btcd is looked for beside inlet itself and then on the PATH, unless --btcd names it.\n\n" +
			"With --json each line is one JSON object: what happened, with ms since its step began.\n" +
			"The last line is the summary. Its jit_ms is what the sale itself took, from the arrival\n" +
			"of the payment's first part at the LSP until the LSP settled it with the payer; stages\n" +
			"are milliseconds since the first part as well.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.demo(cmd.Context(), o) },
	}
	cmd.Flags().StringVar(&o.btcd, "btcd", "", "path of the btcd to use")
	cmd.Flags().BoolVar(&o.keep, "keep", false, "keep the folder with all data and logs")
	return cmd
}

// demo plays in a folder of its own and cleans up.
func (a *app) demo(ctx context.Context, o demoOptions) error {
	btcd, err := o.program()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "inlet-demo-")
	if err != nil {
		return fmt.Errorf("demo: make a folder: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, demoTimeout, errDemoTooLong)
	defer cancel()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	stop := a.nodes.signals(func() { fail(errInterrupted) }, func() {})
	defer stop()

	out := &programme{w: a.stdout, json: a.options.json, color: a.colored()}
	err = playIn(ctx, &cast{dir: dir, fail: fail}, btcd, out)
	if err != nil && !errors.Is(err, errInterrupted) {
		return fmt.Errorf("%w\nall data and logs are in %s", err, dir)
	}
	if o.keep {
		_, _ = fmt.Fprintf(a.stderr, "all data and logs are in %s\n", dir)
		return err
	}
	if removeErr := os.RemoveAll(dir); removeErr != nil {
		return errors.Join(err, fmt.Errorf("demo: remove the folder: %w", removeErr))
	}
	return err
}

// playIn plays the whole demo and ends everything that it started. The summary is told last, when
// all has ended well.
func playIn(ctx context.Context, c *cast, btcd string, out *programme) (err error) {
	began := time.Now()
	p := newPlay(c, out)
	err = p.perform(ctx, btcd)
	if cause := context.Cause(ctx); cause != nil {
		err = ended(cause, err)
	}
	if err := errors.Join(err, c.close()); err != nil {
		return err
	}
	out.summary(p.sum, time.Since(began))
	return out.err
}

// ended says why a demo ended before its time, and for one that hung also where.
func ended(cause, err error) error {
	if errors.Is(cause, errDemoTooLong) && err != nil {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return cause
}

// program finds the btcd to use.
func (o demoOptions) program() (string, error) {
	if o.btcd != "" {
		path, err := exec.LookPath(o.btcd)
		if err != nil {
			return "", fmt.Errorf("--btcd: %w", err)
		}
		return path, nil
	}
	path, err := regtest.FindBtcd()
	if err != nil {
		return "", fmt.Errorf("%w\nor name one with: inlet demo --btcd PATH", err)
	}
	return path, nil
}

// colored says whether stdout is a terminal whose owner likes colours (no-color.org).
func (a *app) colored() bool {
	file, ok := a.stdout.(*os.File)
	return ok && term.IsTerminal(int(file.Fd())) && //nolint:gosec // a file descriptor fits
		os.Getenv("NO_COLOR") == ""
}
