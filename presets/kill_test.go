package presets_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

// childVar makes the test binary the program of childProcess: what it is to do, how
// much later it is to be, and the state file.
const childVar = "SWITCHGEAR_TEST_CHILD"

func TestMain(m *testing.M) {
	if what := strings.SplitN(os.Getenv(childVar), " ", 3); len(what) == 3 {
		childProcess(what[0], what[1], what[2])
		return
	}
	os.Exit(m.Run())
}

// childProcess makes one call of a dependency that is down, tells what became of it,
// and lives on until it is killed.
func childProcess(what, later, path string) {
	ahead, err := time.ParseDuration(later)
	if err != nil {
		panic(err)
	}
	registry := new(presets.Registry)
	policy := presets.Policy{
		Config:   core.Config{FailureThreshold: 1, Timeout: time.Hour, Now: func() time.Time { return time.Now().Add(ahead) }},
		Registry: registry,
	}
	call := presets.MustProtectFunc("payments", policy, func(context.Context) error {
		if what == "fail" {
			return errDown
		}
		return nil
	})
	if err := registry.KeepState(path); err != nil {
		panic(err)
	}
	err = call(context.Background())
	if e, ok := errors.AsType[*core.OpenError](err); ok {
		fmt.Println("refused until", e.RetryAt.Format(time.RFC3339Nano), "for", e.Reason)
	} else {
		breaker, _ := registry.Breakers().Get("payments")
		fmt.Println("called;", breaker.State(), "until", breaker.Snapshot().RetryAt.Format(time.RFC3339Nano))
	}
	time.Sleep(time.Hour)
}

// A program is killed while a breaker of it is open; the next one refuses until the
// break would have been over, and then asks with a probe.
func TestAnOpenBreakerSurvivesAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	// run runs a program until it has told, and a bit longer if need be, and kills it.
	run := func(what string, later time.Duration, ready func() bool) string {
		t.Helper()
		program := exec.CommandContext(t.Context(), os.Args[0])
		program.Env = append(os.Environ(), childVar+"="+what+" "+later.String()+" "+path)
		program.Stderr = os.Stderr
		out, err := program.StdoutPipe()
		must(t, err)
		must(t, program.Start())
		told, err := bufio.NewReader(out).ReadString('\n')
		if err == nil {
			eventually(t, ready, func() string { return "the state file is not written" })
		}
		_ = program.Process.Kill() // SIGKILL: nothing of it runs any more
		_ = program.Wait()
		if err != nil {
			t.Fatalf("it told %q, %v", told, err)
		}
		return strings.TrimSpace(told)
	}
	written := func() bool {
		text, err := os.ReadFile(path)
		return err == nil && strings.Contains(string(text), "payments")
	}
	until := func(told, after string) time.Time {
		t.Helper()
		_, text, ok := strings.Cut(told, after)
		text, _, _ = strings.Cut(text, " ")
		at, err := time.Parse(time.RFC3339Nano, text)
		if !ok || err != nil {
			t.Fatalf("it told %q, want a time after %q: %v", told, after, err)
		}
		return at
	}
	end := until(run("fail", 0, written), "called; open until ")
	for range 2 { // the second is restarted before anything happened
		told := run("ask", 30*time.Minute, written)
		if got := until(told, "refused until "); got.Sub(end).Abs() > time.Second || !strings.Contains(told, errDown.Error()) {
			t.Errorf("%q, want a refusal until %v, with the reason", told, end)
		}
	}
	if told := run("ask", time.Hour+time.Second, func() bool { return true }); !strings.HasPrefix(told, "called; half-open") {
		t.Errorf("after its break: %q, want a probe", told)
	}
}
