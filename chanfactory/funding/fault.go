package funding

import "strings"

// Fault says who made an opening fail, and so who should pay for it.
type Fault uint8

// The faults.
const (
	// PeerRefused: the peer answered with error.
	PeerRefused Fault = iota + 1
	// PeerGone: the connection ended.
	PeerGone
	// PeerTerms: what the peer sent is not acceptable.
	PeerTerms
	// Ours: our wallet, store or policy, or our caller changed its mind.
	Ours
	// Timeout: the peer went silent.
	Timeout
)

// String names the fault.
func (f Fault) String() string {
	switch f {
	case PeerRefused:
		return "peer refused"
	case PeerGone:
		return "peer gone"
	case PeerTerms:
		return "peer terms"
	case Ours:
		return "ours"
	case Timeout:
		return "timeout"
	}
	return "unknown"
}

// maxPeerText is how much of a peer's words is kept, in bytes.
const maxPeerText = 256

// Printable makes a peer's words safe for a log and a screen: printable ASCII, cut short.
func Printable(data []byte) string {
	if len(data) > maxPeerText {
		data = data[:maxPeerText]
	}
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return '?'
		}
		return r
	}, string(data))
}
