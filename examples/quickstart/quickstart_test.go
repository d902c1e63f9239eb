package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// The tests run the program on the clock of a bubble and a network in memory, so
// that nothing depends on how fast the machine is. TestProgram runs it in earnest.

var (
	secondLine     = regexp.MustCompile(`(?m)^ *\d+\.\d\ds  (healthy|slow|500s|down) +(closed|open|half-open) +calls +\d+  failures +\d+  refused +\d+  p99 +(-|[\d.]+ m?s)$`)
	transitionLine = regexp.MustCompile(`(?m)^ *\d+\.\d\ds  >> [a-z-]+ -> [a-z-]+: \S.*$`)
	serverLine     = regexp.MustCompile(`(?m)^ *\d+\.\d\ds  -- the server .+$`)
)

// memory is a network within the process: everything arrives at once.
type memory struct {
	mu       sync.Mutex
	listener *pipes // nil while nothing listens
}

func (m *memory) network() network {
	return network{listen: m.listen, dial: m.dial}
}

func (m *memory) listen(string) (net.Listener, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.listener != nil {
		return nil, errors.New("the address is in use")
	}
	m.listener = &pipes{network: m, conns: make(chan net.Conn), closed: make(chan struct{})}
	return m.listener, nil
}

func (m *memory) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	m.mu.Lock()
	listener := m.listener
	m.mu.Unlock()
	if listener == nil {
		return nil, errors.New("connection refused")
	}
	ours, theirs := net.Pipe()
	select {
	case listener.conns <- theirs:
		return ours, nil
	case <-listener.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// pipes is a listener whose connections are pipes.
type pipes struct {
	network *memory
	conns   chan net.Conn
	once    sync.Once
	closed  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() {
		p.network.mu.Lock()
		defer p.network.mu.Unlock()
		p.network.listener = nil
		close(p.closed)
	})
	return nil
}

func (p *pipes) Addr() net.Addr { return address{} }

type address struct{}

func (address) Network() string { return "memory" }
func (address) String() string  { return "memory.test:80" }

func TestWhatTheBreakerChanges(t *testing.T) {
	for _, speed := range []pace{1, 4} {
		synctest.Test(t, func(t *testing.T) { // which fails if a goroutine is left
			var out bytes.Buffer
			s, err := run(t.Context(), &screen{out: &out}, speed, new(memory).network())
			if err != nil {
				t.Fatal(err)
			}
			planned := time.Duration(0)
			for _, part := range schedule {
				planned += speed.of(time.Duration(part.ticks) * time.Second)
			}
			if s.lasted != planned {
				t.Errorf("it took %v, want %v", s.lasted, planned)
			}
			checkRecords(t, s)
			checkLines(t, s, out.String())
			checkStory(t, s)
			checkFleets(t, s)
			if t.Failed() {
				t.Log(out.String())
			}
		})
	}
}

// checkRecords checks that what was measured fits together.
func checkRecords(t *testing.T, s *summary) {
	t.Helper()
	if len(s.moments) != len(schedule) {
		t.Fatalf("the server did %d things, want %d", len(s.moments), len(schedule))
	}
	state := core.Closed
	for i, tr := range s.transitions {
		if tr.From != state || tr.Seq != uint64(i+1) {
			t.Errorf("transition %d is number %d, from %v, but the state was %v", i+1, tr.Seq, tr.From, state)
		}
		state = tr.To
	}
	if state != s.state || state != core.Closed {
		t.Errorf("in the end the breaker is %v, and the last transition is to %v", s.state, state)
	}
	if with := &s.with; with.refused != with.sickRefused+with.needless {
		t.Errorf("%d refused is not %d while sick and %d while well", with.refused, with.sickRefused, with.needless)
	}
	for _, f := range []*totals{&s.with, &s.without} {
		if f.answered == 0 || len(f.sickTook) != f.sickCalls {
			t.Errorf("%d answered, %d durations of %d calls while sick", f.answered, len(f.sickTook), f.sickCalls)
		}
	}
}

// checkStory checks that the breaker did what it is for.
func checkStory(t *testing.T, s *summary) {
	t.Helper()
	fell, failed, well := s.moments[1].since, s.moments[2].since, s.moments[4].since
	var whileSlow, whileFailing bool
	for _, tr := range s.transitions {
		if tr.To == core.Open {
			whileSlow = whileSlow || !tr.At.Before(fell) && tr.At.Before(failed)
			whileFailing = whileFailing || !tr.At.Before(failed) && tr.At.Before(well)
		}
	}
	if !whileSlow || !whileFailing {
		t.Errorf("opened while the server was slow: %t; while it failed or was down: %t", whileSlow, whileFailing)
	}
	if n := len(s.transitions); n < 3 || s.transitions[n-1].From != core.HalfOpen || s.transitions[n-1].Cause != core.CauseProbesPassed {
		t.Errorf("the breaker did not close from half-open by its probes: %+v", s.transitions)
	}
	if s.toOpen < 0 || s.toOpen > s.sick {
		t.Errorf("time to open is %v, the server was sick for %v", s.toOpen, s.sick)
	}
	if s.toRecover < 0 || s.toRecover > s.lasted-s.sick {
		t.Errorf("time to recover is %v of %v", s.toRecover, s.lasted)
	}
}

func checkFleets(t *testing.T, s *summary) {
	t.Helper()
	with, without := &s.with, &s.without
	if 3*with.sickSent() > without.sickSent() || 3*s.servedWith > s.servedWithout {
		t.Errorf("with the breaker %d calls were sent to the sick server and %d reached it; without, %d and %d",
			with.sickSent(), s.servedWith, without.sickSent(), s.servedWithout)
	}
	if with.sickWaited >= without.sickWaited || mean(with.sickTook) >= mean(without.sickTook) {
		t.Errorf("with the breaker callers waited for %v, %v a call; without, %v and %v",
			with.sickWaited, mean(with.sickTook), without.sickWaited, mean(without.sickTook))
	}
	if with.sickRefused == 0 || without.refused != 0 {
		t.Errorf("with the breaker %d calls were refused while the server was sick; without, %d in all", with.sickRefused, without.refused)
	}
	if with.sickFailed == 0 || without.sickFailed == 0 {
		t.Errorf("with the breaker %d calls failed, without %d", with.sickFailed, without.sickFailed)
	}
}

func checkLines(t *testing.T, s *summary, text string) {
	t.Helper()
	if strings.ContainsAny(text, "\x1b\r") {
		t.Error("the output for no terminal has escape codes")
	}
	lines := make(map[string]int)
	for _, m := range secondLine.FindAllStringSubmatch(text, -1) {
		lines[m[1]]++
	}
	if lines["slow"] != 3 || lines["500s"] != 3 || lines["down"] != 3 || lines["healthy"] < 7 {
		t.Errorf("lines for each second, by condition of the server: %v", lines)
	}
	if n := len(transitionLine.FindAllString(text, -1)); n != len(s.transitions) {
		t.Errorf("%d lines for %d transitions", n, len(s.transitions))
	}
	if n := len(serverLine.FindAllString(text, -1)); n != len(schedule) {
		t.Errorf("%d lines for %d conditions of the server", n, len(schedule))
	}
	for _, want := range []string{"with breaker", "spared", "sent to the sick server", "time to open", "time to recover", "consecutive failures"} {
		if !strings.Contains(text, want) {
			t.Errorf("the output does not say %q", want)
		}
	}
}

// onLine calls do whenever what is written contains mark.
type onLine struct {
	mark string
	do   func()
	got  bytes.Buffer
}

func (w *onLine) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(w.mark)) {
		w.do()
	}
	return w.got.Write(p)
}

func TestInterrupted(t *testing.T) {
	for _, mark := range []string{"Two fleets", "failures", "connections are refused"} {
		t.Run(mark, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // which fails if a goroutine is left
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				out := &onLine{mark: mark, do: cancel}
				s, err := run(ctx, &screen{out: out, live: true}, 10, new(memory).network())
				if s != nil || !errors.Is(err, context.Canceled) {
					t.Errorf("got %v, %v", s, err)
				}
				if text := out.got.String(); strings.Contains(text, "time to open") || !strings.HasSuffix(text, "\n") {
					t.Errorf("the output ends in %q", text[max(len(text)-100, 0):])
				}
			})
		})
	}
}

// TestProgram builds the program and runs it as a person would.
func TestProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs a program")
	}
	ctx := t.Context()
	program := filepath.Join(t.TempDir(), "quickstart.exe") // the ending that every system takes
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}

	t.Run("to the end", func(t *testing.T) {
		var stdout, stderr bytes.Buffer
		cmd := exec.CommandContext(ctx, program, "-speed", "6")
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil || stderr.Len() > 0 {
			t.Fatalf("%v\n%s", err, &stderr)
		}
		text := stdout.String()
		// How fast the breaker gets there is up to the machine.
		for _, want := range []string{"connections are refused", "with breaker", "spared", "time to open", "time to recover"} {
			if !strings.Contains(text, want) {
				t.Errorf("the output does not say %q:\n%s", want, text)
			}
		}
		if strings.Contains(text, "\x1b") {
			t.Errorf("the output to a pipe has escape codes:\n%q", text)
		}
	})

	t.Run("a wrong speed", func(t *testing.T) {
		for _, speed := range []string{"0", "-1", "11", "NaN", "fast"} {
			out, err := exec.CommandContext(ctx, program, "-speed", speed).CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 2 || len(out) == 0 {
				t.Errorf("-speed %s: %v, %s", speed, err, out)
			}
		}
	})

	t.Run("interrupted", func(t *testing.T) {
		if runtime.GOOS == "windows" {
			t.Skip("there is no os.Interrupt to send")
		}
		cmd := exec.CommandContext(ctx, program)
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(stdout)
		if _, err := lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(lines); err != nil || strings.Contains(string(rest), "time to open") {
			t.Errorf("%v\n%s", err, rest)
		}
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 130 {
			t.Errorf("it ended with %v", err)
		}
	})
}
