package regtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// FindBtcd gives the path of a btcd: the environment's INLET_BTCD, or one beside the running
// program, or bin/btcd of the module that the working directory is in, or one on the PATH.
func FindBtcd() (string, error) {
	return find("btcd", "INLET_BTCD", "go build -o bin/btcd github.com/btcsuite/btcd")
}

// FindBitcoind gives the path of a bitcoind, looked for like FindBtcd does with INLET_BITCOIND.
func FindBitcoind() (string, error) {
	return find("bitcoind", "INLET_BITCOIND",
		"INLET_BITCOIND=/path/to/bitcoind, of version 24 or later")
}

func find(name, env, remedy string) (string, error) {
	if path := os.Getenv(env); path != "" {
		if err := executable(path); err != nil {
			return "", fmt.Errorf("regtest: %w: %s=%s: %w", ErrNoProgram, env, path, err)
		}
		return path, nil
	}
	var places []string
	if own, err := os.Executable(); err == nil {
		places = append(places, filepath.Join(filepath.Dir(own), name))
	}
	if root, ok := moduleRoot(); ok {
		places = append(places, filepath.Join(root, "bin", name))
	}
	for _, path := range places {
		if executable(path) == nil {
			return path, nil
		}
	}
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return "", fmt.Errorf("regtest: %w: %s; get it with: %s", ErrNoProgram, name, remedy)
}

func executable(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("%s is not a program", path)
	}
	return nil
}

// moduleRoot is the nearest folder above the working directory that has a go.mod.
func moduleRoot() (string, bool) {
	dir, err := os.Getwd()
	if err != nil {
		return "", false
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", false
		}
		dir = parent
	}
}
