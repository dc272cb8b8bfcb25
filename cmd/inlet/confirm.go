package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// errDeclined is what a person says no with.
var errDeclined = errors.New("nothing was done")

// maxLineBytes is more than any line that a person types: an answer, a passphrase, 24 words.
const maxLineBytes = 4096

// lineReader reads lines without losing what it read ahead.
type lineReader struct{ buffered *bufio.Reader }

// next returns the next line without its end; io.EOF only when there is nothing at all.
func (l *lineReader) next(from io.Reader) (string, error) {
	if l.buffered == nil {
		l.buffered = bufio.NewReaderSize(io.LimitReader(from, 16*maxLineBytes), maxLineBytes)
	}
	line, tooLong, err := l.buffered.ReadLine()
	if err != nil {
		return "", err
	}
	if tooLong {
		return "", errors.New("the line is too long")
	}
	return strings.TrimSpace(string(line)), nil
}

// addYes adds the flag that answers the question of confirm beforehand.
func (a *app) addYes(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVarP(&a.options.yes, "yes", "y", false, "don't ask, do it")
	return cmd
}

// confirm asks before money moves for good. It asks only a person: a script has nobody to answer,
// and would hang.
func (a *app) confirm(format string, args ...any) error {
	if a.options.yes || !a.terminal {
		return nil
	}
	question := cleanLines(fmt.Sprintf(format, args...))
	_, _ = fmt.Fprintf(a.stderr, "%s [y/N] ", question)
	answer, err := a.lines.next(a.stdin)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	if answer = strings.ToLower(answer); answer != "y" && answer != "yes" {
		return errDeclined
	}
	return nil
}
