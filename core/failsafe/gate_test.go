package failsafe

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/grpcmw"
	"github.com/blackbox4/switchgear/httpmw"
	"github.com/blackbox4/switchgear/presets"
	"github.com/blackbox4/switchgear/roundtrip"
)

// starved are vitals whose memory is all but used up: they refuse.
func starved(t *testing.T) *bench {
	t.Helper()
	b := newBench(t, Config{Samples: 1, Interval: 30 * time.Second})
	b.memory.set(99, nil)
	b.read(t.Context())
	refused(t, b)
	return b
}

func (b *bench) recover(t *testing.T) {
	t.Helper()
	b.memory.set(10, nil)
	b.read(t.Context())
	admitted(t, b)
}

func TestAllow(t *testing.T) {
	b := newBench(t, Config{})
	done, cancel := context.WithCancel(bg)
	cancel()
	for _, g := range []*bench{b, starved(t)} {
		if _, err := g.Allow(done); !errors.Is(err, context.Canceled) || errors.Is(err, core.ErrOpen) {
			t.Errorf("with a ctx that is done: %v", err)
		}
	}
	var none context.Context
	if _, err := b.Allow(none); err != nil {
		t.Errorf("with a nil ctx: %v", err)
	}
	p, err := b.Allow(bg)
	if err != nil {
		t.Fatal(err)
	}
	p.Settle(bg, core.Failure)
	p.Done(bg, errEIO)
	if p.Probe() {
		t.Error("the permit is a probe")
	}
}

// A refusal is a refusal to all who know those of breakers.
func TestError(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	conditions := []Condition{{Message: "a"}, {Message: "b"}, {Message: "c"}, {Message: "d"}, {Message: "e"}}
	for _, row := range []struct {
		err  *Error
		want string
	}{
		{&Error{}, "failsafe refused the call"},
		{&Error{Conditions: conditions[:1]}, "failsafe refused the call: a"},
		{&Error{Conditions: conditions[:3], RetryAt: at}, "failsafe refused the call: a; b; c; do not retry before 2026-01-02T03:04:05Z"},
		{&Error{Conditions: conditions}, "failsafe refused the call: a; b; c; and 2 more"},
	} {
		if got := row.err.Error(); got != row.want {
			t.Errorf("%q, want %q", got, row.want)
		}
	}
	var err error = &Error{Conditions: conditions, RetryAt: at}
	if !errors.Is(err, ErrFailsafe) || !errors.Is(err, core.ErrOpen) || errors.Is(err, io.EOF) {
		t.Error("Is")
	}
	open, ok := errors.AsType[*core.OpenError](err)
	if !ok || open.Name != "failsafe" || open.State != core.Open || !open.RetryAt.Equal(at) {
		t.Errorf("As = %+v, %t", open, ok)
	}
	if _, ok := errors.AsType[*core.ConfigError](err); ok {
		t.Error("it is a ConfigError")
	}
	if got := core.DefaultClassify(bg, err); got != core.Ignored {
		t.Errorf("a breaker classifies it as %v, want Ignored", got)
	}
}

func TestRefusalText(t *testing.T) {
	b := starved(t)
	want := "failsafe refused the call: memory is at 99 % by dial: as it shows, and from 90 % on that is too much; it is over below 85 %; to mend it, turn it down; do not retry before "
	if got := refused(t, b).Error(); !strings.HasPrefix(got, want) {
		t.Errorf("%q,\nwant %q…", got, want)
	}
	b.disk.set(3.14159, errEIO)
	b.read(bg)
	b.read(bg)
	want = "refuses calls; critical: memory is at 99 % by dial: as it shows, and from 90 % on that is too much; it is over below 85 %; to mend it, turn it down; " +
		"low: disk " + b.config.DiskPaths[0] + " cannot be read: input/output error; " +
		"read last: cpu is at 0 % by dial: as it shows (of 90 %); memory is at 99 % by dial: as it shows (of 90 %); disk " + b.config.DiskPaths[0] + " is at 3.14 % by dial: as it shows (of 90 %)"
	if got := b.String(); got != want {
		t.Errorf("%q,\nwant %q", got, want)
	}
	if got, want := newBench(t, Config{Disk: -1}).String(), "admits calls; low: the vitals have not been read yet, which is for Vitals.Run to do; read last: cpu is not known; memory is not known"; got != want {
		t.Errorf("%q,\nwant %q", got, want)
	}
}

// Conditions gives away nothing that it needs.
func TestCopies(t *testing.T) {
	b := starved(t)
	c := b.Conditions()
	c[0].Message, c[0].Metadata["source"] = "changed", "changed"
	b.Readings()[1].Value = 1
	if c := b.Conditions()[0]; c.Message == "changed" || c.Metadata["source"] != "dial" || b.Readings()[1].Value != 99 {
		t.Errorf("condition = %+v", c)
	}
}

// All of a breaker and the vitals refuses with either, and a refusal of one leaves
// no trace in the other.
func TestAll(t *testing.T) {
	for name, order := range map[string]func(a, b core.Gate) core.Gate{
		"breaker first": func(breaker, vitals core.Gate) core.Gate { return core.All(breaker, vitals) },
		"vitals first":  func(breaker, vitals core.Gate) core.Gate { return core.All(vitals, breaker) },
	} {
		t.Run(name, func(t *testing.T) {
			breaker := core.MustNew("billing", core.Config{FailureThreshold: 1})
			vitals := starved(t)
			gate := order(breaker, vitals)
			for range 10 {
				refused(t, gate)
			}
			if s := breaker.Snapshot(); s.State != core.Closed || s.Totals.Failures != 0 || s.Totals.InFlight != 0 || s.Totals.Calls != s.Totals.Ignored {
				t.Errorf("the breaker has counted %+v", s.Totals)
			}
			vitals.recover(t)
			_, err := core.Do(bg, gate, func(context.Context) (int, error) { return 0, errEIO })
			if !errors.Is(err, errEIO) {
				t.Fatal(err)
			}
			_, err = gate.Allow(bg)
			if !errors.Is(err, core.ErrOpen) || errors.Is(err, ErrFailsafe) {
				t.Errorf("with the breaker open: %v", err)
			}
		})
	}
	t.Run("an inner refusal is no failure of an outer breaker", func(t *testing.T) {
		outer, vitals := core.MustNew("outer", core.Config{FailureThreshold: 1}), starved(t)
		for range 3 {
			err := outer.Do(bg, func(ctx context.Context) error {
				_, err := core.Do(ctx, vitals, func(context.Context) (int, error) { t.Error("called"); return 0, nil })
				return err
			})
			if !errors.Is(err, ErrFailsafe) {
				t.Errorf("Do = %v", err)
			}
		}
		if s := outer.Snapshot(); s.State != core.Closed || s.Totals.Ignored != 3 {
			t.Errorf("the outer breaker is %v, %+v", s.State, s.Totals)
		}
	})
	t.Run("a probe is given back", func(t *testing.T) {
		breaker := core.MustNew("billing", core.Config{FailureThreshold: 1, Timeout: time.Nanosecond, HalfOpenMaxCalls: 1, SuccessThreshold: 1})
		vitals := starved(t)
		gate := core.All(breaker, vitals)
		p, err := breaker.Allow(bg)
		if err != nil {
			t.Fatal(err)
		}
		p.Settle(bg, core.Failure)
		time.Sleep(time.Microsecond)
		for range 5 {
			refused(t, gate) // not: all probes are out
		}
		vitals.recover(t)
		admitted(t, gate)
		if s := breaker.State(); s != core.Closed {
			t.Errorf("after a probe that succeeded: %v", s)
		}
	})
}

// Retries of a preset stop at a refusal.
func TestRetriesStop(t *testing.T) {
	vitals, attempts := starved(t), 0
	call := presets.MustProtectFunc("failsafe-retries", presets.ExternalAPI(), func(ctx context.Context) error {
		attempts++
		_, err := core.Do(ctx, vitals, func(context.Context) (int, error) { return 0, nil })
		return err
	})
	if err := call(bg); !errors.Is(err, ErrFailsafe) || attempts != 1 {
		t.Errorf("%v after %d attempts, want a refusal after 1", err, attempts)
	}
}

// answer is what an HTTP client sees of a response.
type answer struct {
	status     int
	retryAfter string
	refused    bool // made by the transport
}

// unavailable reports whether it is a 503 that says to come back in about 30 s.
func (a answer) unavailable() bool {
	seconds, err := strconv.Atoi(a.retryAfter)
	return err == nil && a.status == http.StatusServiceUnavailable && seconds > 10 && seconds <= 30
}

// A server that is short of memory answers 503 and says when to come back, and a
// client's transport does the same without a server.
func TestHTTP(t *testing.T) {
	vitals, calls := starved(t), 0
	breaker := core.MustNew("server", core.Config{FailureThreshold: 1})
	server := httptest.NewServer(httpmw.New(nil, &httpmw.Options{Gate: core.All(breaker, vitals)})(
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls++ })))
	defer server.Close()
	get := func(client *http.Client) (answer, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			return answer{}, err
		}
		defer resp.Body.Close()
		return answer{resp.StatusCode, resp.Header.Get("Retry-After"), roundtrip.Refused(resp)}, nil
	}
	if a, err := get(server.Client()); err != nil || !a.unavailable() || a.refused {
		t.Errorf("of the server: %+v, %v; want 503 with Retry-After 30", a, err)
	}

	base, gate := server.Client().Transport, core.All(core.MustNew("client", core.Config{FailureThreshold: 1}), vitals)
	client := &http.Client{Transport: roundtrip.New(nil, &roundtrip.Options{Base: base, Gate: gate})}
	if _, err := get(client); !errors.Is(err, ErrFailsafe) || !errors.Is(err, core.ErrOpen) {
		t.Errorf("through the transport: %v", err)
	}
	client.Transport = roundtrip.New(nil, &roundtrip.Options{Base: base, Gate: gate, RefuseWithResponse: true})
	if a, err := get(client); err != nil || !a.unavailable() || !a.refused {
		t.Errorf("of the transport: %+v, %v; want 503 with Retry-After 30", a, err)
	}
	if calls != 0 {
		t.Errorf("the handler was called %d times", calls)
	}
	vitals.recover(t)
	if a, err := get(client); err != nil || a.status != http.StatusOK || calls != 1 {
		t.Errorf("afterwards: %+v, %v, %d calls", a, err, calls)
	}
}

// The same with gRPC: Unavailable, with RetryInfo for the other side.
func TestGRPC(t *testing.T) {
	vitals := starved(t)
	gate := core.All(core.MustNew("server", core.Config{FailureThreshold: 1}), vitals)
	server := grpc.NewServer(grpc.UnaryInterceptor(grpcmw.UnaryServerInterceptor(nil, &grpcmw.ServerOptions{
		Gate: gate, Skip: func(string) bool { return false },
	})))
	healthpb.RegisterHealthServer(server, health.NewServer())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	defer serving.Wait()
	defer server.Stop()

	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	check := func() error {
		_, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
		return err
	}
	refusal := status.Convert(check())
	if refusal.Code() != codes.Unavailable || len(refusal.Details()) == 0 {
		t.Errorf("%v with %v", refusal.Code(), refusal.Details())
	}
	vitals.recover(t)
	if err := check(); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
