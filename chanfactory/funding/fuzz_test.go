package funding

import (
	"bytes"
	"testing"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/lnwire"
)

// encode is the wire form of a message, without its type.
func encode(f *testing.F, m lnwire.Message) []byte {
	f.Helper()
	var b bytes.Buffer
	if _, err := lnwire.WriteMessage(&b, m, 0); err != nil {
		f.Fatal(err)
	}
	return b.Bytes()[lnwire.MessageTypeSize:]
}

// decode reads a message whose type is known; false when it is malformed.
func decode(kind lnwire.MessageType, raw []byte) (lnwire.Message, bool) {
	m, err := lnwire.ReadMessage(bytes.NewReader(
		append([]byte{byte(kind >> 8), byte(kind)}, raw...)), 0)
	return m, err == nil
}

// FuzzCheckOpen has no open_channel accepted that leaves the limits, whatever is in it.
func FuzzCheckOpen(f *testing.F) {
	f.Add(encode(f, open()))
	for _, change := range []func(*lnwire.OpenChannel){
		func(m *lnwire.OpenChannel) { m.FundingAmount = -1 },
		func(m *lnwire.OpenChannel) { m.FundingAmount = 1<<63 - 1 },
		func(m *lnwire.OpenChannel) { m.PushAmount = ^lnwire.MilliSatoshi(0) },
		func(m *lnwire.OpenChannel) { m.DustLimit, m.ChannelReserve = 1<<62, 1 },
		func(m *lnwire.OpenChannel) { m.MaxAcceptedHTLCs = 484 },
		func(m *lnwire.OpenChannel) { m.CsvDelay = 65535 },
		func(m *lnwire.OpenChannel) { m.FeePerKiloWeight = 0 },
		func(m *lnwire.OpenChannel) { m.FeePerKiloWeight = 1<<32 - 1 },
		func(m *lnwire.OpenChannel) { m.HtlcMinimum = ^lnwire.MilliSatoshi(0) },
		func(m *lnwire.OpenChannel) { m.UpfrontShutdownScript = bytes.Repeat([]byte{0xff}, 500) },
		func(m *lnwire.OpenChannel) { m.ChannelType = nil },
	} {
		m := open()
		change(m)
		f.Add(encode(f, m))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, ok := decode(lnwire.MsgOpenChannel, raw)
		if !ok {
			return
		}
		o := Proposal{
			Chain: *chaincfg.RegressionNetParams.GenesisHash, Limits: limits(),
			Local: fullFeatures(), Remote: fullFeatures(), Msg: m.(*lnwire.OpenChannel),
		}
		p, err := o.Check()
		if err != nil {
			return
		}
		l := o.Limits
		if p.Capacity < l.MinCapacity || p.Capacity > l.MaxCapacity ||
			o.Msg.CsvDelay > l.MaxToSelfDelay || o.Msg.MaxAcceptedHTLCs > 483 ||
			o.Msg.PushAmount.ToSatoshis() > p.Capacity || o.Msg.DustLimit > o.Msg.ChannelReserve ||
			o.Msg.ChannelReserve < 0 || o.Msg.FeePerKiloWeight > uint32(l.MaxCommitFeeRate) {
			t.Errorf("accepted: %+v", o.Msg)
		}
	})
}

// FuzzCheckAccept has no accept_channel accepted that could cost us the order.
func FuzzCheckAccept(f *testing.F) {
	f.Add(encode(f, accept()))
	for _, change := range []func(*lnwire.AcceptChannel){
		func(m *lnwire.AcceptChannel) { m.MinAcceptDepth = 6 },
		func(m *lnwire.AcceptChannel) { m.CsvDelay = 65535 },
		func(m *lnwire.AcceptChannel) { m.MaxValueInFlight = 1 },
		func(m *lnwire.AcceptChannel) { m.MaxAcceptedHTLCs = 0 },
		func(m *lnwire.AcceptChannel) { m.ChannelReserve = 99_000 },
		func(m *lnwire.AcceptChannel) { m.ChannelReserve, m.DustLimit = -1, -1 },
		func(m *lnwire.AcceptChannel) { m.UpfrontShutdownScript = []byte{0x6a, 1, 1} },
		func(m *lnwire.AcceptChannel) { m.ChannelType = ChanType{Anchors: true}.Wire() },
		func(m *lnwire.AcceptChannel) { m.HtlcMinimum = ^lnwire.MilliSatoshi(0) },
	} {
		m := accept()
		change(m)
		f.Add(encode(f, m))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, ok := decode(lnwire.MsgAcceptChannel, raw)
		if !ok {
			return
		}
		a, p := m.(*lnwire.AcceptChannel), params()
		if CheckAccept(p, a) != nil {
			return
		}
		if a.MinAcceptDepth != 0 || a.CsvDelay > p.MaxToSelfDelay || a.MaxAcceptedHTLCs == 0 ||
			a.MaxAcceptedHTLCs > 483 || a.ChannelReserve < 0 || a.ChannelReserve > p.Capacity/2 ||
			a.DustLimit < 0 || a.HtlcMinimum > lnwire.NewMSatFromSatoshis(p.Capacity) {
			t.Errorf("accepted: %+v", a)
		}
	})
}
