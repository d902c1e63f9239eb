package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// screen is where the lines go. On a terminal the line of the current second
// is written over that of the one before, below everything else; elsewhere
// every line stays. It is safe for concurrent use.
type screen struct {
	out          io.Writer
	live, colour bool

	mu     sync.Mutex
	status string // the line to be written over, if there is one
}

const (
	clearLine = "\r\x1b[K"
	red       = "31"
	green     = "32"
	yellow    = "33"
)

func (s *screen) line(format string, args ...any) {
	text := fmt.Sprintf(format, args...) + "\n"
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.status != "" {
		text = clearLine + text + s.status
	}
	_, _ = io.WriteString(s.out, text) // there is nowhere to tell of an error
}

// replace writes a line over the one that replace wrote last.
func (s *screen) replace(format string, args ...any) {
	if !s.live {
		s.line(format, args...)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = fmt.Sprintf(format, args...)
	_, _ = io.WriteString(s.out, clearLine+s.status)
}

// keep leaves the line that replace wrote last where it is.
func (s *screen) keep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.status != "" {
		s.status = ""
		_, _ = io.WriteString(s.out, "\n")
	}
}

// state returns a state in its colour, padded to a width.
func (s *screen) state(state core.State, width int) string {
	text := fmt.Sprintf("%-*s", width, state)
	if !s.colour {
		return text
	}
	colour := map[core.State]string{core.Closed: green, core.Open: red, core.HalfOpen: yellow}[state]
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// report tells what happens, and in the end what it came to.
type report struct {
	*screen
	began time.Time
}

func (r *report) at(t time.Time) string { return fmt.Sprintf("%6.2fs", t.Sub(r.began).Seconds()) }

func (r *report) intro(with *fleet, p pace) {
	r.line("Two fleets of %d clients call %s, one of them through a breaker.", clientsPerFleet, with.up.addr)
	r.line("A line every %v tells of that fleet: the server, the breaker, and of the", p.of(time.Second))
	r.line("calls that ended meanwhile how many were made, failed, and were refused. p99")
	r.line("is what the clients measured of them, refusals not included.")
	r.line("")
}

// second tells of the last second.
func (r *report) second(up condition, state core.State, s second) {
	p99 := "-"
	if d, ok := percentile(s.took, 0.99); ok {
		p99 = short(d)
	}
	r.replace("%s  %-7s  %s  calls %3d  failures %3d  refused %3d  p99 %s",
		r.at(time.Now()), up, r.state(state, 9), s.calls, s.failures, s.refused, p99)
}

// server tells what the server does from now on.
func (r *report) server(c condition, p pace) {
	does := map[condition]string{
		healthy:  "answers 200 within " + short(p.of(healthyDelay)),
		slow:     "answers 200, but only after " + short(p.of(slowDelay)),
		failing:  "answers 500, after " + short(p.of(failingDelay)),
		refusing: "is down, connections are refused",
	}[c]
	r.line("%s  -- the server %s", r.at(time.Now()), does)
}

// transition tells of a change of the breaker's state, with its reason.
func (r *report) transition(t core.Transition, cfg *core.Config) {
	r.line("%s  >> %s -> %s: %s", r.at(t.At), r.state(t.From, 0), r.state(t.To, 0), reason(t, cfg))
}

// reason puts into words why a breaker changed its state, and what follows.
func reason(t core.Transition, cfg *core.Config) string {
	why := t.Reason()
	if t.Err != nil {
		why += ": " + t.Err.Error()
	}
	switch t.To {
	case core.Open:
		why += ", so no calls for " + short(t.RetryAt.Sub(t.At))
	case core.HalfOpen:
		why += fmt.Sprintf(", %d probes at a time", cfg.HalfOpenMaxCalls)
	case core.Closed:
	}
	return why
}

// summary is what a run came to.
type summary struct {
	lasted, sick  time.Duration
	with, without totals
	// served is how many calls the server itself counted while it was sick.
	servedWith, servedWithout int

	state       core.State        // in the end
	moments     []moment          // what the server did
	transitions []core.Transition // of the breaker
	// From the server turning sick to the breaker opening, and from its being
	// well again to the breaker closing for good; negative if it never did.
	toOpen, toRecover time.Duration

	explained string // the breaker's own words
	durations core.Durations
}

// sumUp reads everything once the clients have stopped.
func (r *report) sumUp(b *core.Breaker, with, without *fleet) *summary {
	snap := b.Snapshot()
	up := with.up
	s := &summary{
		lasted: time.Since(r.began), with: with.all, without: without.all,
		servedWith: up.served[with.name], servedWithout: up.served[without.name],
		state: snap.State, moments: up.moments, transitions: snap.Transitions, toOpen: -1, toRecover: -1,
		explained: b.Explain(), durations: snap.Durations,
	}
	fell, well := s.moments[1].since, s.moments[len(s.moments)-1].since
	s.sick = well.Sub(fell)
	for _, t := range s.transitions {
		if t.To == core.Open && s.toOpen < 0 && t.At.After(fell) {
			s.toOpen = t.At.Sub(fell)
		}
		if t.To == core.Closed && t.At.After(well) {
			s.toRecover = t.At.Sub(well)
		}
	}
	return s
}

// table prints the summary.
func (r *report) table(s *summary) {
	r.keep()
	r.line("")
	r.line("The server was sick for %s of %s. In that time it was sent %d calls by the",
		short(s.sick), short(s.lasted), s.with.sickSent())
	r.line("fleet with the breaker, and %d by the one without.", s.without.sickSent())
	r.line("")
	row := func(what, with, without string) { r.line("%-52s %12s %12s", what, with, without) }
	count := strconv.Itoa
	p99 := func(t totals) string { d, _ := percentile(t.sickTook, 0.99); return short(d) }
	a, b := &s.with, &s.without

	row("", "with breaker", "without")
	row("calls attempted in all", count(a.calls), count(b.calls))
	row("  answered 200, however late", count(a.answered), count(b.answered))
	row("calls attempted while the server was sick", count(a.sickCalls), count(b.sickCalls))
	row("  spared: refused by the breaker at once", count(a.sickRefused), "-")
	row("  sent to the sick server", count(a.sickSent()), count(b.sickSent()))
	row("    arrived, by its own count (the rest: port closed)", count(s.servedWith), count(s.servedWithout))
	row("    failed", count(a.sickFailed), count(b.sickFailed))
	row("  time spent waiting for it, all clients together", short(a.sickWaited), short(b.sickWaited))
	row("  a call took, mean", short(mean(a.sickTook)), short(mean(b.sickTook)))
	row("  a call took, p99", p99(*a), p99(*b))
	row("calls refused though the server was well", count(a.needless), "-")
	r.line("%s", strings.Repeat("-", 78))
	row("time to open, from when the server fell sick", orNever(s.toOpen), "-")
	row("time to recover, from when the server was well", orNever(s.toRecover), "-")
	r.line("")
	r.line("What the breaker says of itself, by Explain and Snapshot:")
	r.line("  %s", s.explained)
	r.line("  %d calls, mean %s, p50 %s, p99 %s",
		s.durations.Count, short(s.durations.Mean), short(s.durations.P50), short(s.durations.P99))
}

func orNever(d time.Duration) string {
	if d < 0 {
		return "never"
	}
	return short(d)
}

// short writes a duration the way a person would.
func short(d time.Duration) string {
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
	}
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
