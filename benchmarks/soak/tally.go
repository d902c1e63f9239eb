package main

import (
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/blackbox4/switchgear/core"
)

// tally is what a driver has counted itself, by what it meant a call to become
// or saw of it. It asks no breaker.
type tally struct {
	successes, failures, ignored, refused atomic.Int64
	// either counts calls that are a failure or are ignored, as the adapter
	// can find out or not: a client's deadline at a server, say.
	either atomic.Int64
}

func (t *tally) calls() int64 {
	return t.successes.Load() + t.failures.Load() + t.ignored.Load() + t.either.Load()
}

// compare says what of the totals is not what the driver has counted.
func (t *tally) compare(whose string, got core.Totals) (wrong []string) {
	differs := func(what string, driver int64, is uint64) {
		if int64(is) != driver {
			wrong = append(wrong, fmt.Sprintf("%s of the driver %d, of the %s %d", what, driver, whose, is))
		}
	}
	differs("calls", t.calls(), got.Calls)
	differs("successes", t.successes.Load(), got.Successes)
	differs("refusals", t.refused.Load(), got.Refused)
	differs("failures and ignored calls", t.failures.Load()+t.ignored.Load()+t.either.Load(), got.Failures+got.Ignored)
	least := t.failures.Load()
	if most := least + t.either.Load(); int64(got.Failures) < least || int64(got.Failures) > most {
		wrong = append(wrong, fmt.Sprintf("failures of the driver %d to %d, of the %s %d", least, most, whose, got.Failures))
	}
	if got.InFlight != 0 {
		wrong = append(wrong, fmt.Sprintf("%d in flight in the %s", got.InFlight, whose))
	}
	if sum := got.Successes + got.Failures + got.Ignored + uint64(got.InFlight); sum != got.Calls {
		wrong = append(wrong, fmt.Sprintf("calls in the %s are %d, but all outcomes %d", whose, got.Calls, sum))
	}
	return wrong
}

// plus adds the totals of two breakers.
func plus(a, b core.Totals) core.Totals {
	a.Calls += b.Calls
	a.Successes += b.Successes
	a.Failures += b.Failures
	a.Ignored += b.Ignored
	a.Refused += b.Refused
	a.InFlight += b.InFlight
	return a
}

// row is one layer in the table.
type row struct {
	layer                                         string
	calls, successes, failures, ignored, refusals uint64
	wrong                                         []string
}

// verdict is the last cell.
func (r row) verdict() string {
	if len(r.wrong) == 0 {
		return "ok"
	}
	return "WRONG: " + strings.Join(r.wrong, "; ")
}
