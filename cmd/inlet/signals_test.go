package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// signalHelper is set in the environment of the process that TestSecondSignalEndsAtOnce starts.
const signalHelper = "TEST_SIGNAL_HELPER"

// TestSignalHelper is the body of that process; otherwise it has nothing to do.
func TestSignalHelper(*testing.T) {
	if os.Getenv(signalHelper) == "" {
		return
	}
	watchSignals(func() { fmt.Println("interrupted") }, func() { fmt.Println("forced") })
	fmt.Println("ready")
	select {} // a node that doesn't come to its end
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	helper := exec.Command(os.Args[0], "-test.run=^TestSignalHelper$")
	helper.Env = append(os.Environ(), signalHelper+"=1")
	out, err := helper.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, helper.Start())

	lines := bufio.NewScanner(out)
	for _, step := range []struct {
		line   string
		signal os.Signal
	}{{"ready", syscall.SIGTERM}, {"interrupted", os.Interrupt}, {"forced", nil}} {
		require.True(t, lines.Scan(), "the process ended before it said %q", step.line)
		require.Equal(t, step.line, lines.Text())
		if step.signal != nil {
			require.NoError(t, helper.Process.Signal(step.signal))
		}
	}
	var exit *exec.ExitError
	require.ErrorAs(t, helper.Wait(), &exit)
	require.Equal(t, exitError, exit.ExitCode())
}

func TestWatchingSignalsEnds(t *testing.T) {
	interrupted := make(chan struct{})
	stop := watchSignals(func() { close(interrupted) }, func() {})
	require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGTERM))
	<-interrupted
	stop()
}
