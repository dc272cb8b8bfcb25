package chain

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// publisher accepts one subscriber, greets it as libzmq does, and sends it raw frames.
func publisher(t *testing.T, greeting []byte, frames ...[]byte) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan struct{})
	t.Cleanup(func() {
		listener.Close()
		<-ended
	})
	go func() {
		defer close(ended)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = conn.Write(append(greeting, zmqReady...))
		// greeting, READY and the subscription to "rawblock"
		_, _ = io.ReadFull(conn, make([]byte, 64+2+25+2+9))
		for _, frame := range frames {
			_, _ = conn.Write(frame)
		}
		_, _ = io.Copy(io.Discard, conn)
	}()
	return "tcp://" + listener.Addr().String()
}

func zmqGreeting() []byte {
	g := make([]byte, 64)
	g[0], g[9], g[10], g[11] = 0xff, 0x7f, 3, 1
	copy(g[12:], "NULL")
	g[32] = 1
	return g
}

func zmqFrame(flags byte, body []byte) []byte {
	if len(body) < 256 {
		return append([]byte{flags, byte(len(body))}, body...)
	}
	return append(binary.BigEndian.AppendUint64([]byte{flags | zmqLong}, uint64(len(body))),
		body...)
}

var zmqReady = zmqFrame(zmqCommand, []byte("\x05READY\x0bSocket-Type\x00\x00\x00\x03PUB"))

func TestZMQ(t *testing.T) {
	long := bytes.Repeat([]byte{7}, 300_000)
	z, err := zmqSubscribe(context.Background(), publisher(t, zmqGreeting(),
		zmqFrame(zmqCommand, []byte("\x04PING")),
		zmqFrame(zmqMore, []byte("rawblock")), zmqFrame(zmqMore, long),
		zmqFrame(0, []byte{1, 0, 0, 0}),
		zmqFrame(0, []byte("one part"))), "rawblock")
	require.NoError(t, err)
	defer z.conn.Close()
	parts, err := z.message()
	require.NoError(t, err)
	require.Equal(t, [][]byte{[]byte("rawblock"), long, {1, 0, 0, 0}}, parts)
	parts, err = z.message()
	require.NoError(t, err)
	require.Len(t, parts, 1)
}

func TestZMQLimits(t *testing.T) {
	huge := binary.BigEndian.AppendUint64([]byte{zmqLong}, maxZMQFrame+1)
	z, err := zmqSubscribe(context.Background(), publisher(t, zmqGreeting(), huge),
		"rawblock")
	require.NoError(t, err)
	defer z.conn.Close()
	_, err = z.message()
	require.ErrorContains(t, err, "frame of")

	many := bytes.Repeat(zmqFrame(zmqMore, []byte("x")), maxZMQParts+1)
	z, err = zmqSubscribe(context.Background(), publisher(t, zmqGreeting(), many),
		"rawblock")
	require.NoError(t, err)
	defer z.conn.Close()
	_, err = z.message()
	require.ErrorContains(t, err, "parts")
}

func TestZMQNotZMQ(t *testing.T) {
	for name, greeting := range map[string][]byte{
		"HTTP":      append([]byte("HTTP/1.1 400 Bad Request\r\n"), make([]byte, 64)...),
		"version 2": append([]byte{0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 1}, make([]byte, 53)...),
		"curve": append([]byte("\xff\x00\x00\x00\x00\x00\x00\x00\x00\x7f\x03\x01CURVE"),
			make([]byte, 47)...),
	} {
		_, err := zmqSubscribe(context.Background(), publisher(t, greeting), "rawblock")
		require.ErrorContains(t, err, "no ZMQ publisher", name)
	}
	_, err := zmqSubscribe(context.Background(), "ipc:///nowhere/at/all", "rawblock")
	require.ErrorContains(t, err, "/nowhere/at/all")
}
