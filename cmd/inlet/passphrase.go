package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// errNoPassphrase tells the ways to give a passphrase without a terminal.
var errNoPassphrase = errors.New("the wallet's passphrase is missing: put it into a file and " +
	"name that with --passphrase_file, or into " + envPassphrase + " in the environment\n" +
	"--insecure_no_passphrase goes without one, on test networks")

// passphrase finds the passphrase: the file's, the environment's, or a person's. It is nil only
// when the configuration says to go without. A new one is asked for twice.
func (a *app) passphrase(c Config, isNew bool) ([]byte, error) {
	if err := c.checkSecrets(); err != nil {
		return nil, err
	}
	switch given := (sources{env: a.env}).getenv(envPassphrase); {
	case c.PassphraseFile != "":
		return passphraseOfFile(c.PassphraseFile)
	case c.InsecureNoPassphrase:
		return nil, nil
	case given != "":
		return []byte(given), nil
	case !a.terminal:
		return nil, errNoPassphrase
	}
	passphrase, err := a.askPassphrase("Passphrase of the wallet: ")
	if err != nil || !isNew {
		return passphrase, err
	}
	again, err := a.askPassphrase("The same again: ")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(passphrase, again) {
		return nil, errors.New("the two passphrases differ: nothing was done, start again")
	}
	return passphrase, nil
}

func (a *app) askPassphrase(prompt string) ([]byte, error) {
	_, _ = fmt.Fprint(a.stderr, prompt)
	passphrase, err := a.readSecret()
	_, _ = fmt.Fprintln(a.stderr)
	if err != nil {
		return nil, fmt.Errorf("read the passphrase: %w", err)
	}
	if len(passphrase) == 0 {
		return nil, errors.New("the passphrase is empty: nothing was done")
	}
	return passphrase, nil
}

// passphraseOfFile reads the first line of a file, as secret stores write it: with a line end or
// without.
func passphraseOfFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("passphrase_file: %w", err)
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxLineBytes+1))
	if err != nil {
		return nil, fmt.Errorf("passphrase_file: %w", err)
	}
	text = bytes.TrimRight(text, "\r\n")
	switch {
	case len(text) == 0:
		return nil, fmt.Errorf("passphrase_file: %s is empty", path)
	case len(text) > maxLineBytes || bytes.ContainsAny(text, "\r\n"):
		return nil, fmt.Errorf("passphrase_file: %s has more than one line: is it the right file?",
			path)
	}
	return text, nil
}
