//nolint:bodyclose // helpers close them, out of its sight; TestNothingLeaks counts
package roundtrip_test

import (
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/roundtrip"
)

// states are the breakers of a registry by name.
func states(r *core.Registry) map[string]core.State {
	all := map[string]core.State{}
	for name, b := range r.All() {
		all[name] = b.State()
	}
	return all
}

func TestEachHostHasABreaker(t *testing.T) {
	t.Run("a sick host is no other host's business", func(t *testing.T) {
		registry := &core.Registry{Config: func(string) core.Config { return core.Config{FailureThreshold: 1} }}
		tr := roundtrip.New(registry, nil)
		tr.Options().Base = base(func(req *http.Request) (*http.Response, error) {
			if req.URL.Host == "a.example" {
				return nil, errSick
			}
			return answer(req, http.StatusOK, ""), nil
		})
		_, _ = tr.RoundTrip(request(t, http.MethodGet, "http://a.example/", nil))
		if got := wantRefused(t, tr, request(t, http.MethodGet, "http://a.example/", nil)).Name; got != "a.example:80" {
			t.Errorf("refused by %q, want a.example:80", got)
		}
		_ = read(t, get(t, tr, "http://b.example/"))
		if got, want := fmt.Sprint(states(registry)), "map[a.example:80:open b.example:80:closed]"; got != want {
			t.Errorf("breakers: %s, want %s", got, want)
		}
	})
	t.Run("names", func(t *testing.T) {
		for _, row := range [][2]string{
			{"http://example.com", "example.com:80"},
			{"http://EXAMPLE.com/path?q", "example.com:80"},
			{"http://user:secret@example.com:80/", "example.com:80"},
			{"http://example.com:", "example.com:80"},
			{"https://example.com", "example.com:443"},
			{"HTTPS://example.com:443", "example.com:443"},
			{"https://example.com:8443", "example.com:8443"},
			{"ws://example.com", "example.com:80"},
			{"wss://example.com", "example.com:443"},
			{"http://[::1]", "[::1]:80"},
			{"http://[::1]:8080", "[::1]:8080"},
			{"http://127.0.0.1:8080", "127.0.0.1:8080"},
			{"gopher://example.com", "example.com:gopher"},
		} {
			req := request(t, http.MethodGet, row[0], nil)
			req.Host = "another.example" // may name something behind the host
			if got := roundtrip.Host(req); got != row[1] {
				t.Errorf("Host(%s) = %q, want %q", row[0], got, row[1])
			}
			tr := roundtrip.New(nil, &roundtrip.Options{Base: answers(http.StatusOK, "")})
			for range 2 { // made, and remembered
				_ = read(t, send(t, tr, req))
			}
			if got, want := fmt.Sprint(states(tr.Breakers())), "map["+row[1]+":closed]"; got != want {
				t.Errorf("%s: breakers %s, want %s", row[0], got, want)
			}
		}
	})
	t.Run("the same host by two schemes", func(t *testing.T) { // remembered in the same place
		tr := roundtrip.New(nil, &roundtrip.Options{Base: answers(http.StatusOK, "")})
		for range 3 {
			_ = read(t, get(t, tr, "http://example.com"))
			_ = read(t, get(t, tr, "https://example.com"))
		}
		for name, b := range tr.Breakers().All() {
			if got := b.Snapshot().Totals.Successes; got != 3 {
				t.Errorf("%s: %d successes, want 3", name, got)
			}
		}
		if got := tr.Breakers().Len(); got != 2 {
			t.Errorf("%d breakers, want 2", got)
		}
	})
	t.Run("a key of one's own", func(t *testing.T) {
		tr := roundtrip.New(nil, &roundtrip.Options{Base: answers(http.StatusOK, ""), Key: func(req *http.Request) string { return req.Header.Get("X-Tenant") }})
		for _, tenant := range []string{"a", "b", "a", ""} {
			req := request(t, http.MethodGet, "http://example.com", nil)
			req.Header.Set("X-Tenant", tenant)
			_ = read(t, send(t, tr, req))
		}
		if got, want := fmt.Sprint(states(tr.Breakers())), "map[a:closed b:closed]"; got != want {
			t.Errorf("breakers: %s, want %s", got, want) // no name is not a name
		}
	})
}

// Hosts are often taken from outside: whatever they are, memory is bounded, and
// what is known of sick ones is kept.
func TestInventedHostsAreBounded(t *testing.T) {
	registry := &core.Registry{Max: 100, Config: func(string) core.Config { return core.Config{FailureThreshold: 1} }}
	tr := roundtrip.New(registry, nil)
	tr.Options().Base = base(func(req *http.Request) (*http.Response, error) {
		if strings.HasPrefix(req.URL.Host, "sick") {
			return nil, errSick
		}
		return answer(req, http.StatusOK, "text"), nil
	})
	for i := range 10 {
		_, _ = tr.RoundTrip(request(t, http.MethodGet, fmt.Sprintf("http://sick-%d.example", i), nil))
	}
	for i := range 10_000 {
		_ = read(t, get(t, tr, fmt.Sprintf("http://invented-%d.example", i)))
	}
	for i := range 10 {
		wantRefused(t, tr, request(t, http.MethodGet, fmt.Sprintf("http://sick-%d.example", i), nil))
	}
	stats := registry.Stats()
	if registry.Len() > 100 || stats.Open != 10 {
		t.Errorf("%d breakers, %d open; want at most 100, and 10 open", registry.Len(), stats.Open)
	}
	want := core.Totals{Calls: 10_010, Successes: 10_000, Failures: 10, Refused: 10}
	if stats.Totals != want { // none is lost: what was evicted is in it
		t.Errorf("totals\n %+v, want\n %+v", stats.Totals, want)
	}
}

func TestLongHosts(t *testing.T) {
	tr := roundtrip.New(nil, &roundtrip.Options{Base: answers(http.StatusOK, "")})
	used := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const length = 1 << 16
	host := func(i int) string { return strings.Repeat("a", length) + fmt.Sprint(i) }
	before := used()
	for i := range 1000 {
		_ = read(t, get(t, tr, "http://"+host(i)))
	}
	if got, most := used(), before+100*length; got > most {
		t.Errorf("%d bytes are kept of 1000 hosts of %d bytes, want none of them", got-before, length)
	}
	runtime.KeepAlive(tr)
	if stats := tr.Breakers().Stats(); stats.Breakers != 0 || stats.Unguarded != 1000 {
		t.Errorf("%+v, want no breaker and 1000 calls without one", stats)
	}
}

func TestARedirectToAnotherHostIsChargedThere(t *testing.T) {
	sick := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	first := serve(t, func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, sick.URL, http.StatusFound)
	})
	tr := roundtrip.New(nil, &roundtrip.Options{Base: private(t)})
	client := &http.Client{Transport: tr}
	resp, err := client.Get(first.URL)
	if err != nil {
		t.Fatalf("Get = %v, want the response of the second host", err)
	}
	if _ = read(t, resp); resp.StatusCode != http.StatusInternalServerError {
		t.Errorf("status = %d, want that of the second host, 500", resp.StatusCode)
	}
	for url, want := range map[string]core.Totals{
		first.URL: {Calls: 1, Successes: 1},
		sick.URL:  {Calls: 1, Failures: 1},
	} {
		b, err := tr.Breakers().Get(strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		wantTotals(t, b, want)
	}
}

// A Config that is not valid is told to the caller, and nothing is sent.
func TestInvalidConfig(t *testing.T) {
	bad := core.Config{Jitter: 2}
	for name, row := range map[string]struct {
		config func(name string) core.Config
		sent   bool
	}{
		"of all hosts": {func(string) core.Config { return bad }, false},
		"of another host": {func(name string) core.Config {
			if name == "example.com:80" {
				return core.Config{}
			}
			return bad
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			sent := false
			tr := roundtrip.New(&core.Registry{Config: row.config}, nil)
			tr.Options().Base = base(func(req *http.Request) (*http.Response, error) {
				sent = true
				return answer(req, http.StatusOK, ""), nil
			})
			body := &tracked{Reader: strings.NewReader("payload")}
			_, err := tr.RoundTrip(request(t, http.MethodPost, "http://example.com", body))
			if sent != row.sent || (err == nil) != row.sent {
				t.Errorf("sent: %v, err = %v; want sent: %v", sent, err, row.sent)
			}
			if got := body.closed.Load(); !sent && got != 1 {
				t.Errorf("the body was closed %d times, want once", got)
			}
		})
	}
}

// The name of a host names itself: the same as a host of the same scheme.
func FuzzHost(f *testing.F) {
	for _, host := range []string{"example.com", "EXAMPLE.com:080", "[::1]:80", "[fe80::1%25en0]", "a:", "\u212aelvin", "xn--bcher-kva.example", "b\u00fccher.example", "", ":", "a b", "%41"} {
		for _, scheme := range []string{"http", "https", "ws", "wss", "HTTP", "", "gopher"} {
			f.Add(scheme, host)
		}
	}
	f.Fuzz(func(t *testing.T, scheme, host string) {
		name := roundtrip.Host(&http.Request{URL: &url.URL{Scheme: scheme, Host: host}}) // any, and it does not panic
		tr := roundtrip.New(nil, &roundtrip.Options{Base: answers(http.StatusOK, "")})
		if resp, err := tr.RoundTrip(&http.Request{URL: &url.URL{Scheme: scheme, Host: host}}); err != nil {
			t.Errorf("%q, %q: %v, want a response", scheme, host, err)
		} else {
			_ = resp.Body.Close()
		}
		switch strings.ToLower(scheme) {
		case "http", "https", "ws", "wss":
		default:
			return
		}
		if _, err := url.Parse("http://" + host); err != nil {
			return // parsing never makes one
		}
		if again := roundtrip.Host(&http.Request{URL: &url.URL{Scheme: scheme, Host: name}}); again != name {
			t.Errorf("Host of %q, %q is %q, and of that %q; want it to stay", scheme, host, name, again)
		}
	})
}
