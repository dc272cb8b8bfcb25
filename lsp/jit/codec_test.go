package jit

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestRecords has one record of every state as golden vectors: what an older version
// has written must be read for ever.
func TestRecords(t *testing.T) {
	var b strings.Builder
	for _, s := range states() {
		b.Write(record(t, s.order))
		b.WriteString("\n")
	}
	golden(t, "records.golden", b.String())

	for i, line := range strings.Split(strings.TrimSpace(b.String()), "\n") {
		o, err := Unmarshal([]byte(line))
		if err != nil || !reflect.DeepEqual(o, states()[i].order) {
			t.Errorf("record %d reads back as %+v, %v", i, o, err)
		}
	}
}

func TestRecordsThatAreRefused(t *testing.T) {
	all := states()
	good := string(record(t, all[1].order))
	for what, bad := range map[string]string{
		"newer version":    strings.Replace(good, `"v":1`, `"v":2,"new":true`, 1),
		"no version":       strings.Replace(good, `"v":1,`, ``, 1),
		"unknown member":   strings.Replace(good, `"v":1`, `"v":1,"new":true`, 1),
		"unknown state":    strings.Replace(good, "awaiting_parts", "awaiting_more", 1),
		"a set of nothing": strings.Replace(good, `"parts":[`, `"parts":[],"x":[`, 1),
		"two records":      good + good,
		"no payment": strings.Replace(string(record(t, New("x", fixed()))), "awaiting_parts",
			"awaiting_client", 1),
		"no channel":       strings.Replace(good, "awaiting_parts", "owed", 1),
		"not JSON":         "order",
		"short client":     strings.Replace(good, `"client":"02`, `"client":"`, 1),
		"client of no hex": strings.Replace(good, `"client":"02`, `"client":"zz`, 1),
		"bad outpoint":     strings.Replace(string(record(t, all[11].order)), ":0\"", ":x\"", 1),
		"bad hash": strings.Replace(string(record(t, all[9].order)), `"payment_hash":"01`,
			`"payment_hash":"`, 1),
		"bad hash in a set":  strings.Replace(good, `"payment_hash":"01`, `"payment_hash":"`, 1),
		"bad outpoint, drop": strings.Replace(string(record(t, all[3].order)), ":0\"", "\"", 1),
	} {
		_, err := Unmarshal([]byte(bad))
		if err == nil {
			t.Errorf("%s: read", what)
		}
		version := what == "newer version" || what == "no version"
		if errors.Is(err, ErrVersion) != version {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// FuzzUnmarshal has it that a damaged record is refused or behaves.
func FuzzUnmarshal(f *testing.F) {
	for _, s := range states() {
		b, _ := Marshal(s.order)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := Unmarshal(b)
		if err != nil {
			return
		}
		again, err := Unmarshal(record(t, o))
		if err != nil || !reflect.DeepEqual(o, again) {
			t.Fatalf("%s does not round-trip: %v", b, err)
		}
	})
}

func TestTimesAreKeptInUTC(t *testing.T) {
	terms := fixed()
	terms.ValidUntil = terms.ValidUntil.In(time.FixedZone("", 3600))
	o := New("order", terms)
	o, _, _ = o.Step(t0.In(time.FixedZone("", -3600)), arrive(1, 1, 5000))
	if again, err := Unmarshal(record(t, o)); err != nil || !reflect.DeepEqual(o, again) {
		t.Errorf("%v %+v", err, again)
	}
}
