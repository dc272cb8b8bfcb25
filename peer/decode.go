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
func decode(raw []byte) (msg lnwire.Message, err error) {
	// A parser's bug must cost the connection of who found it, not the node.
	defer func() {
		if bug := recover(); bug != nil {
			msg, err = nil, fmt.Errorf("%w: parser failed: %v", ErrMalformed, bug)
		}
	}()
	return parse(raw)
}

func parse(raw []byte) (lnwire.Message, error) {
	kind, ok := messageType(raw)
	if !ok {
		return nil, fmt.Errorf("%w: %d bytes have no type", ErrMalformed, len(raw))
	}
	if unnegotiated(kind) {
		return nil, unknown(kind)
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
