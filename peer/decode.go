package peer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/lightningnetwork/lnd/lnwire"
)

// messageType reads the type of a message, if it is long enough to have one.
func messageType(raw []byte) (lnwire.MessageType, bool) {
	if len(raw) < lnwire.MessageTypeSize {
		return 0, false
	}
	return lnwire.MessageType(binary.BigEndian.Uint16(raw)), true
}

// unnegotiated says that lnwire has a parser for a message that no feature of
// ours allows a peer to send, so it counts as unknown: draft messages of lnd,
// whose numbers other nodes may use for something else; quiescence and the
// simple close; onion messages; gossip queries, whose zlib form would let any peer make us
// unpack 64 MB under a lock that all peers share. Who implements one of them
// takes it off this list, and bounds it.
func unnegotiated(kind lnwire.MessageType) bool {
	switch kind {
	case lnwire.MsgStfu, lnwire.MsgClosingComplete, lnwire.MsgClosingSig,
		lnwire.MsgDynPropose, lnwire.MsgDynAck, lnwire.MsgDynReject, lnwire.MsgDynCommit,
		lnwire.MsgKickoffSig, lnwire.MsgAnnounceSignatures2, lnwire.MsgChannelAnnouncement2,
		lnwire.MsgNodeAnnouncement2, lnwire.MsgChannelUpdate2,
		lnwire.MsgQueryShortChanIDs, lnwire.MsgReplyShortChanIDsEnd,
		lnwire.MsgQueryChannelRange, lnwire.MsgReplyChannelRange,
		lnwire.MsgGossipTimestampRange, lnwire.MsgOnionMessage:
		return true
	}
	return false
}

// decode parses what a peer sent. It returns nil without an error for what must
// be ignored, ErrUnknownMessage and ErrMalformed else. The result shares no
// memory with raw.
func decode(raw []byte) (lnwire.Message, error) {
	return guarded(func() (lnwire.Message, error) { return parse(raw) })
}

// guarded makes a parser's bug cost the connection of who found it, and not the
// node.
func guarded(parse func() (lnwire.Message, error)) (msg lnwire.Message, err error) {
	defer func() {
		if bug := recover(); bug != nil {
			msg, err = nil, fmt.Errorf("%w: parser failed: %v", ErrMalformed, bug)
		}
	}()
	return parse()
}

func parse(raw []byte) (lnwire.Message, error) {
	kind, ok := messageType(raw)
	if !ok {
		return nil, fmt.Errorf("%w: %d bytes have no type", ErrMalformed, len(raw))
	}
	if unnegotiated(kind) {
		return nil, unknown(kind)
	}
	if kind == lnwire.MsgCommitSig && !signaturesFit(raw) {
		return nil, fmt.Errorf("%w: commitment_signed is cut off", ErrMalformed)
	}
	msg, err := lnwire.ReadMessage(bytes.NewReader(raw), 0)
	var without *lnwire.UnknownMessage
	switch {
	case errors.As(err, &without):
		return nil, unknown(kind)
	case err != nil:
		// BOLT 1: "upon receiving a known message with insufficient length for the
		// contents: MUST close the connection."
		return nil, fmt.Errorf("%w: type %d: %w", ErrMalformed, kind, err)
	}
	return msg, nil
}

// signaturesFit says that a commitment_signed has as many signatures as it
// claims: lnwire makes room for them, up to 4.7 MB, before it looks.
func signaturesFit(raw []byte) bool {
	const (
		signature = 64
		count     = lnwire.MessageTypeSize + len(lnwire.ChannelID{}) + signature
	)
	if len(raw) < count+2 {
		return false
	}
	return len(raw)-count-2 >= signature*int(binary.BigEndian.Uint16(raw[count:]))
}

// unknown is what a message of an unknown type means.
func unknown(kind lnwire.MessageType) error {
	// BOLT 1: "upon receiving a message of _odd_, unknown type: MUST ignore the
	// received message."
	if kind%2 == 1 {
		return nil
	}
	// BOLT 1: "upon receiving a message of _even_, unknown type: MUST close the
	// connection."
	return fmt.Errorf("%w: type %d", ErrUnknownMessage, kind)
}

// encode is the wire form of a message.
func encode(msg lnwire.Message) ([]byte, error) {
	var buf bytes.Buffer
	if _, err := lnwire.WriteMessage(&buf, msg, 0); err != nil {
		return nil, fmt.Errorf("peer: encode message of type %d: %w", msg.MsgType(), err)
	}
	return buf.Bytes(), nil
}
