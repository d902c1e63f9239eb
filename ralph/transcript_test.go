package ralph_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/core/failsafe"
	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
	"github.com/blackbox4/switchgear/ralph/internal/transcripttest"
)

// dice are the same in every version of Go.
type dice uint64

func (d *dice) roll(n int) int {
	*d = *d*6364136223846793005 + 1442695040888963407
	return int(uint64(*d) >> 33 % uint64(n))
}

func (d *dice) one(in int) bool { return d.roll(in) == 0 }

// company is a supervisor of a transcript and what befalls its agents.
type company struct {
	name   string
	cfg    ralph.Config
	agents int
	tree   bool // each agent has one above
	sick   bool // the host is, now and then
	stored bool // it is closed and got back now and then
	ops    []int
}

// The operations of a transcript; a company's ops say which there are.
const (
	opStep = iota
	opSame
	opReply
	opFails
	opRefusals
	opIterate
	opFailed
	opExecute
	opOut
	opToken
	opNudge
	opTask
	opHandoff
	opPause
	opResume
	opReset
	opStop
	opBudget
	opDetect
	opSleep
	opLongSleep
)

func companies() []company {
	work := []int{opStep, opStep, opSame, opSame, opReply, opFails, opIterate, opFailed, opToken, opNudge, opSleep, opSleep}
	people := slices.Concat(work, []int{opPause, opResume, opReset, opStop, opDetect, opTask, opLongSleep, opRefusals, opExecute, opOut})
	budgets := detect.Budgets{Tokens: 900, Cost: 1, Iterations: 25, Hops: 9, ToolCalls: 60}
	return []company{
		{name: "defaults", agents: 3, ops: people},
		{name: "steady", agents: 4, ops: people, cfg: ralph.Config{Rules: steady()}},
		{name: "in shadow", agents: 3, ops: people, cfg: ralph.Config{Rules: steady(), Shadow: true, Budget: budgets}},
		{name: "with budgets", agents: 5, tree: true, ops: slices.Concat(people, []int{opBudget, opBudget, opHandoff}), cfg: ralph.Config{Budget: budgets, Events: 5}},
		{name: "who hand on", agents: 4, tree: true, ops: slices.Concat(work, []int{opHandoff, opHandoff, opHandoff, opHandoff, opResume, opTask}), cfg: ralph.Config{Rules: steady()}},
		{name: "on a sick host", agents: 3, sick: true, ops: people, cfg: ralph.Config{Rules: steady(), EscalationTimeout: 10 * time.Minute, MaxResumeAfter: 3 * time.Minute}},
		{name: "that is stored", agents: 4, tree: true, stored: true, ops: slices.Concat(people, []int{opBudget, opHandoff}), cfg: ralph.Config{Budget: budgets}},
		{name: "on probation now", agents: 2, ops: slices.Concat(work, []int{opRefusals, opOut, opSleep}), cfg: ralph.Config{
			Rules: steady(), Probation: ralph.Probation{Iterations: 2, Steps: 4, Tokens: 200, Cost: 0.1}, AutoResumeAfter: 5 * time.Second, MaxRecoveryAttempts: 5, ResumeFactor: 1.5, EscalationTimeout: -1,
		}},
		{name: "that nobody resumes", agents: 2, ops: people, cfg: ralph.Config{Rules: steady(), AutoResumeAfter: -1, Events: -1}},
		{name: "that are forgotten", agents: 9, tree: true, ops: slices.Concat(people, []int{opLongSleep, opLongSleep}), cfg: ralph.Config{Rules: steady(), MaxAgents: 5, Idle: time.Minute}},
	}
}

func (c *company) play(t *testing.T, w *paper) {
	begun := time.Now()
	cfg, h := c.cfg, new(host)
	cfg.ResumeJitter = -1
	if c.sick {
		cfg.Vitals = h
	}
	if c.stored {
		cfg.Path = filepath.Join(t.TempDir(), "ralph.db")
	}
	cfg.OnEvent = func(e ralph.Event) {
		fmt.Fprintf(w, "  %s %d %v>%v #%d until %s: %s\n", e.At.Sub(begun), e.Seq, e.From, e.To, e.Attempt, since(e.ResumeAt, begun), e)
	}
	s := reopen(t, cfg)
	d := dice(len(c.name))
	var out []core.Permit
	for n := range 160 {
		id := fmt.Sprint("a", d.roll(c.agents))
		o := ralph.Options{Name: "role" + id[1:]}
		if c.tree && id != "a0" {
			o.Parent = "a" + string((id[1]-'0')/2+'0')
			if _, err := s.Monitor(o.Parent, ralph.Options{}); err != nil {
				fmt.Fprintf(w, "%d monitor %s: %v\n", n, o.Parent, err)
			}
		}
		a, err := s.Monitor(id, o)
		if err != nil {
			fmt.Fprintf(w, "%d monitor %s: %v\n", n, id, err)
			if a, err = s.Agent(id); err != nil {
				continue
			}
		}
		if c.sick && d.one(6) {
			h.set([][]failsafe.Condition{nil, nil, {hot(failsafe.Medium)}, {hot(failsafe.Low), hot(failsafe.High)}}[d.roll(4)]...)
		}
		op := c.ops[d.roll(len(c.ops))]
		said := ""
		step := detect.Step{Tool: "tool" + word(d.roll(3)), Args: word(n), Output: word(n * 3), Tokens: int64(d.roll(60)), Cost: float64(d.roll(9)) / 100}
		if d.one(5) {
			step.Confidence = new(float64(d.roll(11)) / 10)
		}
		done := func(err error) {
			if err != nil {
				said = err.Error()
			}
		}
		seen := func(f detect.Finding, err error) {
			done(err)
			if f.Rule != 0 {
				said += fmt.Sprintf(" %v %v", f.Rule, f.Level)
			}
		}
		switch op {
		case opStep:
			seen(a.Observe(step))
		case opSame:
			for range 3 {
				step.Tool, step.Args, step.Output = "search", "{}", "none"
				seen(a.Observe(step))
			}
		case opReply:
			step.Tool, step.Args = "", ""
			step.Output = []string{"Let me think about this.", "Well, " + word(n), ""}[d.roll(3)]
			step.Reasoning, step.Own = d.one(4), d.one(6)
			seen(a.Observe(step))
		case opFails:
			step.Err, step.Exit, step.Kind = []string{"", "cannot " + word(d.roll(2))}[d.roll(2)], d.roll(2), detect.ErrorKind(max(d.roll(16)-10, 0))
			seen(a.Observe(step))
		case opRefusals:
			for range 2 {
				if err := a.AllowTool(t.Context(), "search", word(d.roll(2))); err != nil {
					said = err.Error()
					if r, ok := errors.AsType[*ralph.PausedError](err); ok {
						said += "\n    " + r.ToolResult() + " " + r.RetryAfter().String()
					}
				}
			}
		case opIterate:
			done(iterate(a, nil))
		case opFailed:
			done(iterate(a, []error{errWork, errWork, context.DeadlineExceeded, core.ErrOpen}[d.roll(4)]))
		case opExecute:
			done(a.Execute(t.Context(), func(context.Context) error {
				time.Sleep(apart(n) + time.Duration(d.roll(90))*time.Second)
				return []error{nil, nil, errWork, fmt.Errorf("gate: %w", core.ErrOpen), context.DeadlineExceeded, exited(3)}[d.roll(6)]
			}))
		case opOut:
			if p, err := a.Allow(t.Context()); err != nil {
				said = err.Error()
			} else if out = append(out, p.Move()); len(out) > 2 {
				out[0].Settle(t.Context(), []core.Outcome{core.Success, core.Failure, core.Ignored}[d.roll(3)])
				out = out[1:]
			}
		case opToken:
			said = fmt.Sprint(a.Progress(word(d.roll(12))))
			if d.one(3) {
				a.ProgressUnknown()
			}
		case opNudge:
			text, ok := a.Nudge()
			said = fmt.Sprintf("%q %v", text, ok)
		case opTask:
			a.NewTask(word(d.roll(5)))
		case opHandoff:
			to := fmt.Sprint("a", d.roll(c.agents))
			seen(s.Handoff(id, to, word(d.roll(3))+" is what this is about, have a look at it please"))
		case opPause:
			done(s.Pause(id, detect.Reason(d.roll(7)), "eve", "because"))
		case opResume:
			done(s.Resume(id, "eve", "go on"))
		case opReset:
			done(s.Reset(id))
		case opStop:
			done(s.Stop(id, "eve", "over"))
		case opBudget:
			o := ralph.Options{Name: "boss", Budget: detect.Budgets{Tokens: int64(d.roll(2000)), Iterations: d.roll(30)}}
			if id == "a0" {
				o.Tree = detect.Budgets{Tokens: int64(500 + d.roll(5000)), Cost: float64(1 + d.roll(5))}
			}
			done(s.Update(id, o))
		case opDetect:
			all, err := s.Detect(id)
			done(err)
			for _, one := range all {
				said += fmt.Sprintf("\n    %s %v %s %.6g of %.6g %s", one.Type, one.Severity, one.Message, one.Value, one.Threshold, one.Metadata["reason"])
			}
		case opSleep:
			time.Sleep(apart(n) + time.Duration(1+d.roll(40))*time.Second)
		case opLongSleep:
			time.Sleep(apart(n) + time.Duration(1+d.roll(20))*time.Minute)
		}
		synctest.Wait()
		fmt.Fprintf(w, "%d %s %s %d: %s\n", n, time.Since(begun), id, op, said)
		if n%40 == 39 {
			c.look(t, w, s, n == 79)
			if c.stored {
				for i := range out {
					out[i].Settle(t.Context(), core.Ignored)
				}
				out = nil
				closeNow(t, s)
				time.Sleep(apart(n) + time.Duration(d.roll(3))*time.Minute)
				s = reopen(t, cfg)
				synctest.Wait()
				c.look(t, w, s, false)
			}
		}
	}
	for i := range out {
		out[i].Settle(t.Context(), core.Success)
	}
	c.look(t, w, s, true)
	closeNow(t, s)
}

// paper is written on by several goroutines, one after the other.
type paper struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *paper) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

// apart keeps what the test does from coming at the very moment when a timer is due,
// where either might be first.
func apart(n int) time.Duration { return time.Duration(n+1) * time.Microsecond }

// exited is an error like that of a process.
type exited int

func (e exited) Error() string { return "it exited" }
func (e exited) ExitCode() int { return int(e) }

func since(at, begun time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return at.Sub(begun).String()
}

// look writes what can be read of the agents, all of it or as a person would.
func (c *company) look(t *testing.T, w *paper, s *ralph.Supervisor, all bool) {
	for _, st := range s.Statuses() {
		events := len(st.Events)
		text, err := s.Explain(st.ID)
		if err != nil {
			t.Fatal(err)
		}
		st.Events, st.Cause = nil, ralph.Cause{}
		line, err := json.Marshal(st)
		if err != nil {
			t.Fatal(err)
		}
		text, _, _ = strings.Cut(text, "\n")
		fmt.Fprintf(w, "  %s\n", text)
		if all {
			fmt.Fprintf(w, "  %s, %d events\n", line, events)
		}
	}
	sorted := func(m map[[2]string]uint64) (all []string) {
		for k, v := range m {
			all = append(all, fmt.Sprint(k, v))
		}
		slices.Sort(all)
		return all
	}
	edges := slices.Sorted(maps.Values(s.AgentHandoffs()))
	states, stats := s.AgentStates(), s.Stats()
	fmt.Fprintln(w, " ", stats.Agents, stats.States, states, sorted(s.AgentSteps()), sorted(s.AgentEscalations()), edges, s.AgentConfidence())
}

// TestCompaniesAreAsTheyWere: all that befalls the agents of some supervisors, what is
// told of it, and what can be read after it.
func TestCompaniesAreAsTheyWere(t *testing.T) {
	var all paper
	for _, c := range companies() {
		synctest.Test(t, func(t *testing.T) {
			fmt.Fprintln(&all, "agents", c.name)
			c.play(t, &all)
		})
	}
	transcripttest.Compare(t, "companies.txt", all.text.Bytes())
}
