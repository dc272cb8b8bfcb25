package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/inletlsp/inlet/lsp"
)

// minTokenBytes makes a token too long to be guessed at the rate of the limits.
const (
	minTokenBytes = 8
	maxTokenBytes = 128
)

// checkMenus checks the tables of menus and tokens, and when nothing is wrong with each alone, how
// they go together.
func (c Config) checkMenus() error {
	var errs []error
	for i, item := range c.LSP.LSPS2.Menu {
		errs = append(errs, item.check(rowName("lsp.lsps2.menu", i)))
	}
	for i, t := range c.LSP.Tokens {
		place := rowName("lsp.tokens", i)
		errs = append(errs, t.check(place))
		for j, item := range t.Menu {
			errs = append(errs, item.check(rowName(place+".menu", j)))
		}
	}
	if err := errors.Join(errs...); err != nil || !c.LSP.Enabled {
		return err
	}
	return lspOptions(c.LSP).Validate()
}

// check holds the item against the bounds of the keys in lsp.lsps2.
func (c MenuItemConfig) check(place string) error {
	values := map[string]uint64{}
	for _, k := range appendKeys(nil, "lsp.lsps2.", reflect.ValueOf(&c).Elem()) {
		values[k.path] = k.value.Uint()
	}
	var errs []error
	for _, b := range bounds {
		v, has := values[b.path]
		if has && (v < b.min || v > b.max) {
			errs = append(errs, fmt.Errorf("%s%s: %d is not from %d to %d (%s)", place,
				strings.TrimPrefix(b.path, "lsp.lsps2"), v, b.min, b.max, b.why))
		}
	}
	return errors.Join(errs...)
}

func (c TokenConfig) check(place string) error {
	_, err := c.hash()
	_, err2 := c.end()
	if err = errors.Join(err, err2); err != nil {
		return fmt.Errorf("%s %q: %w", place, c.Name, err)
	}
	return nil
}

// hash is the SHA-256 of the secret, however it is given.
func (c TokenConfig) hash() (hash [32]byte, _ error) {
	switch {
	case (c.Token == "") == (c.TokenSha256 == ""):
		return hash, errors.New("give the secret as token, or its SHA-256 as token_sha256")
	case c.TokenSha256 != "":
		raw, err := hex.DecodeString(c.TokenSha256)
		if err != nil || len(raw) != len(hash) {
			return hash, errors.New("token_sha256 is not 64 hexadecimal digits")
		}
		return [32]byte(raw), nil
	case len(c.Token) < minTokenBytes || len(c.Token) > maxTokenBytes:
		return hash, fmt.Errorf("token has %d bytes: at least %d, so that it can't be guessed, at "+
			"most %d", len(c.Token), minTokenBytes, maxTokenBytes)
	}
	return lsp.HashToken(c.Token), nil
}

// end is when the token expires; zero is never.
func (c TokenConfig) end() (time.Time, error) {
	if c.ExpiresAt == "" {
		return time.Time{}, nil
	}
	end, err := time.Parse(time.RFC3339, c.ExpiresAt)
	if err != nil {
		return end, fmt.Errorf("expires_at is %q: write it as \"2027-01-31T00:00:00Z\"", c.ExpiresAt)
	}
	return end, nil
}
