package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// attack is something that one client can do to a server.
type attack struct {
	name   string
	target *target
	// strike does it once. What it leaves open, a connection that neither sends
	// nor reads, is kept until release, or nil, is called.
	strike func(ctx context.Context) (release func(), err error)
}

// target is a route or a method of a server with default options.
type target struct {
	name     string
	registry *core.Registry
	key      string
	// honest makes one call of a client that does nothing wrong, and reports
	// whether the breaker refused it. An error says that it was not served for
	// another reason.
	honest func(ctx context.Context) (refused bool, err error)
	// sick makes the handler fail, so that the breaker opens.
	sick func(bool)
}

// besieged is what became of the honest client in one state of the breaker.
type besieged struct {
	attack, target, state string
	served, refused       int
	opened                string // why the breaker opened, if it did
	err                   error
}

func (b besieged) verdict() string {
	switch {
	case b.refused > 0:
		return "WRONG: the honest client was refused; " + b.opened
	case b.err != nil:
		return "WRONG: " + b.err.Error()
	}
	return "ok"
}

// attackAll makes every attack on a closed and on a half-open breaker.
func attackAll(ctx context.Context, out, progress io.Writer) error {
	attacks, done, err := allAttacks()
	if err != nil {
		return err
	}
	defer done()
	var all []besieged
	for _, a := range attacks {
		fmt.Fprintf(progress, "attack: %s on %s\n", a.name, a.target.name)
		for _, halfOpen := range []bool{false, true} {
			all = append(all, a.besiege(ctx, halfOpen))
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	}
	return writeAttacks(out, all)
}

func writeAttacks(out io.Writer, all []besieged) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "attack\ton\tbreaker\thonest calls served\trefused\tresult")
	var wrong []error
	for _, b := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\n", b.attack, b.target, b.state, b.served, b.refused, b.verdict())
		if v := b.verdict(); v != "ok" {
			wrong = append(wrong, fmt.Errorf("row %q on %s, %s, is wrong: %s", b.attack, b.target, b.state, strings.TrimPrefix(v, "WRONG: ")))
		}
	}
	return errors.Join(append(wrong, w.Flush())...)
}

// besiege strikes again and again, and makes honest calls after each burst, while
// what was left open is released, and after that.
func (a attack) besiege(ctx context.Context, halfOpen bool) besieged {
	// In a burst are more strikes than the five failures that open by default, and
	// no honest call, which would be a success among them or close the breaker.
	const strikes, burst = 12, 6
	result := besieged{attack: a.name, target: a.target.name, state: "closed"}
	breaker, err := a.target.registry.Get(a.target.key)
	if err != nil {
		result.err = err
		return result
	}
	breaker.Reset()
	const usual = 20 // honest calls before, by which an adapter may know how long they take
	for range usual {
		if _, err := a.target.honest(ctx); err != nil {
			result.err = fmt.Errorf("an honest call before the attack: %w", err)
			return result
		}
	}
	if halfOpen {
		result.state = "half-open"
		if result.err = a.target.halfOpen(ctx, breaker); result.err != nil {
			return result
		}
	}
	opened := openings(breaker)
	honest := func() {
		refused, err := a.target.honest(ctx)
		switch {
		case refused:
			result.refused++
		case err != nil:
			result.err = errors.Join(result.err, fmt.Errorf("an honest call was not served: %w", err))
		default:
			result.served++
		}
	}
	var releases []func()
	for i := range strikes {
		release, err := a.strike(ctx)
		if err != nil {
			result.err = errors.Join(result.err, fmt.Errorf("strike %d: %w", i+1, err))
			break
		}
		if release != nil {
			releases = append(releases, release)
		}
		if (i+1)%burst == 0 {
			honest()
		}
	}
	for _, release := range releases {
		release()
		honest()
	}
	settle(breaker)
	for range strikes {
		honest()
	}
	result.opened = "it did not open: places of probes were held"
	if openings(breaker) > opened {
		result.opened = why(breaker)
	}
	return result
}

// halfOpen opens the breaker by failures of the handler, and makes it half-open.
func (t *target) halfOpen(ctx context.Context, b *core.Breaker) error {
	t.sick(true)
	const enough = 20
	for range enough {
		if refused, _ := t.honest(ctx); refused {
			break
		}
	}
	t.sick(false)
	if err := b.CheckHealth(ctx, func(context.Context) error { return nil }); err != nil {
		return err
	}
	if state := b.State(); state != core.HalfOpen {
		return fmt.Errorf("the breaker is %v and should be half-open", state)
	}
	return nil
}

// settle waits for handlers whose client has gone.
func settle(b *core.Breaker) {
	const (
		patience = 3 * time.Second
		often    = 5 * time.Millisecond
	)
	for range patience / often {
		if b.Snapshot().Totals.InFlight == 0 {
			return
		}
		time.Sleep(often)
	}
}

func openings(b *core.Breaker) (n uint64) {
	for _, c := range b.Snapshot().Changes {
		if c.To == core.Open {
			n += c.Count
		}
	}
	return n
}

// why says why the breaker opened the last time.
func why(b *core.Breaker) string {
	said := ""
	for _, t := range b.Snapshot().Transitions {
		if t.To == core.Open {
			said = "it opened: " + t.Reason()
		}
	}
	return said
}
