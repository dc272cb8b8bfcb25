package main

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/node/api"
)

func TestErrorsOfTheMachineSayWhatToDo(t *testing.T) {
	c := Config{DataDir: "/d"}
	for cause, want := range map[error]string{
		syscall.ENOSPC:     "the disk that holds /d is full",
		syscall.EROFS:      "/d is on a disk that can't be written",
		syscall.EACCES:     "run inlet as the user to whom /d belongs",
		syscall.EADDRINUSE: "change listen or admin_listen",
	} {
		err := explain(fmt.Errorf("node: start: %w", cause), c)
		require.ErrorIs(t, err, cause)
		require.ErrorContains(t, err, want)
	}
	other := errors.New("wrong passphrase")
	require.Equal(t, other, explain(other, c))
}

func TestAmountsForPeople(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{sat(0), "0 sat"}, {sat(999), "999 sat"}, {sat(1000), "1,000 sat"},
		{sat(2_100_000_000_000_000), "2,100,000,000,000,000 sat"}, {sat(-1500), "-1,500 sat"},
		{msat(0), "0 sat"}, {msat(1), "0.001 sat"}, {msat(1_234_500), "1,234.5 sat"},
		{msat(18_446_744_073_709_551_615), "18,446,744,073,709,551.615 sat"},
		{someMsat(nil, "any"), "any"}, {someMsat(api.SomeMsat(1000), "any"), "1 sat"},
		{short("02aa"), "02aa"}, {clock(api.Time{}), ""},
		{clean("a\u202eb\tc\x07é"), "a?b?c?é"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
