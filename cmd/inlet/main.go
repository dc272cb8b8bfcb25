// Command inlet is a Lightning node that sells, and buys, channels just in time.
//
// inlet create makes the wallet, inlet run starts the node, and the other commands talk to the
// running node through its admin API (package node/api). inlet demo shows everything on a private
// chain.
package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/term"
)

func main() {
	stdin := int(os.Stdin.Fd()) //nolint:gosec // a file descriptor fits into an int
	home, err := os.UserHomeDir()
	if err != nil {
		home = "." // then data_dir is beside the program unless it is set
	}
	a := &app{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, env: os.Environ(), home: home,
		terminal:   term.IsTerminal(stdin),
		readSecret: func() ([]byte, error) { return term.ReadPassword(stdin) },
		nodes: nodes{
			create: createWallet, verify: verifyBackup, run: runNode, signals: watchSignals,
		},
	}
	os.Exit(a.execute(context.Background(), os.Args[1:]))
}

// watchSignals calls interrupt at the first SIGINT or SIGTERM, and at the second force, and then
// ends the process. The function that it returns takes all of that back.
func watchSignals(interrupt, force func()) (stop func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	done := make(chan struct{})
	var routine sync.WaitGroup
	routine.Go(func() {
		for _, f := range []func(){interrupt, force} {
			select {
			case <-signals:
				f()
			case <-done:
				return
			}
		}
		os.Exit(exitError)
	})
	return func() {
		signal.Stop(signals)
		close(done)
		routine.Wait()
	}
}
