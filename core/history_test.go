package core_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// rows prints the intervals that are not empty: "3: 2 calls 1 failed 4 refused
// mean 1s", numbered by their start in widths from the breaker's birth.
func rows(born time.Time, history []core.Interval) string {
	var out []string
	for _, i := range history {
		if i.Calls+i.Failures+i.Refused > 0 {
			out = append(out, fmt.Sprintf("%d: %d calls %d failed %d refused mean %v", i.Start.Sub(born)/i.Length, i.Calls, i.Failures, i.Refused, i.Mean))
		}
	}
	return strings.Join(out, "\n")
}

func wantRows(t *testing.T, b *core.Breaker, born time.Time, want ...string) {
	t.Helper()
	if got := rows(born, b.Snapshot().History); got != strings.Join(want, "\n") {
		t.Fatalf("history:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
}

// The recent past by the interval, in a fixed number of rows.
func TestHistory(t *testing.T) {
	minute := core.Config{FailureThreshold: -1, History: time.Minute} // intervals of 1 s
	bubble(t, "off", func(t *testing.T) {
		b := newBreaker(t, core.Config{})
		fail(t, b, 3)
		if got := b.Snapshot().History; got != nil {
			t.Errorf("history = %v, want nil", got)
		}
	})
	bubble(t, "each call in the interval it ended in", func(t *testing.T) {
		born := time.Now()
		b := newBreaker(t, minute)
		play(t, b, "SFI")
		time.Sleep(1500 * time.Millisecond)
		play(t, b, "SS")
		time.Sleep(5 * time.Second)
		lasting(t, b, 2*time.Second, core.Failure)
		wantRows(t, b, born, "0: 2 calls 1 failed 0 refused mean 0s", "1: 2 calls 0 failed 0 refused mean 0s", "8: 1 calls 1 failed 0 refused mean 0s")
	})
	bubble(t, "no gaps between the rows, the last one runs", func(t *testing.T) {
		b := newBreaker(t, minute)
		for range 150 {
			succeed(t, b, 1)
			time.Sleep(1700 * time.Millisecond)
		}
		snap := b.Snapshot()
		if got := len(snap.History); got != 60 {
			t.Fatalf("%d rows, want 60", got)
		}
		for i, row := range snap.History {
			if row.Length != time.Second {
				t.Fatalf("row %d is %v long, want 1s", i, row.Length)
			}
			if i > 0 && !row.Start.Equal(snap.History[i-1].Start.Add(time.Second)) {
				t.Fatalf("row %d begins at %v, the one before at %v", i, row.Start, snap.History[i-1].Start)
			}
		}
		last := snap.History[59]
		if snap.At.Before(last.Start) || !snap.At.Before(last.Start.Add(last.Length)) {
			t.Errorf("the last row begins at %v, now is %v: it should be running", last.Start, snap.At)
		}
	})
	bubble(t, "what is older than the span is gone", func(t *testing.T) {
		born := time.Now()
		b := newBreaker(t, minute)
		play(t, b, "FF")
		time.Sleep(30 * time.Second)
		play(t, b, "F")
		time.Sleep(29 * time.Second)
		wantRows(t, b, born, "0: 2 calls 2 failed 0 refused mean 0s", "30: 1 calls 1 failed 0 refused mean 0s")
		time.Sleep(time.Second)
		wantRows(t, b, born, "30: 1 calls 1 failed 0 refused mean 0s")
		time.Sleep(30 * time.Second)
		wantRows(t, b, born)
		time.Sleep(10 * time.Hour)
		play(t, b, "FS")
		wantRows(t, b, born, "36090: 2 calls 1 failed 0 refused mean 0s")
		time.Sleep(time.Second)
		wantRows(t, b, born, "36090: 2 calls 1 failed 0 refused mean 0s")
	})
	bubble(t, "a refusal in the interval it happened in", func(t *testing.T) {
		born := time.Now()
		b := newBreaker(t, core.Config{FailureThreshold: 1, Timeout: time.Hour, History: time.Minute})
		fail(t, b, 1)
		time.Sleep(10 * time.Second)
		refusal(t, b) // the first to come by in its interval
		refusal(t, b)
		time.Sleep(10 * time.Second)
		refusal(t, b)
		wantRows(t, b, born, "0: 1 calls 1 failed 0 refused mean 0s", "10: 0 calls 0 failed 2 refused mean 0s", "20: 0 calls 0 failed 1 refused mean 0s")
	})
	bubble(t, "the mean of each interval", func(t *testing.T) {
		for _, cfg := range []core.Config{{History: time.Minute, Durations: true}, {History: time.Minute, SlowAfter: time.Hour}} {
			born := time.Now()
			b := newBreaker(t, cfg)
			lasting(t, b, 100*time.Millisecond, core.Success)
			lasting(t, b, 300*time.Millisecond, core.Failure)
			lasting(t, b, 500*time.Millisecond, core.Ignored)
			lasting(t, b, 3*time.Second, core.Success)
			wantRows(t, b, born, "0: 2 calls 1 failed 0 refused mean 200ms", "3: 1 calls 0 failed 0 refused mean 3s")
			time.Sleep(time.Minute)
		}
	})
	bubble(t, "reading it does not change it", func(t *testing.T) {
		born := time.Now()
		b := newBreaker(t, minute)
		for range 20 {
			b.Snapshot()
			play(t, b, "S")
			b.Snapshot()
			time.Sleep(100 * time.Millisecond)
		}
		b.Snapshot()
		wantRows(t, b, born, "0: 10 calls 0 failed 0 refused mean 0s", "1: 10 calls 0 failed 0 refused mean 0s")
	})
	bubble(t, "switched on later it knows nothing of before", func(t *testing.T) {
		for _, after := range []time.Duration{10 * time.Second, 90 * time.Second} {
			born := time.Now()
			b := newBreaker(t, core.Config{FailureThreshold: -1})
			play(t, b, "SSFF")
			time.Sleep(after)
			if err := b.Update(minute); err != nil {
				t.Fatal(err)
			}
			wantRows(t, b, born)
			play(t, b, "F")
			wantRows(t, b, born, fmt.Sprintf("%d: 1 calls 1 failed 0 refused mean 0s", int(after/time.Second)))
			for _, row := range b.Snapshot().History {
				if row.Start.Add(row.Length).Before(born.Add(after)) {
					t.Errorf("a row begins at %v, before the history was begun at %v", row.Start.Sub(born), after)
				}
			}
		}
	})
	bubble(t, "its first call comes late", func(t *testing.T) {
		born := time.Now()
		b := newBreaker(t, minute)
		time.Sleep(10 * time.Second)
		play(t, b, "F")
		time.Sleep(5 * time.Second)
		wantRows(t, b, born, "10: 1 calls 1 failed 0 refused mean 0s")
		for _, row := range b.Snapshot().History {
			if row.Start.Add(row.Length).Before(born.Add(10 * time.Second)) {
				t.Errorf("a row begins at %v, before the first call", row.Start.Sub(born))
			}
		}
	})
	bubble(t, "another length begins anew, the same one does not", func(t *testing.T) {
		born := time.Now()
		b := newBreaker(t, minute)
		play(t, b, "FF")
		if err := b.Update(core.Config{FailureThreshold: 99, History: time.Minute}); err != nil {
			t.Fatal(err)
		}
		wantRows(t, b, born, "0: 2 calls 2 failed 0 refused mean 0s")
		time.Sleep(30 * time.Second)
		if err := b.Update(core.Config{History: time.Hour}); err != nil {
			t.Fatal(err)
		}
		wantRows(t, b, born)
		time.Sleep(time.Minute)
		play(t, b, "S")
		wantRows(t, b, born, "1: 1 calls 0 failed 0 refused mean 0s")
	})
	bubble(t, "a lost probe when it is settled", func(t *testing.T) {
		born := time.Now()
		b := newBreaker(t, core.Config{FailureThreshold: 1, Timeout: 5 * time.Second, ProbeTimeout: 5 * time.Second, History: time.Minute})
		fail(t, b, 1)
		time.Sleep(5 * time.Second)
		p := take(t, b)
		time.Sleep(5 * time.Second)
		refusal(t, b)
		time.Sleep(time.Second)
		p.Settle(bg, core.Failure)
		wantRows(t, b, born, "0: 1 calls 1 failed 0 refused mean 0s", "10: 0 calls 0 failed 1 refused mean 0s", "11: 1 calls 1 failed 0 refused mean 0s")
	})
}

// A clock that is set back, by hand or because it is a wall clock, must not hurt.
func TestHistoryWithAClockSetBack(t *testing.T) {
	for _, back := range []time.Duration{time.Second, time.Minute, 25 * time.Hour} {
		for _, when := range []string{"before the first call", "after it"} {
			t.Run(fmt.Sprint(back, " ", when), func(t *testing.T) {
				clock := newFakeClock()
				b := newBreaker(t, core.Config{FailureThreshold: -1, Now: clock.now, History: time.Minute, Durations: true, Window: core.Window{For: time.Minute}})
				if when == "after it" {
					play(t, b, "SF")
				}
				clock.advance(-back)
				play(t, b, "SF")
				_, _, _ = b.Snapshot(), b.Health(), b.Explain()
				clock.advance(2 * back)
				play(t, b, "SF")
				snap := b.Snapshot()
				if got := snap.History[len(snap.History)-1]; got.Calls < 2 {
					t.Errorf("the last row is %+v, want the 2 calls just made in it", got)
				}
				if got, want := snap.Totals.Calls, uint64(len("SFSF")); got < want {
					t.Errorf("%d calls, want %d or more", got, want)
				}
			})
		}
	}
}
