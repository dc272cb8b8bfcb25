package node_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// arrows are the imports that are allowed between our packages, each with its reason. An arrow that
// is not here fails TestHouse: add it with a reason, or turn the dependency round with a small
// interface that the importer declares and node fills.
var arrows = map[string]map[string]string{
	"cmd/inlet": {
		"node":          "the daemon is an embedder like any other",
		"node/api":      "the operator's commands are clients of the admin API",
		"node/orders":   "the demo shows the stages of an order",
		"node/pay":      "the demo asks for invoices and payments",
		"chain":         "names the backend in node.Options",
		"chain/regtest": "the demo runs on a private chain of its own",
		"lsp":           "names the menu in node.Options",
		"lsp/admission": "names the limits of clients in node.Options",
		"lsp/conform":   "asks other LSPs what it checks",
		"lsp/jit":       "names the limits of an order in node.Options",
	},
	"node": {
		"chain":         "composes",
		"chanfactory":   "composes",
		"lsp":           "composes",
		"lsp/admission": "tells it how orders stand, and asks it",
		"lsp/jit":       "fills the ports of the order machine",
		"peer":          "composes",
		"wallet":        "composes",
		"node/api":      "fills the admin API",
		"node/backup":   "its room",
		"node/court":    "its room",
		"node/forward":  "its room",
		"node/logs":     "its room",
		"node/metrics":  "its room",
		"node/orders":   "its room",
		"node/pay":      "its room",
		"node/store":    "its room",
	},
	"node/orders": {
		"lsp":     "keeps what the service has sold",
		"lsp/jit": "is the shell around the order machines",
	},
	"wallet":      {"chain": "the wallet follows the chain"},
	"chain":       {"chain/rpc": "its room: the connection to a backend's RPC server"},
	"chanfactory": {"chanfactory/funding": "its room: the pure part of the funding machine"},
	"lsp":         {"lsp/jit": "the service hands its purchases to the order machine's types"},

	"lsp/conform":      {"lsp/checklist": "says which line each check shows"},
	"docs/conformance": {"lsp/checklist": "makes the table of what the tests show"},

	// What only tests and the demo use.
	"chain/regtest": {
		"chain":     "hands out the configuration of a chain source",
		"chain/rpc": "drives the backend",
	},
	"node/nodetest": {
		"node":          "starts nodes for tests",
		"chain/regtest": "on a private chain",
	},
	"node/nodetest/lnd": {
		"chain":         "names the backend of a real lnd",
		"chain/regtest": "funds it on a private chain",
	},
	"node/api/apitest": {"node/api": "the server that tests talk to"},
}

// testArrows are allowed in test files, besides arrows.
var testArrows = map[string]map[string]string{
	"cmd/inlet": {
		"node/api/apitest": "the commands against canned answers",
		"node/nodetest":    "the commands against a running node",
	},
	"chain": {"chain/regtest": "runs against the real backends"},
	"chanfactory": {
		"chain":         "funds from a real wallet",
		"chain/regtest": "on a private chain",
		"node/store":    "in a real file",
		"wallet":        "funds from a real wallet",
	},
	"node": {
		"node/nodetest":     "runs whole nodes",
		"node/nodetest/ldk": "sells to a real LDK client",
		"node/nodetest/lnd": "is paid by a real lnd",
		"chain/regtest":     "on a private chain",
	},
	"lsp/admission": {"lsp": "behind the service that asks it"},
	"lsp/conform":   {"lsp": "our own service is asked, and is changed to break the rules"},
	"node/api":      {"node/api/apitest": "the server that tests talk to"},
	"node/world": {
		"chanfactory/funding": "one of the two machines that it drives",
		"lsp/jit":             "the other",
	},
	"wallet": {"chain/regtest": "runs on a private chain"},
}

// everyTest may be imported by any test file.
var everyTest = []string{"lsp/checklist"}

// banned are the packages that nothing importable may depend on, directly or through others.
var banned = map[string]string{
	lndPath:                     "the daemon itself pulls lnrpc in",
	lndPath + "/chainreg":       "pulls lnrpc in: chain has our own sources",
	lndPath + "/chanacceptor":   "pulls lnrpc in: chanfactory has an Acceptor",
	lndPath + "/chanbackup":     "pulls lnrpc in",
	lndPath + "/funding":        "pulls lnrpc in: chanfactory is our own",
	lndPath + "/lncfg":          "pulls lnrpc in: the configuration is our own",
	lndPath + "/lnrpc":          "embedders would get gRPC and its generated code",
	lndPath + "/peer":           "pulls lnrpc in: peer is our own",
	lndPath + "/walletunlocker": "pulls lnrpc in: wallet is our own",
}

// pure are the packages that a rule keeps free of input, output and the clock.
var pure = map[string][]string{
	"lsp": {
		lndPath + "/lnwallet", lndPath + "/channeldb", lndPath + "/kvdb", "go.etcd.io/bbolt",
		"net", "os", "log/slog",
	},
}

// folders are those that the root may have, besides dot-folders.
var folders = []string{
	"bin", "chain", "chanfactory", "cmd", "deploy", "docs", "examples", "itest", "lsp", "node",
	"peer", "wallet",
}

func TestHouse(t *testing.T) {
	tree, err := readTree(os.DirFS(".."))
	require.NoError(t, err)
	require.Greater(t, len(tree.sources), 50, "the tree was not read")
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			for _, violation := range rule.check(tree) {
				t.Error(violation)
			}
		})
	}
}

// TestHouseDependencies asks the Go tool, because what is banned may hide behind what is allowed.
func TestHouseDependencies(t *testing.T) {
	list := exec.Command("go", "list", "-deps", "-f", "{{.ImportPath}}", "./...")
	list.Dir = ".."
	list.Stderr = os.Stderr
	out, err := list.Output()
	require.NoError(t, err)
	deps := strings.Fields(string(out))
	require.Contains(t, deps, module+"/node/store", "the packages were not listed")
	for _, dep := range deps {
		if why := banReason(dep); why != "" {
			t.Errorf("the module depends on %s, which is banned: %s; "+
				"go mod why -m does not help, try: go list -deps -f '{{.ImportPath}} {{.Imports}}' ./...",
				dep, why)
		}
	}
}

// TestEachHouseRuleCanFail breaks each rule once in a small tree that is otherwise in order.
func TestEachHouseRuleCanFail(t *testing.T) {
	virtual := "package wallet\nimport (\n_ \"testing/synctest\"\n\"time\"\n)\n" +
		"func f() { time.Sleep(1) }\n"
	good := map[string]string{
		"go.mod":             "module " + module + "\n",
		"cmd/inlet/main.go":  importing("main", module+"/node"),
		"node/node.go":       importing("node", module+"/lsp"),
		"node/clock.go":      calling("node", "time.Now()"),
		"lsp/lsp.go":         "package lsp\nimport \"time\"\nvar _ time.Time\n",
		"lsp/lsp_test.go":    importing("lsp_test", module+"/lsp"),
		"wallet/w_test.go":   virtual,
		"itest/go.mod":       "module x\nreplace a => ../\n",
		"itest/i_test.go":    importing("itest", lndPath+"/lnrpc"),
		"itest/s_test.go":    calling("itest", "time.Sleep(1)"),
		".ci/types/x.go":     "package types\n",
		"node/testdata/x.go": "not Go",
	}
	none, err := readTree(fakeTree(good, nil))
	require.NoError(t, err)
	for _, rule := range rules {
		require.Empty(t, rule.check(none), "%s: the good tree", rule.name)
	}

	broken := map[string]bool{}
	for _, tc := range houseBreaks {
		t.Run(tc.rule+": "+tc.want, func(t *testing.T) {
			tree, err := readTree(fakeTree(good, map[string]string{tc.path: tc.text}))
			require.NoError(t, err)
			var all []string
			for _, rule := range rules {
				violations := rule.check(tree)
				all = append(all, violations...)
				if rule.name == tc.rule {
					require.Len(t, violations, 1, "%s", violations)
					require.Contains(t, violations[0], tc.want)
					if tc.rule != "folders" {
						require.Contains(t, violations[0], tc.path)
					}
				}
			}
			require.NotEmpty(t, all, "nothing was found")
		})
		broken[tc.rule] = true
	}
	for _, rule := range rules {
		require.True(t, broken[rule.name], "rule %q has no case that breaks it", rule.name)
	}
}

func fakeTree(files ...map[string]string) fstest.MapFS {
	tree := fstest.MapFS{}
	for _, more := range files {
		for path, text := range more {
			tree[path] = &fstest.MapFile{Data: []byte(text)}
		}
	}

	return tree
}

// houseBreaks say which text in which file breaks which rule.
var houseBreaks = []struct{ rule, path, text, want string }{
	{"arrows", "lsp/up.go", importing("lsp", module+"/node"), "lsp -> node"},
	{"arrows", "peer/p.go", importing("peer", module+"/wallet"), "peer -> wallet"},
	{"arrows", "node/pay/p.go", importing("pay", module+"/node/store"), "node/pay -> node/store"},
	{"arrows", "chain/r.go", importing("chain", module+"/chain/regtest"), "chain -> chain/regtest"},
	{"banned imports", "peer/b.go", importing("peer", lndPath+"/lnrpc/walletrpc"), "lnrpc"},
	{"banned imports", "node/b.go", importing("node", lndPath), "lnrpc"},
	{"banned imports", "node/f_test.go", importing("node", lndPath+"/funding"), "chanfactory"},
	{"pure packages", "lsp/jit/n.go", importing("jit", "net/http"), "net/http"},
	{"pure packages", "lsp/w.go", importing("lsp", lndPath+"/lnwallet/chainfee"), "chainfee"},
	{"pure packages", "lsp/d.go", importing("lsp", "go.etcd.io/bbolt"), "bbolt"},
	{"clock", "lsp/c.go", calling("lsp", "time.Now()"), "time.Now"},
	{"clock", "chanfactory/c.go", calling("chanfactory", "time.After(1)"), "time.After"},
	{"sleep", "node/s.go", calling("node", "time.Sleep(1)"), "time.Sleep"},
	{"sleep", "peer/s_test.go", calling("peer", "time.Sleep(1)"), "time.Sleep"},
	{"init", "chain/i.go", "package chain\nfunc init() {}\n", "init"},
	{"replace", "go.mod", "module " + module + "\nreplace a => b\n", "replace"},
	{"replace", "go.mod", "module " + module + "\nreplace (\n\ta => b\n)\n", "replace"},
	{"folders", "server/s.go", "package server\n", "server"},
	{"folders", "node/utils/u.go", "package utils\n", "utils"},
	{"folders", "lsp/internal/x/u.go", "package x\n", "internal"},
	{"folders", "itest/common/u.go", "package common\n", "common"},
	{"folders", "peer/helpers.go", "package peer\n", "helpers.go"},
	{"to do", "peer/t.go", "package peer\n\n// TODO" + ": later\n", "to do"},
	{"sizes", "peer/long.go", "package peer\n" + strings.Repeat("\n", 401), "402 lines"},
	{"sizes", "peer/long_test.go", "package peer\n" + strings.Repeat("\n", 800), "801 lines"},
	{
		"sizes", "peer/f.go",
		"package peer\nfunc (c *conn) run() {\n" + strings.Repeat("\n", 69) + "}\n",
		"run has 71 lines",
	},
	{
		"sizes", "peer/p.go",
		"package peer\nfunc run(a, b, c int, d, e string, f bool) {}\n", "run has 6 parameters",
	},
}

func importing(pkg, path string) string {
	return fmt.Sprintf("package %s\nimport _ %q\n", pkg, path)
}

func calling(pkg, call string) string {
	return fmt.Sprintf("package %s\nimport \"time\"\nfunc f() { %s }\n", pkg, call)
}

// TestArrowsPointDown follows the arrows: one that leads back to where it started would make two
// packages one.
func TestArrowsPointDown(t *testing.T) {
	var visit func(path []string)
	visit = func(path []string) {
		last := path[len(path)-1]
		if i := slices.Index(path, last); i < len(path)-1 {
			t.Errorf("the arrows run in a circle: %s", strings.Join(path[i:], " -> "))
			return
		}
		for to, why := range arrows[last] {
			require.NotEmpty(t, why, "%s -> %s has no reason", last, to)
			visit(append(slices.Clone(path), to))
		}
	}
	for from := range maps.Keys(arrows) {
		visit([]string{from})
	}
}
