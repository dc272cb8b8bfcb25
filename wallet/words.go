package wallet

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lightningnetwork/lnd/aezeed"
	"github.com/lightningnetwork/lnd/keychain"
)

// NewWords makes 24 seed words with today as their birthday.
func NewWords() ([]string, error) {
	return newWords(time.Now())
}

func newWords(birthday time.Time) ([]string, error) {
	seed, err := aezeed.New(keychain.CurrentKeyDerivationVersion, nil, birthday)
	if err != nil {
		return nil, fmt.Errorf("wallet: make a seed: %w", err)
	}
	defer clear(seed.Entropy[:])

	words, err := seed.ToMnemonic(nil)
	if err != nil {
		return nil, fmt.Errorf("wallet: encode the seed: %w", err)
	}

	return words[:], nil
}

// CheckWords says whether the words are good, without storing anything: nil or ErrBadWords with
// the word or the reason.
func CheckWords(words []string, passphrase []byte) error {
	seed, err := parseWords(words, passphrase)
	if err != nil {
		return err
	}
	clear(seed.Entropy[:])

	return nil
}

// parseWords decodes the words. The caller clears the entropy.
func parseWords(words []string, passphrase []byte) (*aezeed.CipherSeed, error) {
	words = strings.Fields(strings.ToLower(strings.Join(words, " ")))
	if len(words) != aezeed.NumMnemonicWords {
		return nil, fmt.Errorf("wallet: read the seed: %w: %d words are needed, %d were given",
			ErrBadWords, aezeed.NumMnemonicWords, len(words))
	}

	var mnemonic aezeed.Mnemonic
	for i, word := range words {
		if _, ok := aezeed.ReverseWordMap[word]; !ok {
			return nil, fmt.Errorf("wallet: read the seed: %w: word %d, %q, is not in the "+
				"list%s", ErrBadWords, i+1, word, suggest(word))
		}
		mnemonic[i] = word
	}

	seed, err := mnemonic.ToCipherSeed(passphrase)
	switch {
	case errors.Is(err, aezeed.ErrIncorrectMnemonic):
		return nil, fmt.Errorf("wallet: read the seed: %w: the checksum does not match; a word "+
			"is wrong or two have changed places", ErrBadWords)

	case errors.Is(err, aezeed.ErrIncorrectVersion):
		return nil, fmt.Errorf("wallet: read the seed: %w: the first word belongs to another "+
			"kind of seed; only aezeed words (lnd, Inlet) can be used", ErrBadWords)

	case errors.Is(err, aezeed.ErrInvalidPass) && len(passphrase) == 0:
		return nil, fmt.Errorf("wallet: read the seed: %w: they have a passphrase of their own "+
			"(lnd's cipher seed passphrase); give it", ErrBadWords)

	case errors.Is(err, aezeed.ErrInvalidPass):
		return nil, fmt.Errorf("wallet: read the seed: %w: the seed's own passphrase is wrong",
			ErrBadWords)

	case err != nil:
		return nil, fmt.Errorf("wallet: read the seed: %w: %w", ErrBadWords, err)
	}

	// lnd: other versions may derive other keys, and then the coins would not be found.
	if !keychain.IsKnownVersion(seed.InternalVersion) {
		clear(seed.Entropy[:])

		return nil, fmt.Errorf("wallet: read the seed: %w: key derivation version %d is not "+
			"known", ErrBadWords, seed.InternalVersion)
	}

	return seed, nil
}

// suggest finds the word that a misspelt one is likely to be: the list's words differ from one
// another in their first four letters.
func suggest(word string) string {
	const unique = 4
	if len(word) < unique {
		return ""
	}
	for _, known := range aezeed.DefaultWordList {
		if strings.HasPrefix(known, word[:unique]) {
			return fmt.Sprintf("; did you mean %q?", known)
		}
	}

	return ""
}
