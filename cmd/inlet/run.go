package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"syscall"

	"github.com/spf13/cobra"
)

// The choices of the log section.
var (
	logLevels  = []string{"debug", "info", "warn", "error"}
	logFormats = []string{"text", "json"}
)

func (a *app) runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the node",
		Long: "Run the node until it is told to stop: by inlet stop, Ctrl-C or SIGTERM. A second\n" +
			"signal ends it at once.\n\n" +
			"Every setting comes from a flag, or else from the environment (" + envPrefix +
			" and the path in\nupper case, dots as underscores), or else from the configuration " +
			"file.\ninlet.example.toml explains them.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.run(cmd) },
	}
	a.addKeys(cmd.Flags(), slices.DeleteFunc(keyPaths(), func(path string) bool {
		return slices.Contains(sharedKeys, path)
	})...)
	return cmd
}

func (a *app) run(cmd *cobra.Command) error {
	config, err := a.config()
	if err != nil {
		return err
	}
	warnings, err := config.validate()
	if err != nil {
		return err
	}
	log := newLogger(a.stderr, config.Log)
	for _, warning := range warnings {
		log.Warn("this setting is rarely meant", "setting", warning)
	}
	passphrase, err := a.passphrase(config, false)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	stop := a.nodes.signals(func() {
		log.Info("stopping; another signal ends the node at once")
		cancel()
	}, func() {
		log.Warn("ended at once, without a graceful stop")
	})
	defer stop()

	log.Info("inlet starts", "version", buildVersion().Version, "network", config.Network,
		"data_dir", config.DataDir)
	if err := a.nodes.run(ctx, config, passphrase, log); err != nil {
		return explain(err, config)
	}
	log.Info("inlet has stopped")
	return nil
}

// newLogger logs to w as the configuration says.
func newLogger(w io.Writer, c LogConfig) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // validated: one of logLevels
	options := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// explain adds what to do to errors of the machine that no package below knows enough about.
func explain(err error, c Config) error {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%w\nthe disk that holds %s is full: make room and start again; what was "+
			"confirmed to others is on it", err, c.DataDir)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w\n%s is on a disk that can't be written", err, c.DataDir)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%w\nrun inlet as the user to whom %s belongs", err, c.DataDir)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w\nanother program has that port: stop it, or change listen or "+
			"admin_listen", err)
	}
	return err
}
