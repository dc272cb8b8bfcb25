package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/inletlsp/inlet/node/api"
)

func (a *app) infoCommand() *cobra.Command {
	return &cobra.Command{
		Use: "info", Short: "Show the node", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			info, err := ask(a, func(c *api.Client) (*api.Info, error) {
				return c.Info(cmd.Context())
			})
			if err != nil {
				return err
			}
			return show(a, info, infoText)
		},
	}
}

func infoText(i *api.Info) string {
	var s sheet
	s.add("node id", i.NodeID)
	s.add("alias", i.Alias)
	s.add("network", i.Network)
	s.add("version", i.Version)
	height := grouped(strconv.FormatUint(uint64(i.BlockHeight), 10))
	if !i.SyncedToChain {
		height += " (not synced to the chain)"
	}
	s.add("block height", height)
	s.add("peers", strconv.Itoa(i.Peers))
	s.add("channels", fmt.Sprintf("%d active, %d inactive, %d pending",
		i.Channels.Active, i.Channels.Inactive, i.Channels.Pending))
	service := "off"
	if i.LSP.Enabled {
		service = "on"
		for _, protocol := range i.LSP.Protocols {
			service += fmt.Sprintf(", LSPS%d", protocol)
		}
	}
	s.add("LSP", service)
	for _, uri := range i.URIs {
		s.add("URI", uri)
	}
	return s.String()
}

func (a *app) stopCommand() *cobra.Command {
	noWait := false
	cmd := &cobra.Command{
		Use: "stop", Short: "Stop the node and wait until it has ended", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			answer, err := ask(a, func(c *api.Client) (*api.StopResponse, error) {
				stop := c.StopAndWait
				if noWait {
					stop = c.Stop
				}
				return &api.StopResponse{Stopping: true}, stop(cmd.Context())
			})
			if err != nil {
				return err
			}
			return show(a, answer, func(*api.StopResponse) string {
				if noWait {
					return "The node is stopping.\n"
				}
				return "The node has stopped.\n"
			})
		},
	}
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "return at once")
	return cmd
}

// versionAnswer is the document of inlet version.
type versionAnswer struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Go      string `json:"go"`
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Show the program's version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return show(a, buildVersion(), func(v versionAnswer) string {
				return strings.TrimSpace("inlet "+v.Version+" "+v.Commit) + "\n"
			})
		},
	}
}

// version is set by the linker (-X main.version); the Makefile takes it from git.
var version string

// buildVersion is what the linker was told, or what the Go tool has stamped into the
// program.
func buildVersion() versionAnswer {
	v := versionAnswer{Version: "dev"}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if v.Go = build.GoVersion; build.Main.Version != "" && build.Main.Version != "(devel)" {
		v.Version = build.Main.Version
	}
	for _, setting := range build.Settings {
		if setting.Key == "vcs.revision" {
			v.Commit = setting.Value
		}
	}
	if version != "" {
		v.Version = version
	}
	return v
}

func (a *app) peersCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "peers", Short: "Show the connected peers", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			peers, err := ask(a, func(c *api.Client) (*api.PeerList, error) {
				return c.Peers(cmd.Context())
			})
			if err != nil {
				return err
			}
			return show(a, peers, peersText)
		},
	}
	list.AddCommand(a.connectCommand(), a.disconnectCommand())
	return list
}

func peersText(l *api.PeerList) string {
	if len(l.Peers) == 0 {
		return "No peer is connected.\n"
	}
	t := newTable("NODE ID", "ADDRESS", "DIRECTION", "CHANNELS>")
	for _, p := range l.Peers {
		direction := "outbound"
		if p.Inbound {
			direction = "inbound"
		}
		t.add(p.NodeID, p.Address, direction, strconv.Itoa(p.Channels))
	}
	return t.String()
}

func (a *app) connectCommand() *cobra.Command {
	return &cobra.Command{
		Use: "connect PUBKEY@HOST:PORT", Short: "Connect to a peer", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			peer, err := ask(a, func(c *api.Client) (*api.Peer, error) {
				return c.Connect(cmd.Context(), api.ConnectRequest{Peer: args[0]})
			})
			if err != nil {
				return err
			}
			return show(a, peer, func(p *api.Peer) string {
				return clean("Connected to "+p.NodeID+" at "+p.Address) + "\n"
			})
		},
	}
}

func (a *app) disconnectCommand() *cobra.Command {
	return &cobra.Command{
		Use: "disconnect PUBKEY", Short: "Close the connection to a peer",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			done, err := ask(a, func(c *api.Client) (*api.Empty, error) {
				return &api.Empty{}, disconnect(cmd.Context(), c, args[0])
			})
			if err != nil {
				return err
			}
			return show(a, done, func(*api.Empty) string { return "Disconnected.\n" })
		},
	}
}

// disconnect takes the public key alone, or the whole URI as connect does.
func disconnect(ctx context.Context, c *api.Client, peer string) error {
	id, _, _ := strings.Cut(peer, "@")
	return c.Disconnect(ctx, api.DisconnectRequest{NodeID: id})
}
