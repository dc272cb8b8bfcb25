package api

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// TokenFile is the name of the credential's file in the data directory.
const TokenFile = "admin.token"

// tokenBytes is the entropy of a token; as hex it is twice as long.
const tokenBytes = 32

// ErrNoToken says that there is no token file: no node has run in that directory yet.
var ErrNoToken = errors.New("api: no token file")

// ReadToken reads the token of a data directory. It returns ErrNoToken when there is none, and
// refuses a file that others can read, since whoever read it once can move the node's money.
func ReadToken(dir string) (string, error) {
	path := filepath.Join(dir, TokenFile)
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w: %s", ErrNoToken, path)
	}
	if err != nil {
		return "", fmt.Errorf("api: open token file: %w", err)
	}
	defer func() { _ = file.Close() }()

	info, err := file.Stat()
	if err != nil {
		return "", fmt.Errorf("api: look at token file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("api: %s is not a regular file: remove it", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("api: others may read %s (mode %04o): delete it, so that the next "+
			"start makes a new one, or run chmod 600 on it if nobody else has read it",
			path, info.Mode().Perm())
	}
	raw, err := io.ReadAll(io.LimitReader(file, 4*tokenBytes))
	if err != nil {
		return "", fmt.Errorf("api: read token file: %w", err)
	}
	token := strings.TrimSpace(string(raw))
	if _, err := hex.DecodeString(token); err != nil || len(token) != 2*tokenBytes {
		return "", fmt.Errorf("api: %s doesn't hold a token: delete it, the next start of the "+
			"daemon makes a new one", path)
	}
	return token, nil
}

// makeToken returns the directory's token, and makes it first if there is none. It is written
// beside its place and then moved there, so that a crash or a full disk leaves no half token.
func makeToken(dir string) (string, error) {
	token, err := ReadToken(dir)
	if !errors.Is(err, ErrNoToken) {
		return token, err
	}
	secret := make([]byte, tokenBytes)
	_, _ = rand.Read(secret) // never fails: crypto/rand ends the process instead
	token = hex.EncodeToString(secret)

	temp, err := os.CreateTemp(dir, TokenFile+".*") // made with mode 0600
	if err != nil {
		return "", fmt.Errorf("api: make token file: %w", err)
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	_, err = temp.WriteString(token + "\n")
	err = errors.Join(err, temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), filepath.Join(dir, TokenFile))
	}
	if err != nil {
		return "", fmt.Errorf("api: write token file: %w", err)
	}
	return token, nil
}
