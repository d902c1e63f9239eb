package presets_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

// Of each limit of a document: what is just allowed, and one more.
func TestBoundsOfADocument(t *testing.T) {
	nested := func(levels int) string {
		return "ralph: " + strings.Repeat("{a: ", levels-2) + "1" + strings.Repeat("}", levels-2)
	}
	for name, row := range map[string]struct {
		document func(n int) string
		most     int
		want     string
	}{
		"bytes": {func(n int) string { return "{} #" + strings.Repeat("x", n-4) }, 1 << 20, "longer than 1048576 bytes"},
		"values": {func(n int) string { // a mark for the colon, the bracket, and each comma
			return "ralph: {x: [" + strings.Repeat("a,", n-4) + "]}"
		}, 20_000, "more than 20000 values"},
		"values at the ends of lines": {func(n int) string { // a mark for each of the colons and hyphens
			return "ralph:\n x:\n" + strings.Repeat(" - \n", n-3) + " -"
		}, 20_000, "more than 20000 values"},
		"levels": {nested, 101, "nested deeper than 100 levels"},
	} {
		if _, err := decode(row.document(row.most)); err != nil {
			t.Errorf("%d %s: %.200v, want none", row.most, name, err)
		}
		if _, err := decode(row.document(row.most + 1)); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%d %s: %.200v, want that it is %s", row.most+1, name, err, row.want)
		}
	}
}

// Encode writes what Decode reads, up to the last byte and value.
func TestBoundsOfWhatIsWritten(t *testing.T) {
	section := func(n int) *presets.Fleet {
		f, err := decode("ralph: {a: " + strings.Repeat("x", n) + "}")
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	const most = 1 << 20
	short, err := encode(section(100))
	if err != nil {
		t.Fatal(err)
	}
	fits := most - len(short) + 100
	if doc, err := encode(section(fits)); err != nil || len(doc) != most {
		t.Errorf("a document of 1 MiB: %d bytes, %v", len(doc), err)
	} else if _, err := decode(doc); err != nil {
		t.Errorf("a document of 1 MiB is read as %v", err)
	}
	if doc, err := encode(section(fits + 1)); err == nil || doc != "" {
		t.Errorf("a document of 1 MiB and a byte: %d bytes are written, %v; want an error", len(doc), err)
	}
}

// A quote of a document in a message is at most 64 bytes long, and fit for a log.
func TestMessagesQuoteLittle(t *testing.T) {
	for value, want := range map[string]string{
		strings.Repeat("x", 64): `and is "` + strings.Repeat("x", 64) + `"`,
		strings.Repeat("x", 65): `and is "` + strings.Repeat("x", 64) + `…"`,
		`"a\tb"`:                `and is "a\tb"`,
		`"\u202e"`:              `and is "\u202e"`,
		"1e5":                   `and is 1e5`,
		"true":                  `and is true`,
		"2024-11-05":            `and is of the type !!timestamp`,
		"[1]":                   `and is a list`,
		"{a: 1}":                `and is a set of fields`,
		"~":                     `and is empty`,
		`!x {}`:                 `and is of the type !x`,
	} {
		_, err := decode("policies: {a: {call_timeout: " + value + "}}")
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("of %s Decode says %v, want %s at its end", value, err, want)
		}
	}
	// The parser's errors may quote the document as well.
	for n := range 400 {
		_, err := decode("policies: {a: *" + strings.Repeat("é", n) + "x}")
		if fault, ok := errors.AsType[*presets.FileError](err); !ok || len(fault.Problem) > 203 {
			t.Errorf("an unknown alias of %d bytes: %.300v, want a short FileError", 2*n, err)
		}
	}
}

// A name is suggested if about a third of the letters would have to change, or
// two; of two that are as near, the first.
func TestSuggestions(t *testing.T) {
	suggested := func(name string) string {
		_, err := presets.Named(name)
		_, rest, _ := strings.Cut(err.Error(), "did you mean \"")
		known, _, _ := strings.Cut(rest, "\"")
		return known
	}
	for name, want := range map[string]string{
		"external_ap":     "external_api",
		"xxternal_api":    "external_api",
		"zzzzrnal_api":    "external_api", // 4 of 12
		"zzzzznal_api":    "",
		"xxtabase":        "database", // 2 of 8
		"xxxabase":        "",
		"database" + "es": "database",
		"conservative_":   "conservative",
		"":                "",
	} {
		if got := suggested(name); got != want {
			t.Errorf("for %q the suggestion is %q, want %q", name, got, want)
		}
	}
	f, err := decode("ralph: {mix_length: 1}")
	if err != nil {
		t.Fatal(err)
	}
	var into struct {
		First  int `json:"max_length"`
		Second int `json:"mex_length"`
	}
	if _, err := f.Section("ralph", &into); err == nil || !strings.HasSuffix(err.Error(), `did you mean "max_length"?`) {
		t.Errorf("of two fields that are as near: %v, want the first suggested", err)
	}
	long := strings.Repeat("x", 63)
	var wide struct {
		Field int `json:"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"` // 63
	}
	for extra, want := range map[string]bool{"y": true, "yy": false} { // 64 bytes are compared
		f, err := decode("ralph: {" + long + extra + ": 1}")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Section("ralph", &wide); err == nil || strings.Contains(err.Error(), "did you mean") != want {
			t.Errorf("of %d bytes: %v, want a suggestion: %t", len(long+extra), err, want)
		}
	}
}

// Where the jitter would take a wait beyond the cap it is turned back, not cut
// off: callers that failed together would come back together.
func TestJitterAtTheCap(t *testing.T) {
	retry := presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, InitialDelay: time.Second, MaxDelay: time.Second, JitterFactor: 0.5}
	var waits []time.Duration
	atCap := 0
	for range 500 {
		d := retry.Wait(1)
		waits = append(waits, d)
		if d == time.Second {
			atCap++
		}
		if d < time.Second/2 {
			t.Fatalf("a wait is %v, want half the cap at least", d)
		}
	}
	spread(t, waits, 500*time.Millisecond, time.Second)
	if atCap > 5 {
		t.Errorf("%d of 500 waits are the cap, want them spread", atCap)
	}
}

// A breaker that is there already cannot take a policy that Attach spoils. Nothing
// of it is left: another policy may be given once Attach has changed its mind.
func TestProtectOfABreakerThatAttachSpoils(t *testing.T) {
	r := new(presets.Registry)
	spoils := false
	r.Attach = func(_ string, p *presets.Policy) {
		if spoils {
			p.Timeout = -1
		}
	}
	b := breakerOf(t, r, "x")
	spoils = true
	if err := protectNothing("x", in(r, limited(time.Second)))(t.Context()); err == nil || !strings.Contains(err.Error(), "Timeout") {
		t.Errorf("a call = %v, want the fault of Timeout", err)
	}
	spoils = false
	if err := protectNothing("x", in(r, limited(time.Minute)))(t.Context()); err != nil {
		t.Errorf("with another policy: %v, want the first forgotten", err)
	}
	if got := b.Config().CallTimeout; got != time.Minute {
		t.Errorf("the breaker has the CallTimeout %v, want that of the policy that is valid", got)
	}
}

// While a check runs that does not heed its context, the breaker may half-open and
// open again. No second check of it begins.
func TestAHungCheckIsNotJoined(t *testing.T) {
	inBubble(t, "by another", func(t *testing.T) {
		r := new(presets.Registry)
		var running, most atomic.Int64
		p := in(r, presets.Policy{Config: core.Config{FailureThreshold: 1, Timeout: 30 * time.Second}, HealthCheckInterval: 20 * time.Second})
		p.HealthCheck = func(context.Context) error {
			most.Store(max(most.Load(), running.Add(1)))
			time.Sleep(5 * time.Minute)
			running.Add(-1)
			return errDown
		}
		call := presets.MustProtectFunc("x", p, func(context.Context) error { return errDown })
		schedule(t, r)
		for range 200 { // 30 s open, each time
			_ = call(t.Context())
			time.Sleep(time.Second)
		}
		if n := most.Load(); n != 1 {
			t.Errorf("%d checks ran at once, want 1", n)
		}
		time.Sleep(10 * time.Minute)
	})
}

// As many milliseconds are accepted as a Duration holds.
func TestFieldsInMilliseconds(t *testing.T) {
	const most int64 = 9_223_372_036_854 // of milliseconds in a Duration
	for n, want := range map[string]bool{fmt.Sprint(most): true, fmt.Sprint(most + 1): false, fmt.Sprint(-most): true, fmt.Sprint(-most - 1): false} {
		f, err := decode("policies: {a: {ramp_up_ms: " + n + "}}")
		if (err == nil) != want {
			t.Errorf("%s ms: %v, want it accepted: %t", n, err, want)
		}
		if err == nil && fmt.Sprint(f.Policies["a"].RampUp.Milliseconds()) != n {
			t.Errorf("%s ms are read as %v", n, f.Policies["a"].RampUp)
		}
	}
}
