package funding

// Fault says who made an opening fail, and so who should pay for it.
type Fault uint8

// The faults.
const (
	// PeerRefused: the peer answered with error.
	PeerRefused Fault = iota + 1
	// PeerGone: the connection ended.
	PeerGone
	// PeerTerms: the peer's accept_channel or signature is not acceptable.
	PeerTerms
	// Ours: our wallet, store or policy.
	Ours
	// Timeout: the peer went silent.
	Timeout
)

// String names the fault in one or two words.
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
