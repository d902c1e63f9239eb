package core_test

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/blackbox4/switchgear/core"
)

const modulePath = "github.com/blackbox4/switchgear"

func goList(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := err.(*exec.ExitError); ok {
			t.Fatalf("go list %v: %v\n%s", args, err, exit.Stderr)
		}
		t.Fatalf("go list %v: %v", args, err)
	}
	return strings.Fields(string(out))
}

// core is the standard library, itself and internal packages of this module, which
// import no more. What a user compiles has no testing package in it.
func TestDeps(t *testing.T) {
	for _, path := range goList(t, "-deps", "./core") {
		if first, _, _ := strings.Cut(path, "/"); strings.Contains(first, ".") && path != modulePath+"/core" && !strings.HasPrefix(path, modulePath+"/internal/") {
			t.Errorf("core depends on %s", path)
		}
	}
	for _, line := range goList(t, "-f", `{{if ne .Name "main"}}{{$p := .ImportPath}}{{range .Imports}}{{$p}}:{{.}}{{"\n"}}{{end}}{{end}}`, "./...") {
		importer, path, _ := strings.Cut(line, ":")
		if strings.HasSuffix(importer, "test") {
			continue // a kit for tests, by its name
		}
		if path == "testing" || strings.HasPrefix(path, "testing/") || path == "pgregory.net/rapid" || path == "github.com/anishathalye/porcupine" {
			t.Errorf("%s, not a test, imports %s", importer, path)
		}
	}
}

// A program that observes agents alone compiles no reader of the host.
func TestDetectReadsNoHost(t *testing.T) {
	for _, path := range goList(t, "-deps", "./ralph/detect") {
		if strings.Contains(path, "gopsutil") || path == modulePath+"/core/failsafe" {
			t.Errorf("ralph/detect depends on %s", path)
		}
	}
}

// TestArrows: each dependency lives in one folder, and packages know each other
// one way only, so that users compile only what they use.
func TestArrows(t *testing.T) {
	only := map[string]string{ // who may import it, besides examples and benchmarks
		"github.com/shirou/gopsutil/":      "core/failsafe",
		"go.etcd.io/bbolt":                 "ralph",
		"go.opentelemetry.io/":             "otelexport",
		"google.golang.org/grpc":           "grpcmw",
		"github.com/hashicorp/":            "roundtrip",
		"github.com/felixge/httpsnoop":     "httpmw",
		"go.yaml.in/":                      "presets",
		modulePath + "/presets":            "presets",
		modulePath + "/roundtrip":          "roundtrip",
		modulePath + "/httpmw":             "httpmw",
		modulePath + "/grpcmw":             "grpcmw",
		modulePath + "/ralph":              "ralph",
		modulePath + "/otelexport":         "otelexport",
		modulePath + "/core/failsafe":      "ralph",
		"github.com/cenkalti/backoff/":     "presets",
		"github.com/fsnotify/fsnotify":     "presets",
		"github.com/agnivade/levenshtein":  "presets",
		"github.com/google/jsonschema-go/": "presets",
		"google.golang.org/protobuf":       "grpcmw",
		"google.golang.org/genproto/":      "grpcmw",
	}
	for _, line := range goList(t, "-f", `{{$p := .ImportPath}}{{range .Imports}}{{$p}}:{{.}}{{"\n"}}{{end}}`, "./...") {
		importer, path, _ := strings.Cut(line, ":")
		importer = strings.TrimPrefix(strings.TrimPrefix(importer, modulePath), "/")
		if strings.HasPrefix(importer, "examples/") || strings.HasPrefix(importer, "benchmarks/") {
			continue
		}
		for dependency, folder := range only {
			if strings.HasPrefix(path+"/", dependency) && importer != folder && !strings.HasPrefix(modulePath+"/"+importer+"/", dependency) && !strings.HasPrefix(importer, folder+"/") {
				t.Errorf("%s imports %s, which is for %s alone", importer, path, folder)
			}
		}
	}
}

// core starts no goroutine and no timer, and reads the monotonic clock alone.
func TestSource(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	starts := map[string]bool{"AfterFunc": true, "NewTimer": true, "NewTicker": true, "Tick": true, "After": true, "Sleep": true}
	wall := map[string]bool{"Unix": true, "UnixNano": true, "UnixMilli": true, "UnixMicro": true, "Round": true, "Truncate": true, "UTC": true, "Local": true, "In": true}
	checked := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		checked++
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s: a goroutine is started; only package queue may", set.Position(n.Pos()))
			case *ast.CallExpr:
				sel, ok := n.Fun.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				pkg, isIdent := sel.X.(*ast.Ident)
				isPkg := isIdent && pkg.Name == "time"
				switch name := sel.Sel.Name; {
				case isPkg && starts[name]:
					t.Errorf("%s: time.%s", set.Position(n.Pos()), name)
				case wall[name] && (name != "Round" && name != "Truncate" || file != "explain.go" && file != "limit_explain.go" && file != "health.go"):
					// Durations are rounded where they are told to a person.
					t.Errorf("%s: %s drops the monotonic reading", set.Position(n.Pos()), name)
				}
			case *ast.ValueSpec:
				for _, v := range n.Values {
					call, ok := v.(*ast.CallExpr)
					if !ok {
						continue
					}
					sel, ok := call.Fun.(*ast.SelectorExpr)
					if ok && sel.Sel.Name == "Now" && set.Position(n.Pos()).Column == 1 {
						t.Errorf("%s: an epoch for the whole package", set.Position(n.Pos()))
					}
				}
			}
			return true
		})
	}
	if checked < 10 {
		t.Fatalf("only %d files", checked)
	}
}

// TestNoGoroutines: after a life with everything in it, nothing runs.
func TestNoGoroutines(t *testing.T) {
	// A bubble ends only when nothing that was started in it is left.
	synctest.Test(t, func(t *testing.T) {
		b := core.MustNew("busy", core.Config{FailureThreshold: 2, Timeout: time.Nanosecond, RampUp: time.Nanosecond, Durations: true, History: time.Minute})
		hammer(8, 2000, func(g, i int) {
			if p, err := b.Allow(context.Background()); err == nil {
				p.Settle(context.Background(), core.Outcome(1+(g+i)%3))
			}
		})
		_, _, _ = b.Snapshot(), b.Health(), b.Explain()

		var registry core.Registry
		registry.Config = func(string) core.Config {
			return core.Config{FailureThreshold: 1, Timeout: time.Second, CallTimeout: time.Minute}
		}
		for _, name := range []string{"a", "b"} {
			b, err := registry.Get(name)
			if err != nil {
				t.Fatal(err)
			}
			_ = b.Do(t.Context(), func(context.Context) error { return errAlloc })
			time.Sleep(time.Second)
			_ = b.Do(t.Context(), func(context.Context) error { return nil })
		}
	})
}

// steppedTime is a time.Time with its wall clock moved by some seconds and its
// monotonic reading as it was: what a machine reads after its clock was set.
func steppedTime(t time.Time, step time.Duration) time.Time {
	const hasMonotonic = 1 << 63
	raw := (*struct {
		wall uint64 // 1 bit flag, 33 bits of seconds since 1885, 30 bits of nanoseconds
		ext  int64  // the monotonic reading
		loc  *time.Location
	})(unsafe.Pointer(&t))
	if raw.wall&hasMonotonic == 0 {
		panic("no monotonic reading")
	}
	raw.wall += uint64(step/time.Second) << 30
	return t
}

// TestClockIsSet: setting the machine's clock by an hour, to and fro, changes
// nothing that a breaker does.
func TestClockIsSet(t *testing.T) {
	base := time.Now()
	if got := steppedTime(base, time.Hour); got.Sub(base) != 0 || got.Round(0).Sub(base.Round(0)) != time.Hour {
		t.Fatalf("layout of time.Time: moved by %v, wall by %v", got.Sub(base), got.Round(0).Sub(base.Round(0)))
	}
	type sight struct {
		state           core.State
		cause           core.Cause
		window          core.Counts
		totals          core.Totals
		since, retry    time.Duration
		refused         time.Duration
		refusedBy       core.Cause
		durations       core.Durations
		rows, rowsCalls int
	}
	live := func(step func(i int) time.Duration, cfg core.Config) (seen []sight) {
		var at time.Duration
		reads := 0
		cfg.Now = func() time.Time {
			reads++
			return steppedTime(base.Add(at), step(reads))
		}
		epoch := base
		b := core.MustNew("steady", cfg)
		rng := rand.New(rand.NewPCG(7, 7))
		var held []*core.Permit
		for range 400 {
			var s sight
			if p, err := b.Allow(context.Background()); err == nil {
				held = append(held, &p)
			} else if refusal, ok := err.(*core.OpenError); ok {
				s.refused, s.refusedBy = refusal.RetryAt.Sub(epoch), refusal.Cause
			}
			at += time.Duration(rng.IntN(1500)) * time.Millisecond
			for len(held) > rng.IntN(3) {
				held[0].Settle(context.Background(), core.Outcome(1+rng.IntN(3)))
				held = held[1:]
			}
			snap := b.Snapshot()
			s.state, s.cause, s.window, s.totals, s.durations = snap.State, snap.Cause, snap.Window, snap.Totals, snap.Durations
			s.since = snap.Since.Sub(epoch)
			if !snap.RetryAt.IsZero() {
				s.retry = snap.RetryAt.Sub(epoch)
			}
			for _, row := range snap.History {
				s.rows, s.rowsCalls = s.rows+1, s.rowsCalls+int(row.Calls)
			}
			seen = append(seen, s)
		}
		return seen
	}
	for name, cfg := range map[string]core.Config{
		"count window": {FailureThreshold: 3, Timeout: 5 * time.Second, ProbeTimeout: 2 * time.Second, RampUp: 10 * time.Second, History: time.Minute},
		"time window":  {FailureThreshold: -1, FailureRateThreshold: 0.5, MinimumCalls: 5, Window: core.Window{For: 10 * time.Second}, Timeout: 5 * time.Second, SlowAfter: time.Second, Durations: true},
	} {
		t.Run(name, func(t *testing.T) {
			want := live(func(int) time.Duration { return 0 }, cfg)
			states := make(map[core.State]bool)
			for _, s := range want {
				states[s.state] = true
			}
			if len(states) != 3 {
				t.Fatalf("the script reaches only %v", states)
			}
			for steps, step := range map[string]func(i int) time.Duration{
				"an hour on":   func(i int) time.Duration { return time.Duration(min(i/200, 1)) * time.Hour },
				"an hour back": func(i int) time.Duration { return -time.Duration(min(i/200, 1)) * time.Hour },
				"to and fro":   func(i int) time.Duration { return time.Duration(i%3-1) * time.Hour },
			} {
				got := live(step, cfg)
				for i := range want {
					if got[i] != want[i] {
						t.Fatalf("%s, step %d:\n %+v, want\n %+v", steps, i, got[i], want[i])
					}
				}
			}
		})
	}
}
