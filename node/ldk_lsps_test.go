package node_test

import (
	"bytes"
	"context"
	"encoding/json"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp"
	"github.com/inletlsp/inlet/node/api"
)

// onLSPS changes LSPS messages: those that we send, and those of the client before
// our service has read them.
func onLSPS(change func(sent bool, text []byte) []byte) func(*culprit) {
	return func(bad *culprit) {
		bad.wire = func(sent bool, msg lnwire.Message) {
			if m, ok := msg.(*lnwire.Custom); ok && m.Type == lsp.MessageType {
				m.Data = change(sent, m.Data)
			}
		}
	}
}

// answer is a response of ours with other members than its id.
func answer(text []byte, members string) []byte {
	var q struct {
		ID json.RawMessage `json:"id"`
	}
	_ = json.Unmarshal(text, &q)
	return []byte(`{"jsonrpc":"2.0","id":` + string(q.ID) + `,` + members + `}`)
}

// TestLDKAnswers: an answer that LDK can't read makes it deaf to this LSP until it
// reconnects. One that it can read, and doesn't want, does not.
func TestLDKAnswers(t *testing.T) {
	m := newLDKMarket(t, nil)
	for _, c := range []struct {
		name    string
		members string // of the answer to the first request; empty: see below
		deaf    bool
	}{
		{"data absent", `"error":{"code":1,"message":"no"}`, false},
		{"data null", `"error":{"code":1,"message":"no","data":null}`, false},
		{"data string", `"error":{"code":1,"message":"no","data":"why"}`, false},
		{"data object", `"error":{"code":1,"message":"no","data":{"property":"why"}}`, true},
		{"error null", "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := m.client(t, c.name)
			var answers atomic.Int32
			m.bad.do(t, onLSPS(func(sent bool, text []byte) []byte {
				switch {
				case !sent || answers.Add(1) > 1:
					return text
				case c.members != "":
					return answer(text, c.members)
				}
				return bytes.Replace(text, []byte(`"result":`), []byte(`"error":null,"result":`), 1)
			}))
			if _, err := client.TryJIT(50_000_000); err == nil {
				t.Error("the client bought, by an answer that it did not expect")
			}
			_, err := client.TryJIT(50_000_000)
			if deaf := err != nil; deaf != c.deaf {
				t.Errorf("its next purchase on this connection: %v, want deaf %v", err, c.deaf)
			}
			if !c.deaf {
				return
			}
			m.hangUp(client.ID)
			m.soon(waitLink, func(context.Context) bool { return !client.Connected() })
			if _, err := client.TryJIT(50_000_000); err != nil {
				t.Errorf("its purchase on a new connection: %v", err)
			}
		})
	}
}

// hangUp ends the LSP's connection with a client.
func (m *market) hangUp(client string) {
	m.t.Helper()
	ctx, cancel := m.Context()
	defer cancel()
	c := m.admin(m.seller)
	defer c.Close()
	must(m.t, c.Disconnect(ctx, api.DisconnectRequest{NodeID: client}))
}

var validUntil = regexp.MustCompile(`"valid_until"\s*:\s*"([^"]*)"`)

// TestLDKDates: how valid_until may be written for LDK to buy.
func TestLDKDates(t *testing.T) {
	m := newLDKMarket(t, nil)
	for _, layout := range []string{
		"2006-01-02T15:04:05Z", "2006-01-02T15:04:05.000Z", "2006-01-02T15:04:05.000000Z",
		"2006-01-02T15:04:05+00:00", "2006-01-02T15:04:05.000+00:00",
	} {
		t.Run(layout, func(t *testing.T) {
			client := m.client(t, "date of "+time.Duration(len(layout)).String()+layout[19:])
			var ours, theirs atomic.Value
			m.bad.do(t, onLSPS(func(sent bool, text []byte) []byte {
				found := validUntil.FindSubmatch(text)
				switch {
				case found == nil:
					return text
				case !sent: // the promise is for the date as we wrote it
					theirs.Store(string(found[1]))
					return validUntil.ReplaceAll(text, ours.Load().([]byte))
				}
				ours.Store(bytes.Clone(found[0]))
				date, err := time.Parse(time.RFC3339Nano, string(found[1]))
				if err != nil {
					t.Errorf("our own date: %v", err)
				}
				return validUntil.ReplaceAll(text, []byte(`"valid_until":"`+date.Format(layout)+`"`))
			}))
			wantPaid(t, m.attempt(t, client.JIT(50_000_000), 0), client, 48_000_000)
			t.Logf("LDK sent it back as %v", theirs.Load())
		})
	}
}

// TestLDKPatience: ldk-node waits 5 s for an answer.
func TestLDKPatience(t *testing.T) {
	m := newLDKMarket(t, nil)
	for _, c := range []struct {
		takes  time.Duration
		bought bool
	}{{4500 * time.Millisecond, true}, {5500 * time.Millisecond, false}} {
		t.Run(c.takes.String(), func(t *testing.T) {
			client := m.client(t, c.takes.String())
			var answers atomic.Int32
			m.bad.do(t, onLSPS(func(sent bool, text []byte) []byte {
				if sent && answers.Add(1) == 1 {
					<-time.After(c.takes)
				}
				return text
			}))
			if _, err := client.TryJIT(50_000_000); (err == nil) != c.bought {
				t.Errorf("an answer after %v: %v", c.takes, err)
			}
		})
	}
}
