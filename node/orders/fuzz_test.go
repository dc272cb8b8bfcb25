package orders

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// FuzzUnmarshal has a damaged record refused, or read back as it was.
func FuzzUnmarshal(f *testing.F) {
	raw, err := os.ReadFile(filepath.Join("testdata", "record.golden"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add(raw[:len(raw)/2])
	f.Add(bytes.ReplaceAll(raw, []byte("1"), []byte("-1")))
	f.Add([]byte(`{"v":1}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := Unmarshal(raw)
		if err != nil {
			return
		}
		text, err := Marshal(r)
		if err != nil {
			t.Fatalf("%q is read and can't be written: %v", raw, err)
		}
		again, err := Unmarshal(text)
		if err != nil {
			t.Fatalf("%q is written and can't be read: %v", text, err)
		}
		if third, err := Marshal(again); err != nil || !bytes.Equal(text, third) {
			t.Errorf("%q is written as %q: %v", text, third, err)
		}
	})
}
