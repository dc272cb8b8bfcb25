package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/lsp"
)

// loadText reads a configuration file with this text.
func loadText(t *testing.T, text string) (Config, error) {
	t.Helper()
	return sources{file: writeConfig(t, text), home: t.TempDir()}.load()
}

// rowKeys are the keys of a table of a list.
func rowKeys(item any) []string {
	var names []string
	for _, k := range appendKeys(nil, "", reflect.ValueOf(item).Elem()) {
		names = append(names, k.path)
	}
	return names
}

// TestExampleTables switches the example's tables on: they are valid, and show every key that such
// a table can have.
func TestExampleTables(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "inlet.example.toml"))
	require.NoError(t, err)
	on := regexp.MustCompile(`(?m)^#([^ \n])`).ReplaceAllString(string(text), "$1")
	c, err := loadText(t, strings.Replace(on, "enabled = false", "enabled = true", 1))
	require.NoError(t, err)
	warnings, err := c.validate()
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.Len(t, c.LSP.LSPS2.Menu, 1)
	require.Len(t, c.LSP.Tokens, 1)
	require.Len(t, c.LSP.Tokens[0].Menu, 1)

	menu := between(t, on, "[[lsp.lsps2.menu]]", "[[lsp.tokens]]")
	for _, name := range rowKeys(&MenuItemConfig{}) {
		require.Contains(t, menu, "\n"+name+" = ", "the example's menu item")
	}
	token := between(t, on, "[[lsp.tokens]]", "[[lsp.tokens.menu]]")
	for _, name := range rowKeys(&TokenConfig{}) {
		require.Contains(t, token, name+" = ", "the example's token")
	}
}

func between(t *testing.T, text, from, to string) string {
	t.Helper()
	_, text, found := strings.Cut(text, from)
	require.True(t, found)
	text, _, found = strings.Cut(text, to)
	require.True(t, found)
	return text
}

const someLists = `
[lsp]
enabled = true
[lsp.lsps2]
min_lifetime_blocks = 1000
[[lsp.lsps2.menu]]
min_fee_msat = 3_000_000
[[lsp.lsps2.menu]]
min_fee_msat = "1000000"
proportional_ppm = 1000
[[lsp.tokens]]
name = "shop"
token = "open sesame"
expires_at = "2027-01-31T01:00:00+01:00"
max_open_orders = 7
max_orders = 8
[[lsp.tokens.menu]]
min_fee_msat = 500
[[lsp.tokens]]
name = "friends"
token_sha256 = "3A1D0E7E8DC8B1F8F7F8A0D6F8F7A0E1B2C3D4E5F60718293A4B5C6D7E8F9011"
enabled = false
menu = [{ proportional_ppm = 5 }, { proportional_ppm = 6 }]
`

// TestListsReachTheNode has the tables in the node's words; what they leave out is as in lsp.lsps2,
// wherever that was set.
func TestListsReachTheNode(t *testing.T) {
	c, err := sources{
		file: writeConfig(t, someLists), home: t.TempDir(),
		env:   []string{"INLET_LSP_LSPS2_VALID_FOR_SECONDS=1200"},
		flags: map[string]string{"lsp.lsps2.max_payment_size_msat": "123000000"},
	}.load()
	require.NoError(t, err)
	_, err = c.validate()
	require.NoError(t, err)
	o := lspOptions(c.LSP)
	base := o.Offer.Item()
	require.Equal(t, uint32(1000), base.MinLifetime)
	require.Equal(t, 20*time.Minute, base.ValidFor)
	require.Equal(t, uint64(123_000_000), uint64(base.MaxPaymentSize))

	dearer, cheaper := base, base
	dearer.MinFee = 3_000_000
	cheaper.MinFee, cheaper.ProportionalPPM = 1_000_000, 1000
	require.Equal(t, []lsp.MenuItem{dearer, cheaper}, o.Offer.More)

	require.Len(t, o.Tokens, 2)
	shop, friends := o.Tokens[0], o.Tokens[1]
	require.Equal(t, "shop", shop.Name)
	require.Equal(t, lsp.HashToken("open sesame"), shop.Hash)
	require.False(t, shop.Disabled)
	require.True(t, shop.ExpiresAt.Equal(time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)))
	require.Equal(t, 7, shop.MaxOpen)
	require.Equal(t, 8, shop.MaxOrders)
	own := base
	own.MinFee = 500
	require.Equal(t, []lsp.MenuItem{own}, shop.Menu)
	require.True(t, friends.Disabled)
	require.Equal(t, byte(0x3a), friends.Hash[0])
	require.Len(t, friends.Menu, 2)
	require.True(t, friends.ExpiresAt.IsZero())
}

// TestEveryRowKeyReachesTheNode changes each key of each kind of table and looks for the change in
// the node's options.
func TestEveryRowKeyReachesTheNode(t *testing.T) {
	before, err := loadText(t, someLists)
	require.NoError(t, err)
	for name, pick := range map[string]func(*Config) any{
		"menu":       func(c *Config) any { return &c.LSP.LSPS2.Menu[0] },
		"token":      func(c *Config) any { return &c.LSP.Tokens[0] },
		"token menu": func(c *Config) any { return &c.LSP.Tokens[0].Menu[0] },
	} {
		for _, path := range rowKeys(pick(&before)) {
			after, err := loadText(t, someLists)
			require.NoError(t, err)
			for _, k := range appendKeys(nil, "", reflect.ValueOf(pick(&after)).Elem()) {
				if k.path == path {
					change(t, k)
				}
			}
			switch path {
			case "expires_at":
				after.LSP.Tokens[0].ExpiresAt = "2028-01-01T00:00:00Z"
			case "token":
				after.LSP.Tokens[0].Token = "close sesame"
			case "token_sha256":
				after.LSP.Tokens[0].Token = ""
				after.LSP.Tokens[0].TokenSha256 = strings.Repeat("ab", 32)
			}
			log := slog.New(slog.DiscardHandler)
			if reflect.DeepEqual(nodeOptions(before, nil, log), nodeOptions(after, nil, log)) {
				t.Errorf("%s: %s changes nothing", name, path)
			}
		}
	}
}

// TestListsAreKnown: every list of the Config is one that the file can have, and none has a flag.
func TestListsAreKnown(t *testing.T) {
	var found []string
	var walk func(prefix string, v reflect.Type)
	walk = func(prefix string, v reflect.Type) {
		for i := range v.NumField() {
			f := v.Field(i)
			path := prefix + f.Tag.Get("toml")
			switch {
			case f.Anonymous:
				walk(prefix, f.Type)
			case isList(f.Type):
				found = append(found, path)
			case f.Type.Kind() == reflect.Struct:
				walk(path+".", f.Type)
			}
		}
	}
	walk("", reflect.TypeFor[Config]())
	require.ElementsMatch(t, listPaths(), found)
	for _, path := range keyPaths() {
		require.False(t, slices.Contains(found, path), path)
	}
}

func TestWrongListsSayWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"[lsp.tokens]\nname = 'a'":                                  "it is a list of tables: write [[lsp.tokens]]",
		"[lsp]\ntokens = 5":                                         "it is a list of tables",
		"[[lsp.tokens]]\nnme = 'a'":                                 `lsp.tokens[1]: unknown key "nme": did you mean "name"?`,
		"[[lsp.tokens]]\nmenu = 5":                                  "lsp.tokens[1].menu: it is not a list of tables",
		"[[lsp.tokens]]\n[[lsp.tokens.menu]]\nx=1":                  `lsp.tokens[1].menu[1]: unknown key "x"`,
		"[[lsp.tokens]]\nexpires_at = 2027-01-01":                   "lsp.tokens[1].expires_at: ",
		"[[lsp.lsps2.menu]]\n[[lsp.lsps2.menu]]\nmin_fee_msat = -1": "lsp.lsps2.menu[2].min_fee_msat: ",
		"[[lsp.lsps2.menus]]\n":                                     `did you mean "lsp.lsps2.menu"?`,
	} {
		_, err := loadText(t, text)
		require.ErrorContains(t, err, want, text)
	}
	_, err := sources{home: t.TempDir(), env: []string{"INLET_LSP_TOKENS=x"}}.load()
	require.ErrorContains(t, err, "unknown environment variable")
}

// TestWrongMenusAreRefused are the mistakes that validate finds, with the LSP switched on.
func TestWrongMenusAreRefused(t *testing.T) {
	const token = "[[lsp.tokens]]\nname = 'a'\n"
	for text, want := range map[string]string{
		"[[lsp.lsps2.menu]]\nmin_fee_msat = 3000000\nproportional_ppm = 1": "raise proportional_ppm of " +
			"lsp.lsps2.menu item 1 to at least 4000, or lower that of lsp.lsps2 to at most 1",
		"[[lsp.lsps2.menu]]":                                                                 "same price",
		"[[lsp.lsps2.menu]]\nvalid_for_seconds = 599":                                        "valid_for_seconds: 599",
		"[[lsp.lsps2.menu]]\nproportional_ppm = 500001":                                      "more than half",
		"[[lsp.lsps2.menu]]\nproportional_ppm = 5000\nmax_client_to_self_delay_blocks = 143": "143 is not from 144",
		token:                         "give the secret as token",
		token + "token = '1234567'":   "at least 8",
		token + "token_sha256 = '12'": "64 hexadecimal digits",
		token + "token = '12345678'\ntoken_sha256 = '12'":                            "give the secret as token, or",
		token + "token = '12345678'\nexpires_at = 'soon'":                            `write it as "2027-01-31T00:00:00Z"`,
		token + "token = '12345678'\n[[lsp.tokens.menu]]\nmin_payment_size_msat = 1": `lsp.tokens[1].menu[1]`,
		token + "token = '12345678'\n" + token + "token = '123456789'":               "two tokens have that name",
	} {
		c, err := loadText(t, "lsp.enabled = true\n"+text)
		require.NoError(t, err, text)
		_, err = c.validate()
		require.ErrorContains(t, err, want, text)
	}
}
