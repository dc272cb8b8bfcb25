package api_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/api/apitest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestNames compares every call's scope and the JSON names of its request and answer with a
// golden file: other programs rely on them.
func TestNames(t *testing.T) {
	var b strings.Builder
	for _, r := range api.Routes((&apitest.Node{}).Backend()) {
		waits := ""
		if r.Long {
			waits = ", waits"
		}
		fmt.Fprintf(&b, "%s (%s%s)\n  in  %s\n  out %s\n", r.Name, r.Scope, waits,
			shape(r.Request), shape(r.Response))
	}
	path := filepath.Join("testdata", "names.golden")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	if b.String() != string(want) {
		t.Errorf("names changed (go test -update rewrites the file):\n%s", b.String())
	}
}

// shape writes a type's JSON names: {a b[] c{d}}.
func shape(t reflect.Type) string {
	var names []string
	for i := range t.NumField() {
		field := t.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		inner := field.Type
		if field.Anonymous {
			names = append(names, strings.Trim(shape(inner), "{}"))
			continue
		}
		if inner.Kind() == reflect.Slice {
			name, inner = name+"[]", inner.Elem()
		}
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && inner != reflect.TypeFor[api.Time]() {
			name += shape(inner)
		}
		names = append(names, name)
	}
	return "{" + strings.Join(names, " ") + "}"
}
