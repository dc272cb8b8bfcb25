package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/inletlsp/inlet/node/api"
)

// Names in the environment that are no keys of the file.
const (
	envPrefix     = "INLET_"
	envConfig     = "INLET_CONFIG"     // path of the configuration file
	envPassphrase = "INLET_PASSPHRASE" // the wallet's passphrase itself
)

// configName is the file's name in the directory where it is looked for.
const configName = "inlet.toml"

// maxConfigBytes is far more than any configuration; a device or a log given by mistake is not
// read to its end.
const maxConfigBytes = 1 << 20

// sources are where a configuration comes from, the stronger ones last.
type sources struct {
	// file is the path given by --config; empty looks in the usual places.
	file string

	// env is the environment as NAME=VALUE.
	env []string

	// flags are the keys set on the command line. A list that was given several times is joined
	// by commas.
	flags map[string]string

	// home is the user's home directory.
	home string
}

// load reads the configuration: flags over environment over file over defaults.
func (s sources) load() (Config, error) {
	config := DefaultConfig()
	path, required := s.path()
	lists, err := applyFile(&config, path, required)
	if err != nil {
		return Config{}, err
	}
	if err := applyEnv(&config, s.env); err != nil {
		return Config{}, err
	}
	for _, k := range config.keys() {
		text, given := s.flags[k.path]
		if !given {
			continue
		}
		if err := k.set(text); err != nil {
			return Config{}, fmt.Errorf("--%s: %w", k.path, err)
		}
	}
	if err := config.applyLists(lists); err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	if err := checkNetwork(config.Network); err != nil {
		return Config{}, err
	}
	config.complete(s.home)
	return config, nil
}

// path says which file to read, and whether it has to be there: the one that was named, else
// inlet.toml in the data directory if that was named, else ~/.inlet/inlet.toml.
func (s sources) path() (path string, required bool) {
	if s.file != "" {
		return expandHome(s.file, s.home), true
	}
	if named := s.getenv(envConfig); named != "" {
		return expandHome(named, s.home), true
	}
	dir := s.flags["data_dir"]
	if dir == "" {
		dir = s.getenv(key{path: "data_dir"}.env())
	}
	if dir == "" {
		dir = filepath.Join(s.home, ".inlet")
	}
	return filepath.Join(expandHome(dir, s.home), configName), false
}

// getenv returns the variable's value, the last one if it is there twice.
func (s sources) getenv(name string) string {
	value := ""
	for _, variable := range s.env {
		if n, v, _ := strings.Cut(variable, "="); n == name {
			value = v
		}
	}
	return value
}

// applyFile sets what the file says, and gives the lists of tables that are in it.
func applyFile(c *Config, path string, required bool) (lists map[string][]row, err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && !required {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	defer func() { _ = file.Close() }()

	var tree map[string]any
	_, err = toml.NewDecoder(io.LimitReader(file, maxConfigBytes)).Decode(&tree)
	var bad toml.ParseError
	if errors.As(err, &bad) {
		return nil, fmt.Errorf("%s is not TOML:\n%s", path, bad.ErrorWithPosition())
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	byPath := map[string]key{}
	for _, k := range c.keys() {
		byPath[k.path] = k
	}
	found := fileTree{byPath: byPath, lists: map[string][]row{}}
	if err := found.apply("", tree); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return found.lists, nil
}

// fileTree is what a file can set, and the lists of tables that were found in it.
type fileTree struct {
	byPath map[string]key
	lists  map[string][]row
}

// apply sets what a table holds, and names every key that is unknown or wrong.
func (f fileTree) apply(prefix string, tree map[string]any) error {
	var errs []error
	names := make([]string, 0, len(tree))
	for name := range tree {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		path := prefix + name
		k, known := f.byPath[path]
		switch table, isTable := tree[name].(map[string]any); {
		case slices.Contains(listPaths(), path):
			rows, ok := asRows(tree[name])
			if !ok {
				errs = append(errs, fmt.Errorf("%s: it is a list of tables: write [[%s]]", path, path))
			}
			f.lists[path] = rows
		case known && !isTable:
			if err := k.setTOML(tree[name]); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", path, err))
			}
		case isTable && slices.Contains(sections(), path):
			errs = append(errs, f.apply(path+".", table))
		default:
			errs = append(errs, unknownKey("key", path, slices.Concat(keyPaths(), sections(), listPaths())))
		}
	}
	return errors.Join(errs...)
}

// sections are the tables of the file.
func sections() []string {
	var names []string
	for _, path := range keyPaths() {
		if end := strings.LastIndex(path, "."); end > 0 {
			names = append(names, path[:end])
		}
	}
	return slices.Compact(names)
}

func unknownKey(what, name string, known []string) error {
	return fmt.Errorf("unknown %s %q: did you mean %q?", what, name, api.Nearest(name, known))
}

// applyEnv sets what the environment says. A variable that is empty counts as not set.
func applyEnv(c *Config, env []string) error {
	byName, names := map[string]key{}, []string{envConfig, envPassphrase}
	for _, k := range c.keys() {
		byName[k.env()] = k
		names = append(names, k.env())
	}
	var errs []error
	for _, variable := range env {
		name, value, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, envPrefix) || value == "" || !slices.Contains(names, name) {
			if strings.HasPrefix(name, envPrefix) && !slices.Contains(names, name) &&
				!ofKubernetes(name) {
				errs = append(errs, unknownKey("environment variable", name, names))
			}
			continue
		}
		k, isKey := byName[name]
		if !isKey {
			continue
		}
		if err := k.set(value); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// ofKubernetes knows the variables that Kubernetes sets in every container beside a service
// called inlet; they are not ours and no mistake.
func ofKubernetes(name string) bool {
	return name == "INLET_PORT" || strings.HasPrefix(name, "INLET_PORT_") ||
		strings.HasPrefix(name, "INLET_SERVICE_")
}
