package settle

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// held returns a Once with a permit, and the outcomes that it was settled by.
func held(probe bool) (*Once, *[]core.Outcome) {
	var outcomes []core.Outcome
	p := core.NewPermit(func(_ context.Context, o core.Outcome) { outcomes = append(outcomes, o) })
	o := new(Once)
	o.Hold(&p)
	o.Probe = probe
	return o, &outcomes
}

func wantOutcome(t *testing.T, got []core.Outcome, want core.Outcome) {
	t.Helper()
	if len(got) != 1 || got[0] != want {
		t.Errorf("settled by %v, want %v alone", got, want)
	}
}

func TestTheFirstToClaimSettles(t *testing.T) {
	o, outcomes := held(false)
	if !o.Do(t.Context(), func(p *core.Permit) { p.Settle(t.Context(), core.Success) }) {
		t.Error("Do = false, want the first to settle")
	}
	o.Settle(t.Context(), core.Failure)
	if o.Do(t.Context(), func(*core.Permit) { t.Error("the second settled") }) || o.LendIf(t.Context(), func() bool { return true }) {
		t.Error("the second claimed the permit")
	}
	var p core.Permit
	if o.TakeBack(&p) || o.Early {
		t.Error("a settled permit was taken back, or counts as early")
	}
	wantOutcome(t, *outcomes, core.Success)
}

func TestAReportSettlesOnce(t *testing.T) {
	for _, probe := range []bool{false, true} {
		o, outcomes := held(probe)
		o.Lock()
		if !o.ReportLocked(t.Context(), core.Failure, errors.New("x")) {
			t.Error("ReportLocked = false, want the first to settle")
		}
		o.Wait()
		o.Lock()
		if o.ReportLocked(t.Context(), core.Success, nil) {
			t.Error("the second claimed the permit")
		}
		wantOutcome(t, *outcomes, core.Failure)
	}
}

func TestAPanicWhileSettlingIsAFailure(t *testing.T) {
	o, outcomes := held(true)
	func() {
		defer func() { _ = recover() }()
		o.Do(t.Context(), func(*core.Permit) { panic("x") })
	}()
	o.Wait() // returns: the probe is settled
	wantOutcome(t, *outcomes, core.Failure)
}

func TestALentPlaceIsHeldAnew(t *testing.T) {
	o, outcomes := held(true)
	if o.LendIf(t.Context(), func() bool { return false }) {
		t.Error("lent against its will")
	}
	if !o.LendIf(t.Context(), func() bool { return true }) || !o.Lent {
		t.Fatal("the place was not lent")
	}
	wantOutcome(t, *outcomes, core.Ignored)
	var again core.Outcome
	p := core.NewPermit(func(_ context.Context, got core.Outcome) { again = got })
	o.Hold(&p)
	if o.Settle(t.Context(), core.Success); again != core.Success || !o.Early {
		t.Errorf("the second permit was settled by %v, early %t; want Success, true", again, o.Early)
	}
}

func TestAPermitIsTakenBackUnsettled(t *testing.T) {
	o, outcomes := held(true)
	var p core.Permit
	if !o.TakeBack(&p) || len(*outcomes) != 0 {
		t.Fatalf("settled by %v, want the permit back unsettled", *outcomes)
	}
	o.Settle(t.Context(), core.Failure)
	p.Settle(t.Context(), core.Success)
	wantOutcome(t, *outcomes, core.Success)
}

func TestALeaseEndsByTimeByContextOrByTheClaim(t *testing.T) {
	for name, want := range map[string]core.Outcome{"time": core.Success, "context": core.Ignored, "claim": core.Failure} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, outcomes := held(true)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				o.Lease(ctx, time.Second, func() { o.Settle(ctx, core.Success) }, func() { o.Settle(ctx, core.Ignored) })
				switch name {
				case "context":
					cancel()
				case "claim":
					o.Settle(ctx, core.Failure)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				wantOutcome(t, *outcomes, want)
			})
		})
	}
	o, _ := held(false)
	o.Settle(t.Context(), core.Success)
	released := false
	if o.OnClaim(func() { released = true }); !released {
		t.Error("a permit that is claimed already does not release at once")
	}
}

func TestWaitIsForASettlementUnderWayAndIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, _ := held(true)
		o.Wait() // nothing is claimed
		began := time.Now()
		go o.Do(t.Context(), func(*core.Permit) { time.Sleep(time.Millisecond) })
		synctest.Wait()
		if o.Wait(); time.Since(began) != time.Millisecond {
			t.Errorf("waited for %v, want 1ms, until it is settled", time.Since(began))
		}
		o, _ = held(true)
		o.Do(t.Context(), func(*core.Permit) { began = time.Now(); o.Wait() })
		if took := time.Since(began); took != 100*time.Millisecond {
			t.Errorf("a hook that waits for its own settlement waited for %v, want 100ms", took)
		}
	})
}
