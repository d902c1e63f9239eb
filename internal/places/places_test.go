package places

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/settle"
)

// lender is a call that waits for its client.
type lender struct {
	permit core.Permit
	place  *Place
	since  time.Duration
	moved  bool // the client is heard of, once it was chosen
	lent   bool
}

func (l *lender) Waits() (since time.Duration, ok bool) { return l.since, !l.lent }

func (l *lender) Lend() bool {
	if l.moved {
		l.since = 1 << 62
		l.moved = false
		return false
	}
	l.lent = true
	l.permit.Settle(context.Background(), core.Ignored)
	l.place.Settled()
	return true
}

// idle admits calls that wait for their clients, until one is refused.
func idle(t *testing.T, table *Table, b core.Gate, most int) (all []*lender) {
	t.Helper()
	for i := range most {
		p, err := table.Admit(t.Context(), b, "key")
		if err != nil {
			return all
		}
		l := &lender{permit: p.Move(), since: time.Duration(i)}
		l.place = table.Hold("key", l)
		all = append(all, l)
	}
	return all
}

func halfOpenBreaker(t *testing.T, cfg core.Config) *core.Breaker {
	t.Helper()
	cfg.Timeout = time.Second
	b := core.MustNew("b", cfg)
	for b.State() == core.Closed {
		p, err := b.Allow(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.Settle(t.Context(), core.Failure)
	}
	time.Sleep(time.Second)
	return b
}

// So many handlers run at once, and no more; those that were idle for long count no
// more, and the end of one makes room.
func TestAsManyLendAsMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpenBreaker(t, core.Config{HalfOpenMaxCalls: 2})
		table := &Table{Kept: 10 * time.Second}
		all := idle(t, table, b, 100)
		if want := 2 + 2*perPlace; len(all) != want {
			t.Fatalf("%d run, want %d", len(all), want)
		}
		for i, l := range all {
			if want := i < len(all)-2; l.lent != want {
				t.Errorf("number %d has lent its place: %t, want %t: the longest first", i, l.lent, want)
			}
		}
		if got := b.Snapshot().Totals.Refused; got != 1 {
			t.Errorf("%d refused, want the one that met it", got)
		}
		all[0].place.Over()
		if more := idle(t, table, b, 100); len(more) != 1 {
			t.Errorf("%d more when one has ended, want 1", len(more))
		}
		time.Sleep(10 * time.Second)
		if more := idle(t, table, b, 100); len(more) != 2*perPlace {
			t.Errorf("%d more when all were idle for long, want %d", len(more), 2*perPlace)
		}
	})
}

// A free place is taken before one is lent, and a breaker that is not half-open wants
// none.
func TestNoneLendsWithoutNeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpenBreaker(t, core.Config{HalfOpenMaxCalls: 3})
		var table Table
		first := idle(t, &table, b, 1)[0]
		p, err := table.Admit(t.Context(), b, "key")
		if err != nil || first.lent {
			t.Fatalf("%v, lent %t; want the free place to be taken", err, first.lent)
		}
		p.Settle(t.Context(), core.Failure)
		if _, err := table.Admit(t.Context(), b, "key"); err == nil || first.lent {
			t.Errorf("%v, lent %t; want a refusal of the open breaker", err, first.lent)
		}
	})
}

// One whose client is heard of just then keeps its place, and another lends; a call that
// asks again meets no refusal that no client has met, and memory is given back.
func TestPlacesAreTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpenBreaker(t, core.Config{HalfOpenMaxCalls: 2, SuccessThreshold: 3})
		var table Table
		two := idle(t, &table, b, 2)
		two[0].moved = true
		p, err := table.Admit(t.Context(), b, "key")
		if err != nil || two[0].lent || !two[1].lent {
			t.Fatalf("%v; lent %t and %t, want the second to", err, two[0].lent, two[1].lent)
		}
		two[0].lent = true // it does not wait any more
		var o settle.Once
		reclaim := func(wants bool) bool {
			o.Lent = true
			return Reclaim(t.Context(), b, &o, &two[1].place, func() bool { return wants }, func() {})
		}
		if ok := reclaim(true); ok || b.Snapshot().Totals.Refused != 0 {
			t.Errorf("again: %t, %d refused; want neither", ok, b.Snapshot().Totals.Refused)
		}
		p.Settle(t.Context(), core.Success)
		if ok := reclaim(false); ok {
			t.Error("a call that has no use for a place got one")
		}
		if ok := reclaim(true); !ok || !o.Probe {
			t.Errorf("again: %t, want the place that is free", ok)
		}
		two[1].place.Over()
		two[0].place.Over()
		o.Settle(t.Context(), core.Success)
		if n, keys := table.n.Load(), len(table.keys); n != 0 || keys != 0 {
			t.Errorf("%d keys are kept, counted %d; want none", keys, n)
		}
		var none *Place
		none.Settled()
		none.Over()
	})
}
