package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inletlsp/inlet/chain/regtest"
	"github.com/inletlsp/inlet/node/api"
	"github.com/inletlsp/inlet/node/orders"
)

// demoCLI is the program with real nodes, and temporary folders of the test's own.
func demoCLI(t *testing.T) (c *cli, folders string) {
	t.Helper()
	if _, err := regtest.FindBtcd(); err != nil {
		require.Empty(t, os.Getenv("CI"), "btcd is missing: %v", err)
		t.Skip(err)
	}
	folders = t.TempDir()
	t.Setenv("TMPDIR", folders)
	c = newCLI(t)
	c.app.nodes.signals = func(_, _ func()) func() { return func() {} }
	return c, folders
}

func TestDemoSettlesAndLeavesNothing(t *testing.T) {
	c, folders := demoCLI(t)
	require.Equal(t, exitOK, c.run(t, "demo", "--json"), c.stderr.String())

	lines := strings.Split(strings.TrimSpace(c.stdout.String()), "\n")
	seen := map[string]bool{}
	for _, line := range lines[:len(lines)-1] {
		var e demoEvent
		require.NoError(t, json.Unmarshal([]byte(line), &e))
		require.NotEmpty(t, e.Who)
		require.NotEmpty(t, e.Step)
		seen[e.Stage] = true
	}
	decoder := json.NewDecoder(strings.NewReader(lines[len(lines)-1]))
	decoder.DisallowUnknownFields()
	var sum demoSummary
	require.NoError(t, decoder.Decode(&sum))
	if sum.Result != "settled" || !sum.FundingConfirmed || !sum.ClosedOnChain {
		t.Errorf("the demo ended with %+v", sum)
	}
	if sum.OpeningFeeMsat == 0 || sum.ReceivedMsat != sum.PaymentSizeMsat-sum.OpeningFeeMsat {
		t.Errorf("the client received %d of %d msat with a fee of %d", sum.ReceivedMsat,
			sum.PaymentSizeMsat, sum.OpeningFeeMsat)
	}
	require.Len(t, sum.FundingTxid, 64)
	require.Regexp(t, `^\d+x\d+x\d+$`, sum.JitChannelScid)
	for _, stage := range []orders.Stage{
		orders.StageFirstPart, orders.StageSetComplete, orders.StageOpenSent,
		orders.StageAccepted, orders.StageFundingCreated, orders.StageFundingSigned,
		orders.StageBroadcast, orders.StageChannelReady, orders.StageForwarded,
		orders.StageSettled, orders.StageConfirmed,
	} {
		if _, ok := sum.Stages[string(stage)]; !ok || !seen[string(stage)] {
			t.Errorf("stage %s is missing", stage)
		}
	}
	if sum.JitMs != sum.Stages["settled"] {
		t.Errorf("jit_ms is %d, settled after %d", sum.JitMs, sum.Stages["settled"])
	}
	left, err := os.ReadDir(folders)
	require.NoError(t, err)
	require.Empty(t, left, "the folder is removed")
}

func TestInterruptedDemoEndsAndLeavesNothing(t *testing.T) {
	c, folders := demoCLI(t)
	interrupted := make(chan func(), 1)
	c.app.nodes.signals = func(interrupt, _ func()) func() {
		interrupted <- interrupt
		return func() {}
	}
	c.app.stdout = &interrupter{at: "node_ready", press: interrupted}
	require.Equal(t, exitError, c.run(t, "demo", "--json"))
	require.Contains(t, c.stderr.String(), errInterrupted.Error())
	left, err := os.ReadDir(folders)
	require.NoError(t, err)
	require.Empty(t, left, "the folder is removed")
}

// interrupter presses Ctrl-C when a text is written.
type interrupter struct {
	at    string
	press chan func()
}

func (i *interrupter) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(i.at)) {
		select {
		case interrupt := <-i.press:
			interrupt()
		default:
		}
	}
	return len(p), nil
}

func TestFailedDemoKeepsItsFolder(t *testing.T) {
	folders := t.TempDir()
	t.Setenv("TMPDIR", folders)
	c := newCLI(t)
	require.Equal(t, exitError, c.run(t, "demo", "--btcd", "/bin/false"))
	require.Contains(t, c.stderr.String(), "all data and logs are in "+folders)
	left, err := os.ReadDir(folders)
	require.NoError(t, err)
	require.Len(t, left, 1, "the folder is kept")
}

func TestDemoWithoutBtcdSaysWhatToDo(t *testing.T) {
	c := newCLI(t)
	require.Equal(t, exitError, c.run(t, "demo", "--btcd", "/does/not/exist"))
	require.Contains(t, c.stderr.String(), "--btcd")

	t.Setenv("INLET_BTCD", "/does/not/exist")
	require.Equal(t, exitError, c.run(t, "demo"))
	require.Contains(t, c.stderr.String(), "inlet demo --btcd PATH")
}

func TestDemoForPeople(t *testing.T) {
	for name, color := range map[string]bool{"demo.golden": false, "demo_color.golden": true} {
		var out bytes.Buffer
		cannedDemo(&programme{w: &out, color: color})
		golden(t, name, out.String())
	}
}

func TestDemoForPrograms(t *testing.T) {
	var out bytes.Buffer
	cannedDemo(&programme{w: &out, json: true})
	golden(t, "demo_json.golden", out.String())
}

// cannedDemo shows a little of everything, at fixed times.
func cannedDemo(o *programme) {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	later := func(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }
	o.begin("The payer pays the invoice. The payment opens the channel")
	o.began = began
	p := newPlay(&cast{}, o)
	p.sum = demoSummary{PaymentSizeMsat: 1_000_000_000, OpeningFeeMsat: 4_000_000}
	for i, stage := range []orders.Stage{
		orders.StageBought, orders.StageFirstPart, orders.StageSetComplete,
		orders.StageClientConnected, orders.StageOpenSent, orders.StageAccepted,
		orders.StageFundingCreated, orders.StageFundingSigned, orders.StageBroadcast,
		orders.StageChannelReady, orders.StageForwarded, orders.StageClaimed,
		orders.StageSettled, orders.StageConfirmed, orders.StageFailed,
	} {
		p.stage(orders.Moment{Stage: stage, At: later(11 * i)})
	}
	o.event(demoEvent{Who: "client", Stage: "received", Text: "has received",
		AmountMsat: api.SomeMsat(996_000_123)}, later(1234))
	o.closed("8984484a580b825b9972d7adb15050b3ab624ccd731946b3eeddb92f4e7ef6be",
		share{client: 1_246_000, lsp: 767_752, fee: 3_878}, later(2000))
	o.summary(demoSummary{
		Result: "settled", PaymentSizeMsat: 1_000_000_000, OpeningFeeMsat: 4_000_000,
		ReceivedMsat: 996_000_000, JitChannelScid: "16000001x2x3",
		FundingTxid: fundingTxid, FundingConfirmed: true, ClosedOnChain: true,
		Stages: map[string]int64{"first_part": 0, "settled": 72}, JitMs: 72,
	}, 4321*time.Millisecond)
}

func TestStageTimesCountFromTheFirstPart(t *testing.T) {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	times := stageTimes([]orders.Moment{
		{Stage: orders.StageBought, At: began},
		{Stage: orders.StageFirstPart, At: began.Add(time.Second)},
		{Stage: orders.StageSettled, At: began.Add(1072 * time.Millisecond)},
	})
	require.Equal(t, map[string]int64{"bought": 0, "first_part": 0, "settled": 72}, times)
}

func TestReachedNeverBlocksTheLSP(t *testing.T) {
	p := newPlay(&cast{}, &programme{})
	for range maxMoments + 1 {
		p.reached(orders.Moment{Stage: orders.StageBought})
	}
	require.Len(t, p.moments, maxMoments)
}

func TestDemoTellsThatItCannotWrite(t *testing.T) {
	broken := errors.New("broken pipe")
	o := &programme{w: failingWriter{broken}}
	o.tell("lsp", "node_ready", "text")
	require.ErrorIs(t, o.err, broken)
}

type failingWriter struct{ err error }

func (f failingWriter) Write([]byte) (int, error) { return 0, f.err }
