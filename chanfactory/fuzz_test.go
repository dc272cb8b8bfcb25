package chanfactory

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzRecord has a damaged record of a funding refused, or read back as it was.
func FuzzRecord(f *testing.F) {
	for _, r := range records() {
		data, err := r.encode()
		require.NoError(f, err)
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeRecord(data)
		if err != nil {
			return
		}
		_ = r.mayBeOut()
		_ = r.inputs()
		data, err = r.encode()
		require.NoError(t, err)
		again, err := decodeRecord(data)
		require.NoError(t, err)
		require.Equal(t, r, again)
	})
}
