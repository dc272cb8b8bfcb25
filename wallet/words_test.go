package wallet

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/aezeed"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/stretchr/testify/require"
)

// What lnd's aezeed package makes of this entropy with the salt "salt1", version 0, and the
// birthday 3365 (2018-03-23). Its own vectors are for a cheaper key derivation.
const (
	vectorWords = "absorb original enlist once climb erode kid thrive kitchen giant define " +
		"tube orange leader harbor comfort olive fatal success suggest drink penalty " +
		"chimney ritual"
	vectorEntropy  = "81b637d86359e6960de795e41e0b4cfd"
	vectorBirthday = 3365
)

func TestParseWordsVector(t *testing.T) {
	seed, err := parseWords(strings.Fields(vectorWords), nil)
	require.NoError(t, err)
	require.Equal(t, vectorEntropy, hexOf(seed.Entropy[:]))
	require.Equal(t, uint16(vectorBirthday), seed.Birthday)

	// As pasted: one string, capitals, line breaks.
	seed, err = parseWords([]string{"\n" + strings.ToUpper(vectorWords) + " "}, nil)
	require.NoError(t, err)
	require.Equal(t, vectorEntropy, hexOf(seed.Entropy[:]))
}

func TestNewWords(t *testing.T) {
	a, err := NewWords()
	require.NoError(t, err)
	require.Len(t, a, 24)
	b, err := NewWords()
	require.NoError(t, err)
	require.NotEqual(t, a, b)
	require.NoError(t, CheckWords(a, nil))

	birthday := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	words, err := newWords(birthday)
	require.NoError(t, err)
	seed, err := parseWords(words, nil)
	require.NoError(t, err)
	require.WithinDuration(t, birthday, seed.BirthdayTime(), 24*time.Hour)
	require.Equal(t, uint8(keychain.CurrentKeyDerivationVersion), seed.InternalVersion)
}

func TestParseWordsSaysWhatIsWrong(t *testing.T) {
	good := strings.Fields(vectorWords)
	change := func(at int, word string) []string {
		words := slices.Clone(good)
		words[at] = word

		return words
	}
	swapped := slices.Clone(good)
	swapped[3], swapped[4] = swapped[4], swapped[3]

	// The words' own passphrase, as lnd lets one set.
	closed, err := aezeed.New(keychain.CurrentKeyDerivationVersion, nil, time.Now())
	require.NoError(t, err)
	closedWords, err := closed.ToMnemonic([]byte("of the words"))
	require.NoError(t, err)

	unknown, err := aezeed.New(99, nil, time.Now())
	require.NoError(t, err)
	unknownWords, err := unknown.ToMnemonic(nil)
	require.NoError(t, err)

	cases := map[string]struct {
		words []string
		pass  string
		want  string
	}{
		"too few":            {good[:23], "", "24 words are needed, 23 were given"},
		"too many":           {append(slices.Clone(good), "ritual"), "", "25 were given"},
		"none":               {nil, "", "0 were given"},
		"misspelt":           {change(1, "originl"), "", `word 2, "originl", is not`},
		"misspelt, a hint":   {change(1, "originl"), "", `did you mean "original"?`},
		"not a word":         {change(23, "xyz"), "", `word 24, "xyz", is not in the list`},
		"another list word":  {change(5, "zebra"), "", "checksum"},
		"two swapped":        {swapped, "", "checksum"},
		"another seed kind":  {change(0, "zoo"), "", "another kind of seed"},
		"passphrase missing": {closedWords[:], "", "passphrase of their own"},
		"passphrase wrong":   {closedWords[:], "mine", "own passphrase is wrong"},
		"unknown derivation": {unknownWords[:], "", "version 99"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := CheckWords(c.words, []byte(c.pass))
			require.ErrorIs(t, err, ErrBadWords)
			require.ErrorContains(t, err, c.want)
		})
	}

	require.NoError(t, CheckWords(closedWords[:], []byte("of the words")))
}
