package failsafe

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// play makes one call for each letter: S succeeds, F fails, I is ignored, L is
// never settled. In a space a second passes, in R a minute.
func play(t *testing.T, b *core.Breaker, calls string) {
	t.Helper()
	outcomes := map[rune]core.Outcome{'S': core.Success, 'F': core.Failure, 'I': core.Ignored}
	for _, c := range calls {
		switch c {
		case ' ':
			time.Sleep(time.Second)
		case 'R':
			time.Sleep(time.Minute)
		case 'L':
			_, _ = b.Allow(context.Background())
		default:
			if p, err := b.Allow(context.Background()); err == nil {
				p.Settle(context.Background(), outcomes[c])
			}
		}
	}
}

// Of the last 60 s at least 50 % of the calls: medium; 70: high; 90: critical.
// Five consecutive failures: high.
func TestErrorLimits(t *testing.T) {
	history := core.Config{FailureThreshold: -1, History: time.Minute}
	opens := core.Config{FailureThreshold: 3, History: time.Minute, Timeout: time.Second, SuccessThreshold: 2, HalfOpenMaxCalls: 1}
	for _, row := range []struct {
		name   string
		cfg    core.Config
		limits ErrorLimits
		calls  string
		want   string
		values []float64
	}{
		{"no calls", history, ErrorLimits{}, "", "", nil},
		{"40 %", history, ErrorLimits{}, "SFSFSSFSFS", "", nil},
		{"50 %", history, ErrorLimits{}, "SFSFSFSFSF", "error_rate:medium", []float64{50}},
		{"50 %, of too few calls", history, ErrorLimits{}, "SFSFSFSF", "", nil},
		{"50 %, of too few calls, the ignored not counted", history, ErrorLimits{}, "SFSFSFSFIIII", "", nil},
		{"69 %", history, ErrorLimits{}, "SFFSFFSFFSFFF", "error_rate:medium", []float64{100 * 9. / 13}},
		{"70 %", history, ErrorLimits{}, "SFFSFFSFFF", "error_rate:high", []float64{70}},
		{"89 %", history, ErrorLimits{Consecutive: -1}, "FFFFFFFFSFFFFFFFFS", "error_rate:high", []float64{100 * 16. / 18}},
		{"90 %", history, ErrorLimits{}, "FFFFSFFFFF", "error_rate:critical consecutive_errors:high", []float64{90, 5}},
		{"after a minute it is forgotten", history, ErrorLimits{}, "SFSFSFSFSFR", "", nil},
		{"after most of a minute it is not", history, ErrorLimits{}, "SFSFSFSFSF                                                          ", "error_rate:medium", []float64{50}},
		{"what was before the minute does not count", history, ErrorLimits{}, "SSSSSSSSSSSSSSSSSSSSSSSSRSFSFSFSFSF", "error_rate:medium", []float64{50}},
		{"nor does it when the breaker remembers more", core.Config{FailureThreshold: -1, History: 10 * time.Minute}, ErrorLimits{}, "FFFFSFFFFSFFFFRRSSSSSSSSSS", "", nil},
		{"over another time", core.Config{FailureThreshold: -1, History: 10 * time.Minute}, ErrorLimits{Over: 5 * time.Minute}, "SFSFSFSFSFRRR", "error_rate:medium", []float64{50}},
		{"limits of one's own", history, ErrorLimits{Rate: 20, MinimumCalls: 5, Consecutive: 2}, "SSSFF", "consecutive_errors:high error_rate:medium", []float64{2, 40}},
		{"no minimum", history, ErrorLimits{MinimumCalls: -1}, "F", "error_rate:critical", []float64{100}},
		{"no minimum, no calls", history, ErrorLimits{MinimumCalls: -1}, "", "", nil},
		{"off", history, ErrorLimits{Rate: -1, Consecutive: -1}, "FFFFFFFFFFFFFFFFFFFF", "", nil},
		{"no history, and that is told", core.Config{FailureThreshold: -1}, ErrorLimits{}, "FFFFF", "consecutive_errors:high sensor:low", []float64{5, 0}},
		{"no history, and none is needed", core.Config{FailureThreshold: -1}, ErrorLimits{Rate: -1}, "FFFF", "", nil},

		{"four in a row", history, ErrorLimits{}, "FFFF", "", nil},
		{"five in a row", history, ErrorLimits{}, "FFFFF", "consecutive_errors:high", []float64{5}},
		{"five, not in a row", history, ErrorLimits{}, "FFFSFF", "", nil},
		{"a breaker that opens at the fifth", core.Config{History: time.Minute}, ErrorLimits{}, "FFFFF", "consecutive_errors:high", []float64{5}},
		{"it opened before, and the probes fail too", opens, ErrorLimits{}, "FFF F F", "consecutive_errors:high", []float64{5}},
		{"only one probe has failed", opens, ErrorLimits{}, "FFF F", "", nil},
		{"its break is over", opens, ErrorLimits{}, "FFF F F ", "consecutive_errors:high", []float64{5}},
		{"a probe that takes long is no failure", opens, ErrorLimits{}, "FFF F LR", "", nil},
		{"the next one is", opens, ErrorLimits{}, "FFF F LRF", "consecutive_errors:high", []float64{5}},
		{"a probe succeeds", opens, ErrorLimits{}, "FFF F F S", "", nil},
		{"and the next fails", opens, ErrorLimits{}, "FFF F F SF", "", nil},
		{"which begins a new row", opens, ErrorLimits{Consecutive: 3}, "FFF F F SF F F", "consecutive_errors:high", []float64{3}},
		{"it has closed", opens, ErrorLimits{}, "FFF F F SS", "", nil},
		{"it has closed, and opens again", opens, ErrorLimits{}, "FFF F F SSFFF", "error_rate:high", []float64{80}},
		{"more than the breaker remembers of its transitions", opens, ErrorLimits{Consecutive: 30}, "FFF F F F F F F F F F F F F F F F F F F F F F F F F F F F F F F F F F F F F F F F F F F F", "error_rate:critical consecutive_errors:high", nil},
	} {
		bubble(t, row.name, func(t *testing.T) {
			b := core.MustNew("billing", row.cfg)
			play(t, b, row.calls)
			conditions := row.limits.Conditions(b.Snapshot())
			if got := severities(conditions); got != row.want {
				t.Fatalf("%q gives %q, want %q (%s)", row.calls, got, row.want, b.Explain())
			}
			for i, c := range conditions {
				if row.values != nil && c.Value != row.values[i] || c.Metadata["breaker"] != "billing" || !c.At.Equal(time.Now()) || c.Message == "" || c.Threshold == 0 {
					t.Errorf("%+v, want %v", c, row.values)
				}
			}
		})
	}
}

func TestErrorLimitsMessages(t *testing.T) {
	bubble(t, "are for people", func(t *testing.T) {
		b := core.MustNew("billing", core.Config{FailureThreshold: -1, History: time.Minute})
		play(t, b, "SSSFFFFFFF")
		var got []string
		for _, c := range (ErrorLimits{}).Conditions(b.Snapshot()) {
			got = append(got, c.Message)
		}
		want := []string{`70 % of the calls of "billing" failed in the last 1m0s (7 of 10), and from 50 % on that is too much`, `7 calls in a row of "billing" failed, and 5 are too many`}
		if !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

func TestErrorLimitsValidate(t *testing.T) {
	for _, row := range []struct {
		limits ErrorLimits
		want   []string
	}{
		{ErrorLimits{}, nil},
		{ErrorLimits{Rate: -1, MinimumCalls: -1, Consecutive: -1}, nil},
		{ErrorLimits{Rate: 100, Over: time.Second}, nil},
		{ErrorLimits{Rate: 0.5, Over: time.Millisecond}, []string{"Rate", "Over"}},
		{ErrorLimits{Rate: nan, Over: -1}, []string{"Rate", "Over"}},
	} {
		if got := fields(row.limits.Validate()); !slices.Equal(got, row.want) {
			t.Errorf("%+v: faults of %q, want %q", row.limits, got, row.want)
		}
	}
}
