package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/blackbox4/switchgear/core"
)

const (
	clientsPerFleet = 12
	rest            = 100 * time.Millisecond // between two calls of a client, about
)

// fleet is some clients that do the same. Each makes one call after another.
type fleet struct {
	name   string
	gate   core.Gate // nil for the fleet without a breaker
	up     *upstream
	pace   pace
	client *http.Client

	mu   sync.Mutex
	last second // since lastSecond was asked
	all  totals
}

// second is what became of the calls that ended in a second.
type second struct {
	calls, failures int // made, and of these failed
	refused         int // not made: the breaker refused them
	took            []time.Duration
}

// totals is what became of all calls of a fleet. A call belongs to the time at
// which it began.
type totals struct {
	calls, refused, answered int // answered: with 200, however late

	// While the server was sick.
	sickCalls, sickRefused, sickFailed int
	sickTook                           []time.Duration // of each call, refused ones included
	sickWaited                         time.Duration   // the sum of it, without the refused ones

	// Refused though the server was healthy: what the breaker costs.
	needless int
}

func (t *totals) sickSent() int { return t.sickCalls - t.sickRefused }

func newFleet(name string, gate core.Gate, up *upstream, p pace) *fleet {
	// A transport of its own, so that the fleets do not share connections.
	transport := &http.Transport{DialContext: up.net.dial, MaxIdleConnsPerHost: clientsPerFleet}
	return &fleet{name: name, gate: gate, up: up, pace: p, client: &http.Client{Transport: transport}}
}

// start starts the clients; they stop when ctx ends.
func (f *fleet) start(ctx context.Context, running *sync.WaitGroup) {
	for range clientsPerFleet {
		running.Go(func() {
			for pause(ctx, f.pace.of(rest/2+rand.N(rest))) {
				began, met := time.Now(), f.up.condition()
				err := f.call(ctx)
				if ctx.Err() != nil {
					return // this call was cut short, it says nothing
				}
				f.record(met, time.Since(began), err)
			}
		})
	}
}

func (f *fleet) hangUp() { f.client.CloseIdleConnections() }

// call makes one call: through the breaker, or without it.
func (f *fleet) call(ctx context.Context) error {
	if f.gate != nil {
		// This is all it takes. The function gets a context with the
		// breaker's CallTimeout; its error tells the breaker how it went. If
		// the breaker refuses, the function is not called and the error is a
		// *core.OpenError, which errors.Is core.ErrOpen.
		_, err := core.Do(ctx, f.gate, f.get)
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, f.pace.of(callTimeout)) // the same, for fairness
	defer cancel()
	_, err := f.get(ctx)
	return err
}

// get asks the server and returns its answer. To net/http an answer of 500 is
// as good as any, so this makes it an error: otherwise the breaker would take
// it for a success.
func (f *fleet) get(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+f.up.addr+"/"+f.name, http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body) // also lets the connection be used again
	if err != nil {
		return "", err
	}
	if resp.StatusCode >= http.StatusInternalServerError {
		return "", fmt.Errorf("the server answered %s", resp.Status)
	}
	return string(body), nil
}

// record counts a call that began when the server was in condition met.
func (f *fleet) record(met condition, took time.Duration, err error) {
	refused := errors.Is(err, core.ErrOpen)
	f.mu.Lock()
	defer f.mu.Unlock()

	f.all.calls++
	switch {
	case refused:
		f.all.refused++
		f.last.refused++
	default:
		f.last.calls++
		f.last.took = append(f.last.took, took)
		if err != nil {
			f.last.failures++
		} else {
			f.all.answered++
		}
	}

	if !met.sick() {
		if refused {
			f.all.needless++
		}
		return
	}
	f.all.sickCalls++
	f.all.sickTook = append(f.all.sickTook, took)
	switch {
	case refused:
		f.all.sickRefused++
	default:
		f.all.sickWaited += took
		if err != nil {
			f.all.sickFailed++
		}
	}
}

// lastSecond returns what ended since it was last called.
func (f *fleet) lastSecond() second {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.last
	f.last = second{}
	return s
}

// percentile returns the duration that the share q of took does not exceed,
// and false without any.
func percentile(took []time.Duration, q float64) (time.Duration, bool) {
	if len(took) == 0 {
		return 0, false
	}
	sorted := slices.Sorted(slices.Values(took))
	return sorted[max(int(math.Ceil(q*float64(len(sorted))))-1, 0)], true
}

func mean(took []time.Duration) time.Duration {
	var sum time.Duration
	for _, d := range took {
		sum += d
	}
	return sum / time.Duration(max(len(took), 1))
}
