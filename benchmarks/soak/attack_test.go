package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/blackbox4/switchgear/core"
)

// direct is a target that is nothing but a breaker.
func direct() (t *target, gate func() core.Gate) {
	registry := new(core.Registry)
	gate = func() core.Gate { return registry.Gate("route") }
	sick := false
	return &target{name: "route", registry: registry, key: "route", sick: func(s bool) { sick = s }, honest: func(ctx context.Context) (bool, error) {
		p, err := gate().Allow(ctx)
		if err != nil {
			return true, nil //nolint:nilerr // a refusal is told by the bool
		}
		if sick {
			p.Settle(ctx, core.Failure)
			return false, errSick
		}
		p.Settle(ctx, core.Success)
		return false, nil
	}}, gate
}

// TestAnAttackIsJudgedByTheHonestClient: by its refusals alone, in both states.
func TestAnAttackIsJudgedByTheHonestClient(t *testing.T) {
	tests := []struct {
		name             string
		strike           func(core.Gate) (func(), error)
		closed, halfOpen string // part of the verdict
	}{
		{"ignored", func(g core.Gate) (func(), error) {
			p, err := g.Allow(context.Background())
			if err == nil {
				p.Settle(context.Background(), core.Ignored)
			}
			return nil, nil
		}, "ok", "ok"},
		{"fails", func(g core.Gate) (func(), error) {
			p, err := g.Allow(context.Background())
			if err == nil {
				p.Settle(context.Background(), core.Failure)
			}
			return nil, nil
		}, "it opened", "it opened"},
		{"holds", func(g core.Gate) (func(), error) {
			var release func()
			if p, err := g.Allow(context.Background()); err == nil {
				held := p.Move()
				release = func() { held.Settle(context.Background(), core.Ignored) }
			}
			return release, nil
		}, "ok", "places of probes were held"},
		{"cannot", func(core.Gate) (func(), error) { return nil, io.ErrClosedPipe }, io.ErrClosedPipe.Error(), io.ErrClosedPipe.Error()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var all []besieged
				for halfOpen, want := range map[bool]string{false: tt.closed, true: tt.halfOpen} {
					target, gate := direct()
					a := attack{tt.name, target, func(context.Context) (func(), error) { return tt.strike(gate()) }}
					b := a.besiege(t.Context(), halfOpen)
					if v := b.verdict(); !strings.Contains(v, want) || (want == "ok") != (v == "ok") {
						t.Errorf("half-open %v: %q, want %q; %+v", halfOpen, v, want, b)
					}
					all = append(all, b)
				}
				var out strings.Builder
				err := writeAttacks(&out, all)
				if (err == nil) != (tt.closed == "ok" && tt.halfOpen == "ok") {
					t.Errorf("the command's error is %v", err)
				}
				wants(t, []string{out.String()}, "half-open", "closed", tt.name)
			})
		})
	}
}

// TestAnHonestClientThatIsNotServedIsTold also where no breaker has refused it.
func TestAnHonestClientThatIsNotServedIsTold(t *testing.T) {
	target, _ := direct()
	calls := 0
	served := target.honest
	target.honest = func(ctx context.Context) (bool, error) {
		if calls++; calls > 25 {
			return false, errors.New("the server is gone")
		}
		return served(ctx)
	}
	a := attack{"none", target, func(context.Context) (func(), error) { return nil, nil }}
	if v := a.besiege(t.Context(), false).verdict(); !strings.Contains(v, "the server is gone") {
		t.Errorf("the verdict is %q", v)
	}
}

// TestEveryAttackReachesItsServer: it strikes without an error, and each target
// serves an honest client before.
func TestEveryAttackReachesItsServer(t *testing.T) {
	all, done, err := allAttacks()
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	const few = 60
	if len(all) < few {
		t.Errorf("there are only %d attacks", len(all))
	}
	seen := make(map[string]bool)
	for _, a := range all {
		name := a.name + " on " + a.target.name
		if seen[name] {
			t.Errorf("%s is there twice", name)
		}
		seen[name] = true
		b, err := a.target.registry.Get(a.target.key)
		if err != nil {
			t.Fatal(err)
		}
		b.Reset()
		before := b.Snapshot().Totals.Calls
		if refused, err := a.target.honest(t.Context()); refused || err != nil {
			t.Errorf("%s: the honest client: refused %v, %v", name, refused, err)
		}
		if b.Snapshot().Totals.Calls == before {
			t.Errorf("%s: no breaker named %q looks at an honest call", name, a.target.key)
		}
		release, err := a.strike(t.Context())
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if release != nil {
			release()
		}
	}
}
