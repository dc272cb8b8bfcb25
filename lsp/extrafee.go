package lsp

import (
	"encoding/binary"
	"fmt"

	"github.com/lightningnetwork/lnd/lnwire"
)

// ExtraFeeType is the record of update_add_htlc that says how much was taken.
//
// bLIP-25: TLV type 65537, `extra_fee`.
const ExtraFeeType = 65537

// AppendExtraFee appends the value of the extra_fee record: 8 bytes big endian. A
// truncated integer would be read by a node like ours, and kill the channel with LDK.
func AppendExtraFee(b []byte, fee lnwire.MilliSatoshi) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(fee))
}

// ParseExtraFee reads what AppendExtraFee wrote, and nothing shorter or longer.
//
// bLIP-52: the record is on parts that something was deducted from, so never zero.
func ParseExtraFee(b []byte) (lnwire.MilliSatoshi, error) {
	if len(b) != 8 {
		return 0, fmt.Errorf("lsp: extra_fee of %d bytes: it has 8", len(b))
	}
	fee := lnwire.MilliSatoshi(binary.BigEndian.Uint64(b))
	if fee == 0 {
		return 0, fmt.Errorf("lsp: extra_fee of zero")
	}
	return fee, nil
}
