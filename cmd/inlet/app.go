package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/inletlsp/inlet/node/api"
)

// Exit statuses.
const (
	exitOK    = 0
	exitError = 1 // it could not be done
	exitUsage = 2 // the command line is wrong; for conform also: there is nobody to ask
)

// app is the program with everything that it touches outside of itself, so that tests can run it
// in their own process.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	env            []string
	home           string

	// terminal says whether a person sits at stdin.
	terminal bool

	// readSecret reads a line from the terminal without showing it.
	readSecret func() ([]byte, error)

	// lines reads stdin by lines; one reader, since it reads ahead.
	lines lineReader

	// nodes is how the program reaches the node itself.
	nodes nodes

	options options

	// started is set when the command line was understood: an error before that is wrong usage.
	started bool
}

// nodes makes and runs nodes.
type nodes struct {
	// create makes the wallet and returns its words.
	create func(createOrder) (words []string, err error)

	// verify reads a backup with the wallet of a data directory, or by the words alone.
	verify func(verifyOrder) (*api.BackupReport, error)

	// run runs a node until ctx ends.
	run func(ctx context.Context, c Config, passphrase []byte, log *slog.Logger) error

	// signals calls interrupt at the first request to end, and force at the second; the
	// function that it returns ends that.
	signals func(interrupt, force func()) (stop func())
}

// options are the flags that all commands share.
type options struct {
	config string
	json   bool
	yes    bool
	keys   map[string]*keyFlag
}

// sharedKeys are the settings that every command has as flags: they say which node is meant.
var sharedKeys = []string{"network", "data_dir", "admin_listen"}

// usageError is an error of the person at the command line that cobra doesn't see.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// execute runs the program and returns its exit status.
func (a *app) execute(ctx context.Context, args []string) int {
	root := a.rootCommand()                   //nolint:contextcheck // cobra hands ctx to the commands
	root.SetArgs(append([]string{}, args...)) // nil would mean those of the process
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	if errors.Is(err, errReported) {
		return exitError
	}
	a.complain(err)
	var unreachable unreachableError
	if errors.As(err, &unreachable) {
		return exitUsage
	}
	var usage usageError
	if a.started && !errors.As(err, &usage) {
		return exitError
	}
	_, _ = fmt.Fprintf(a.stderr, "       %s --help tells how to use it\n", cmd.CommandPath())
	return exitUsage
}

// errReported is an error that the answer already tells about, such as a payment that failed.
var errReported = errors.New("already reported")

// complain writes an error to stderr, its further lines below the first.
func (a *app) complain(err error) {
	text := strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "\n       ")
	_, _ = fmt.Fprintf(a.stderr, "inlet: %s\n", cleanLines(text))
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "inlet",
		Short: "A Lightning node that sells, and buys, channels just in time",
		Long: "inlet is a Lightning node with an LSP (bLIP-52) inside.\n\n" +
			"inlet create makes the wallet, inlet run starts the node; the other commands talk\n" +
			"to the running node. inlet demo shows a sale from end to end on a private chain.",
		Version:       buildVersion().Version,
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRun:  func(*cobra.Command, []string) { a.started = true },
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetGlobalNormalizationFunc(normalizeFlag)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	flags := root.PersistentFlags()
	flags.StringVar(&a.options.config, "config", "",
		"configuration file (default ~/.inlet/inlet.toml, or inlet.toml in --data_dir)")
	flags.BoolVar(&a.options.json, "json", false, "print one JSON document")
	a.options.keys = map[string]*keyFlag{}
	a.addKeys(flags, sharedKeys...)

	root.AddCommand(
		a.runCommand(), a.createCommand(), a.stopCommand(), a.infoCommand(), a.walletCommand(),
		a.peersCommand(), a.channelsCommand(), a.invoicesCommand(), a.payCommand(),
		a.paymentsCommand(), a.lspCommand(), a.jitCommand(), a.backupCommand(), a.compactCommand(),
		a.conformCommand(), a.demoCommand(), a.versionCommand(),
	)
	return root
}

// group makes a command that has only subcommands.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	names := make([]string, len(commands))
	for i, c := range commands {
		names[i] = c.Name()
	}
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return usageError{fmt.Errorf("%s what? One of %s", use, strings.Join(names, ", "))}
		},
	}
	cmd.AddCommand(commands...)
	return cmd
}

// config loads the configuration for the command.
func (a *app) config() (Config, error) {
	flags := map[string]string{}
	for path, f := range a.options.keys {
		if f.given {
			flags[path] = f.text
		}
	}
	return sources{file: a.options.config, env: a.env, flags: flags, home: a.home}.load()
}

// client returns a client of the running daemon.
func (a *app) client() (*api.Client, error) {
	config, err := a.config()
	if err != nil {
		return nil, err
	}
	return api.NewClient(api.ClientOptions{
		Address: config.AdminListen, Dir: config.DataDir, StartHint: a.startHint(config),
	})
}

// startHint is how to start the daemon that the command was meant for.
func (a *app) startHint(c Config) string {
	run := "inlet run"
	if a.options.config != "" {
		run += " --config " + a.options.config
	}
	for _, path := range sharedKeys {
		if f := a.options.keys[path]; f.given {
			run += " --" + path + " " + f.text
		}
	}
	if _, err := os.Stat(c.DataDir); err != nil {
		return "there is no " + c.DataDir + " yet: make a wallet with " +
			strings.Replace(run, "inlet run", "inlet create", 1) + ", start it with " + run
	}
	return "start it with: " + run
}

// ask runs f with a client of the daemon.
func ask[T any](a *app, f func(c *api.Client) (T, error)) (T, error) {
	client, err := a.client()
	if err != nil {
		var none T
		return none, err
	}
	defer client.Close()
	return f(client)
}

// addKeys adds flags for configuration keys. Two commands that have the same one share its value.
func (a *app) addKeys(flags *pflag.FlagSet, paths ...string) {
	scratch := DefaultConfig()
	for _, k := range scratch.keys() {
		if !slices.Contains(paths, k.path) {
			continue
		}
		if a.options.keys[k.path] == nil {
			a.options.keys[k.path] = &keyFlag{key: k}
		}
		flag := flags.VarPF(a.options.keys[k.path], k.path, "", keyHelp[k.path])
		if k.kind() == "bool" {
			flag.NoOptDefVal = "true"
		}
	}
}

// keyFlag is a configuration key as a flag. It parses into a scratch Config, so that a bad value
// is wrong usage, and keeps the text for the real one.
type keyFlag struct {
	key   key
	text  string
	given bool
}

func (f *keyFlag) String() string { return f.key.String() }
func (f *keyFlag) Type() string   { return f.key.kind() }

// Set implements pflag.Value. A list that is given again grows.
func (f *keyFlag) Set(text string) error {
	if f.key.list() && f.given {
		text = f.text + "," + text
	}
	if err := f.key.set(text); err != nil {
		return err
	}
	f.text, f.given = text, true
	return nil
}

// normalizeFlag lets every flag be written with hyphens or underscores. Configuration keys are
// named as in the file, all other flags with hyphens.
func normalizeFlag(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	underscored := strings.ReplaceAll(name, "-", "_")
	if _, isKey := keyHelp[underscored]; isKey {
		return pflag.NormalizedName(underscored)
	}
	return pflag.NormalizedName(strings.ReplaceAll(name, "_", "-"))
}
