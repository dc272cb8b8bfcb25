package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/stretchr/testify/require"
)

// writeConfig writes a configuration file and returns its path.
func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), configName)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestExampleEqualsTheDefaults(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "inlet.example.toml"))
	require.NoError(t, err)
	example, want := Config{}, DefaultConfig()
	lists, err := applyFile(&example, filepath.Join("..", "..", "inlet.example.toml"), true)
	require.NoError(t, err)
	require.Empty(t, lists, "the example's tables are commented out")
	exampleKeys, wantKeys := example.keys(), want.keys()
	for i, k := range wantKeys {
		if got := exampleKeys[i].String(); got != k.String() {
			t.Errorf("%s: the example has %q, the default is %q", k.path, got, k)
		}
	}

	var written map[string]any
	meta, err := toml.Decode(string(text), &written)
	require.NoError(t, err)
	for _, path := range keyPaths() {
		if !meta.IsDefined(strings.Split(path, ".")...) {
			t.Errorf("the example doesn't show %s", path)
		}
	}
}

func TestEveryKeyHasItsOwnNames(t *testing.T) {
	paths := keyPaths()
	var c Config
	envs := map[string]string{envConfig: "config", envPassphrase: "passphrase"}
	for _, k := range c.keys() {
		if keyHelp[k.path] == "" {
			t.Errorf("%s has no help", k.path)
		}
		if other, taken := envs[k.env()]; taken {
			t.Errorf("%s and %s are both %s in the environment", k.path, other, k.env())
		}
		envs[k.env()] = k.path
	}
	if len(keyHelp) != len(paths) {
		t.Errorf("%d helps for %d keys", len(keyHelp), len(paths))
	}
	values := map[string]bool{}
	for _, path := range paths {
		values[path] = true
	}
	for _, b := range bounds {
		if !values[b.path] {
			t.Errorf("there is a bound for %s, which is no key", b.path)
		}
	}
}

// TestPrecedence sets one key of each kind in each combination of the three places.
func TestPrecedence(t *testing.T) {
	const (
		none = ""
		file = "hold_seconds = 11"
		env  = "INLET_LSP_LSPS2_HOLD_SECONDS=12"
		flag = "13"
	)
	for _, c := range []struct {
		name, file, env, flag string
		want                  uint32
	}{
		{"nothing", none, none, none, 90},
		{"file", file, none, none, 11},
		{"environment", none, env, none, 12},
		{"flag", none, none, flag, 13},
		{"environment over file", file, env, none, 12},
		{"flag over file", file, none, flag, 13},
		{"flag over environment", none, env, flag, 13},
		{"flag over both", file, env, flag, 13},
		{"an empty variable is not set", file, "INLET_LSP_LSPS2_HOLD_SECONDS=", none, 11},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := sources{
				file: writeConfig(t, "[lsp.lsps2]\n"+c.file), env: []string{c.env, "PATH=/bin"},
				flags: map[string]string{}, home: t.TempDir(),
			}
			if c.flag != none {
				s.flags["lsp.lsps2.hold_seconds"] = c.flag
			}
			config, err := s.load()
			require.NoError(t, err)
			if got := config.LSP.LSPS2.HoldSeconds; got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

// TestAllPlacesSetAllKeys gives every key the same value in each of the three places and wants
// the same configuration.
func TestAllPlacesSetAllKeys(t *testing.T) {
	var scratch Config
	var env []string
	flags := map[string]string{}
	var file strings.Builder
	for _, k := range scratch.keys() {
		text, written := "7", "7"
		switch k.kind() {
		case "bool":
			text, written = "true", "true"
		case "list":
			text, written = "a:1,b:2", `["a:1", "b:2"]`
		case "text":
			text, written = "regtest", `"regtest"`
		}
		env, flags[k.path] = append(env, k.env()+"="+text), text
		file.WriteString(k.path + " = " + written + "\n")
	}
	home := t.TempDir()
	var got []Config
	for _, s := range []sources{
		{home: home, file: writeConfig(t, file.String())}, {home: home, env: env},
		{home: home, flags: flags},
	} {
		config, err := s.load()
		require.NoError(t, err)
		got = append(got, config)
	}
	if !reflect.DeepEqual(got[0], got[1]) || !reflect.DeepEqual(got[0], got[2]) {
		t.Errorf("file, environment and flags differ:\n%+v\n%+v\n%+v", got[0], got[1], got[2])
	}
	if got[0].LSP.Limits.HeldParts != 7 || got[0].Listen[1] != "b:2" || !got[0].LSP.Enabled {
		t.Errorf("the values are not there: %+v", got[0])
	}
}

func TestWhereTheFileIsLookedFor(t *testing.T) {
	home, dir := t.TempDir(), t.TempDir()
	write := func(path, alias string) string {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte("alias = '"+alias+"'"), 0o600))
		return path
	}
	write(filepath.Join(home, ".inlet", configName), "home")
	write(filepath.Join(dir, configName), "dir")
	named := write(filepath.Join(t.TempDir(), "x.toml"), "named")
	write(filepath.Join(home, "y.toml"), "tilde")
	for _, c := range []struct {
		s    sources
		want string
	}{
		{sources{}, "home"},
		{sources{flags: map[string]string{"data_dir": dir}}, "dir"},
		{sources{env: []string{"INLET_DATA_DIR=" + dir}}, "dir"},
		{sources{flags: map[string]string{"data_dir": home}}, ""},
		{sources{env: []string{"INLET_CONFIG=" + named}}, "named"},
		{sources{file: "~/y.toml", env: []string{"INLET_CONFIG=" + named}}, "tilde"},
	} {
		c.s.home = home
		config, err := c.s.load()
		require.NoError(t, err)
		if config.Alias != c.want {
			t.Errorf("%+v: read %q, want %q", c.s, config.Alias, c.want)
		}
	}
	_, err := sources{file: "/does/not/exist.toml", home: home}.load()
	require.ErrorIs(t, err, os.ErrNotExist, "a file that was named has to be there")
}

func TestDefaultsThatDependOnOtherKeys(t *testing.T) {
	home := "/home/op"
	config, err := sources{home: home}.load()
	require.NoError(t, err)
	for _, c := range []struct{ got, want string }{
		{config.DataDir, "/home/op/.inlet/mainnet"},
		{config.Chain.Bitcoind.RPCHost, "127.0.0.1:8332"},
		{config.Chain.Bitcoind.CookieFile, "/home/op/.bitcoin/.cookie"},
		{config.Chain.Btcd.RPCHost, "127.0.0.1:8334"},
		{config.Chain.Btcd.CertFile, "/home/op/.btcd/rpc.cert"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
	config, err = sources{home: home, flags: map[string]string{
		"network": "regtest", "data_dir": "~/x", "chain.btcd.tls": "false",
		"chain.bitcoind.rpc_user": "u", "chain.btcd.rpc_host": "[::1]",
	}}.load()
	require.NoError(t, err)
	for _, c := range []struct{ got, want string }{
		{config.DataDir, "/home/op/x"},
		{config.Chain.Bitcoind.RPCHost, "127.0.0.1:18443"},
		{config.Chain.Bitcoind.CookieFile, ""},
		{config.Chain.Btcd.CertFile, ""},
		{config.Chain.Btcd.RPCHost, "[::1]:18334"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestWrongFilesSayWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"an unknown key", "[lsp.lsps2]\nhold_second = 5",
			`unknown key "lsp.lsps2.hold_second": did you mean "lsp.lsps2.hold_seconds"?`},
		{"an unknown section", "[lsp.lsps3]\nmin_fee_msat = 5", `did you mean "lsp.`},
		{"a value for a section", "lsp = true", `unknown key "lsp"`},
		{"a section for a value", "[alias]\nx = 1", `unknown key "alias"`},
		{"text for a number", "[lsp.lsps2]\nhold_seconds = 'long'", `"long" is not a whole number`},
		{"a negative number", "[lsp.lsps2]\nhold_seconds = -5", `"-5" is not a whole number`},
		{"a fraction", "[lsp.lsps2]\nhold_seconds = 1.5", "1.5 is not a number"},
		{"too large a number", "[lsp.lsps2]\nhold_seconds = 4294967296", "0 to 4294967295"},
		{"a number for text", "alias = 5", "5 has to be in quotes"},
		{"a number for a list", "listen = 9735", "9735 is not a list"},
		{"text for a list", "listen = ':9735'", `write [":9735"]`},
		{"numbers in a list", "listen = [9735]", "9735 in the list has to be in quotes"},
		{"a list for text", "alias = ['a']", "a list is not a text"},
		{"text for a bool", "[lsp]\nenabled = 'true'", "write true or false without"},
		{"a bool for a number", "[lsp.lsps2]\nhold_seconds = true", "true is not a number"},
		{"a date", "alias = 2026-01-01", "is not a text"},
		{"no TOML", "alias = 'a\n", "is not TOML"},
		{"the same key twice", "alias = 'a'\nalias = 'b'", "is not TOML"},
		{"a wrong network", "network = 'bitcoin'", "choose one of mainnet, testnet, signet, regtest"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := sources{file: writeConfig(t, c.text), home: t.TempDir()}.load()
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestWrongEnvironmentSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ variable, want string }{
		{"INLET_LSP_LSPS2_HOLD_SECOND=5", `did you mean "INLET_LSP_LSPS2_HOLD_SECONDS"?`},
		{"INLET_LSP_ENABLED=maybe", `INLET_LSP_ENABLED: "maybe" is not true or false`},
		{"INLET_PASSPHRAZE=x", `did you mean "INLET_PASSPHRASE"?`},
	} {
		_, err := sources{env: []string{c.variable}, home: t.TempDir()}.load()
		require.ErrorContains(t, err, c.want)
	}
	_, err := sources{home: t.TempDir(), env: []string{
		"INLET_PORT=tcp://10.0.0.1:9735", "INLET_PORT_9735_TCP=x", "INLET_SERVICE_HOST=10.0.0.1",
		"INLET_PASSPHRASE=x", "INLETX=1",
	}}.load()
	require.NoError(t, err, "what Kubernetes sets is no mistake")
}
