package wallet

import (
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/kvdb"
)

// CreateOptions configures Create.
type CreateOptions struct {
	// Params names the network.
	Params *chaincfg.Params

	// Passphrase encrypts the seed at rest. Required unless Insecure.
	Passphrase []byte

	// Insecure stores the seed openly. For test networks.
	Insecure bool

	// Words restores a wallet. Nil makes a new one.
	Words []string

	// WordsPassphrase is lnd's cipher seed passphrase, when the words have one.
	WordsPassphrase []byte

	// Birthday is when the wallet was first used; zero takes the words' own, which is right for
	// words that a wallet made. Blocks before it are not searched.
	Birthday time.Time
}

// NewWords makes 24 seed words with today as their birthday.
func NewWords() ([]string, error) {
	return nil, ErrBadWords
}

// CheckWords says whether the words are good, without storing anything: nil or ErrBadWords with
// the word or the reason.
func CheckWords(words []string, passphrase []byte) error {
	return ErrBadWords
}

// Create stores a new wallet, or one restored from words, in one write. It returns the words:
// show them once, they are stored nowhere in the open. Errors: ErrExists, ErrBadWords,
// ErrPassphraseRule.
func Create(db kvdb.Backend, o CreateOptions) ([]string, error) {
	return nil, ErrExists
}

// Exists says whether the store has a wallet.
func Exists(db kvdb.Backend) (bool, error) {
	return false, nil
}

// ChangePassphrase wraps the stored seed anew. An empty old passphrase means that it was stored
// openly; an empty next one stores it openly and is allowed only with insecure.
func ChangePassphrase(db kvdb.Backend, old, next []byte, insecure bool) error {
	return ErrMissing
}
