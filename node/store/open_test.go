package store

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
)

var update = flag.Bool("update", false, "write the golden files")

// childEnv makes the test binary play a second process.
const childEnv = "INLET_STORE_TEST_CHILD"

func TestMain(m *testing.M) {
	role := os.Getenv(childEnv)
	if role == "" {
		os.Exit(m.Run())
	}
	err := fmt.Errorf("no such role %q", role)
	switch role {
	case "hold":
		err = childHold(os.Args[1])
	case "full-disk":
		err = childFullDisk(os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func child(t *testing.T, role, dir string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, dir)
	cmd.Env = append(os.Environ(), childEnv+"="+role)

	return cmd
}

// childHold opens the database, says so, and keeps it until stdin ends.
func childHold(dir string) error {
	db, err := Open(Options{Dir: dir})
	if err != nil {
		return err
	}
	if err := db.Update(put("child"), noReset); err != nil {
		return err
	}
	fmt.Println("open")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')

	return db.Close()
}

func TestSecondProcessIsLockedOut(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "node")
	cmd := child(t, "hold", dir)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "open\n", line)

	_, err = Open(Options{Dir: dir})
	require.ErrorIs(t, err, ErrLocked)
	require.ErrorContains(t, err, "another inlet is running on this directory")
	require.ErrorContains(t, err, filepath.Join(dir, DefaultFile))

	// A process that was killed leaves no lock behind, and nothing that was saved is lost.
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	db := openTest(t, Options{Dir: dir})
	require.True(t, keys(t, db.Path())["child"])

	_, err = Open(Options{Dir: dir})
	require.ErrorIs(t, err, ErrLocked, "also within one process")
}

func TestOpenMakesPrivateFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	db := openTest(t, Options{Dir: dir})
	requireMode(t, dir, 0o700)
	requireMode(t, db.Path(), 0o600)
}

func requireMode(t *testing.T, path string, want os.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, want, info.Mode().Perm(), path)
}

func TestOpenClosesWhatIsPlainlyOurs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "node")
	require.NoError(t, os.Mkdir(dir, 0o755))
	db := openTest(t, Options{Dir: dir})
	requireMode(t, dir, 0o700)
	require.NoError(t, db.Close())

	require.NoError(t, os.WriteFile(filepath.Join(dir, "other"), nil, 0o600))
	require.NoError(t, os.Chmod(dir, 0o750))
	require.NoError(t, os.Chmod(db.Path(), 0o644))
	openTest(t, Options{Dir: dir})
	requireMode(t, dir, 0o700)
	requireMode(t, db.Path(), 0o600)
}

func TestOpenRefusesBadPlaces(t *testing.T) {
	shared := t.TempDir()
	require.NoError(t, os.Chmod(shared, 0o777))
	file := filepath.Join(shared, "file")
	require.NoError(t, os.WriteFile(file, []byte("not a database"), 0o600))

	_, err := Open(Options{Dir: shared})
	require.ErrorIs(t, err, ErrExposed)
	require.ErrorContains(t, err, "chmod 700 "+shared)
	requireMode(t, shared, 0o777) // may be /tmp: not ours to change
	require.NoFileExists(t, filepath.Join(shared, DefaultFile))

	_, err = Open(Options{Dir: file})
	require.ErrorContains(t, err, "is not a directory")

	_, err = Open(Options{})
	require.ErrorContains(t, err, "set data_dir")

	require.NoError(t, os.Chmod(shared, 0o700))
	_, err = Open(Options{Dir: shared, File: "file"})
	require.ErrorIs(t, err, ErrDamaged)
}

// boltFile writes a bolt file whose one bucket holds one pair.
func boltFile(t *testing.T, bucket, key, value []byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "node")
	require.NoError(t, os.Mkdir(dir, 0o700))
	bolt, err := bbolt.Open(filepath.Join(dir, DefaultFile), 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, bolt.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket(bucket)
		require.NoError(t, err)
		return b.Put(key, value)
	}))
	require.NoError(t, bolt.Close())

	return dir
}

func TestOpenRefusesAFileThatIsNotOurs(t *testing.T) {
	for name, tc := range map[string]struct {
		bucket, value []byte
		want          error
		text          string
	}{
		"newer schema": {
			metaBucket, []byte(`{"v":1,"schema":7}`), ErrNewer,
			"it has schema 7, this version knows 1 at most; start the newer inlet again",
		},
		"newer record": {
			metaBucket, []byte(`{"v":2,"schema":1,"more":true}`), ErrNewer, "has schema 1",
		},
		"foreign":       {[]byte("open-chan-bucket"), []byte("x"), ErrForeign, "data_dir"},
		"no record":     {metaBucket, nil, ErrDamaged, "schema record"},
		"no JSON":       {metaBucket, []byte("x"), ErrDamaged, "schema record"},
		"no version":    {metaBucket, []byte(`{}`), ErrDamaged, "schema record"},
		"no schema yet": {metaBucket, []byte(`{"v":1,"schema":0}`), ErrDamaged, "schema record"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := boltFile(t, tc.bucket, schemaKey, tc.value)
			before, err := os.ReadFile(filepath.Join(dir, DefaultFile))
			require.NoError(t, err)
			_, err = Open(Options{Dir: dir})
			require.ErrorIs(t, err, tc.want)
			require.ErrorContains(t, err, tc.text)
			after, err := os.ReadFile(filepath.Join(dir, DefaultFile))
			require.NoError(t, err)
			require.Equal(t, before, after, "a file that is refused is left as it was")
		})
	}
}

func TestSchemaRecordGolden(t *testing.T) {
	const golden = "testdata/schema.json"
	raw, err := encodeSchema(3)
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile(golden, raw, 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), string(raw))
	record, err := decodeSchema(want)
	require.NoError(t, err)
	require.Equal(t, schemaRecord{V: 1, Schema: 3}, record)
}

func schemaOf(t *testing.T, db *DB) int {
	t.Helper()
	record, err := readSchema(db.bolt)
	require.NoError(t, err)

	return record.Schema
}

func TestMigrations(t *testing.T) {
	o := Options{Dir: filepath.Join(t.TempDir(), "node")}
	var ran []string
	step := func(name string, fail error) migration {
		return migration{name: name, run: func(tx kvdb.RwTx) error {
			ran = append(ran, name)
			return errors.Join(put(name)(tx), fail)
		}}
	}
	reopen := func(steps ...migration) (*DB, error) {
		ran = nil
		db, err := open(o, steps)
		if err == nil {
			t.Cleanup(func() { require.NoError(t, db.Close()) })
		}
		return db, err
	}

	db, err := reopen()
	require.NoError(t, err)
	require.Equal(t, 1, schemaOf(t, db))
	require.NoError(t, db.Close())

	errStep := errors.New("bad record")
	_, err = reopen(step("two", nil), step("three", errStep), step("four", nil))
	require.ErrorIs(t, err, errStep)
	require.ErrorContains(t, err, "migrate from schema 2 to 3 (three)")
	require.Equal(t, []string{"two", "three"}, ran)

	db, err = reopen(step("two", nil), step("three", nil), step("four", nil))
	require.NoError(t, err)
	require.Equal(t, []string{"three", "four"}, ran, "a step that is in the file is not run again")
	require.Equal(t, 4, schemaOf(t, db))
	require.Equal(t, map[string]bool{"two": true, "three": true, "four": true}, keys(t, db.Path()))
	require.NoError(t, db.Close())

	_, err = reopen(step("two", nil))
	require.ErrorIs(t, err, ErrNewer)
	require.ErrorContains(t, err, "it has schema 4, this version knows 2 at most")

	o.Dir = filepath.Join(t.TempDir(), "new")
	fresh, err := reopen(step("x", errStep))
	require.NoError(t, err, "a new file starts at the newest schema, without migrations")
	require.Empty(t, ran)
	require.Equal(t, 2, schemaOf(t, fresh))
}
