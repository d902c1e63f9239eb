package interop_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/gorilla/mux"
	"github.com/gorilla/websocket"
	"github.com/labstack/echo/v4"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/httpmw"
)

// chiKey is the pattern by which a chi router that is further in will find the
// handler.
func chiKey(router chi.Routes) func(*http.Request) string {
	return func(r *http.Request) string {
		return router.Find(chi.NewRouteContext(), r.Method, r.URL.Path)
	}
}

// gorillaKey is that of a gorilla router.
func gorillaKey(router *mux.Router) func(*http.Request) string {
	return func(r *http.Request) string {
		var match mux.RouteMatch
		if !router.Match(r, &match) || match.Route == nil {
			return ""
		}
		template, _ := match.Route.GetPathTemplate() // without one, as a route by host alone, no breaker
		return template
	}
}

// gorillaRoute is the key within a gorilla router, where it has routed.
func gorillaRoute(r *http.Request) string {
	template, _ := mux.CurrentRoute(r).GetPathTemplate()
	return template
}

// echoKey is that of an echo.
func echoKey(e *echo.Echo) func(*http.Request) string {
	return func(r *http.Request) string {
		c := e.AcquireContext()
		defer e.ReleaseContext(c)
		c.Reset(r, nil)
		e.Router().Find(r.Method, echo.GetPath(r), c)
		return c.Path()
	}
}

// ginKey is that of a gin engine. It cannot be asked, but it lists its routes, and
// a mux can. Routes that are added later are not known.
func ginKey(e *gin.Engine) func(*http.Request) string {
	routes := http.NewServeMux()
	for _, route := range e.Routes() {
		parts := strings.Split(route.Path, "/")
		for i, part := range parts {
			if name, ok := strings.CutPrefix(part, ":"); ok {
				parts[i] = "{" + name + "}"
			} else if name, ok := strings.CutPrefix(part, "*"); ok {
				parts[i] = "{" + name + "...}"
			}
		}
		routes.Handle(route.Method+" "+strings.Join(parts, "/"), http.NotFoundHandler())
	}
	return httpmw.Route(routes)
}

type middleware = func(http.Handler) http.Handler

func mwSick(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "no database", http.StatusInternalServerError)
}
func mwWell(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

func newChi(around ...middleware) chi.Router {
	r := chi.NewRouter()
	r.With(around...).Get("/users/{id}", mwSick)
	r.Route("/api", func(r chi.Router) {
		r.Group(func(r chi.Router) {
			r.Use(around...)
			r.Get("/well/{id:[0-9]+}", mwWell)
		})
	})
	return r
}

func newGorilla(around ...mux.MiddlewareFunc) *mux.Router {
	r := mux.NewRouter()
	r.HandleFunc("/users/{id}", mwSick).Methods(http.MethodGet)
	r.PathPrefix("/api").Subrouter().HandleFunc("/well/{id:[0-9]+}", mwWell)
	r.Use(around...)
	return r
}

func newGin() *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.GET("/users/:id", func(c *gin.Context) { c.String(http.StatusInternalServerError, "no database") })
	e.Group("/api").GET("/well/*id", func(c *gin.Context) { c.Status(http.StatusNoContent) })
	return e
}

func newEcho(around ...echo.MiddlewareFunc) *echo.Echo {
	e := echo.New()
	e.GET("/users/:id", func(echo.Context) error {
		return echo.NewHTTPError(http.StatusInternalServerError, "no database")
	}, around...)
	e.Group("/api").GET("/well/:id", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) })
	return e
}

// With each framework failures are counted by the route, which is then refused,
// while the other one serves; a path without a route makes no breaker.
func TestFrameworks(t *testing.T) {
	around := func(r *core.Registry, key func(*http.Request) string) middleware {
		return httpmw.New(r, &httpmw.Options{Key: key})
	}
	for name, c := range map[string]struct {
		handler    func(*core.Registry) http.Handler
		sick, well string
	}{
		"chi, With and Group": {func(r *core.Registry) http.Handler {
			return newChi(httpmw.New(r, nil))
		}, "/users/{id}", "/api/well/{id:[0-9]+}"},
		"chi, from outside": {func(r *core.Registry) http.Handler {
			h := newChi()
			return around(r, chiKey(h))(h)
		}, "/users/{id}", "/api/well/{id:[0-9]+}"},
		"chi, Use": {func(r *core.Registry) http.Handler {
			h := chi.NewRouter()
			h.Use(around(r, chiKey(h))) // before it has routed, so it is asked as from outside
			h.Mount("/", newChi())
			return h
		}, "/users/{id}", "/api/well/{id:[0-9]+}"},
		"gorilla, Use": {func(r *core.Registry) http.Handler {
			return newGorilla(around(r, gorillaRoute))
		}, "/users/{id}", "/api/well/{id:[0-9]+}"},
		"gorilla, from outside": {func(r *core.Registry) http.Handler {
			h := newGorilla()
			return around(r, gorillaKey(h))(h)
		}, "/users/{id}", "/api/well/{id:[0-9]+}"},
		"gin, from outside": {func(r *core.Registry) http.Handler {
			h := newGin()
			return around(r, ginKey(h))(h)
		}, "GET /users/{id}", "GET /api/well/{id...}"},
		"echo, from outside": {func(r *core.Registry) http.Handler {
			h := newEcho()
			return around(r, echoKey(h))(h)
		}, "/users/:id", "/api/well/:id"},
	} {
		t.Run(name, func(t *testing.T) {
			registry := &core.Registry{Config: func(string) core.Config { return core.Config{FailureThreshold: 3} }}
			h := c.handler(registry)
			for i, want := range []int{500, 500, 500, 503, 503} {
				if got := mwSend(h, http.MethodGet, fmt.Sprint("/users/", i)); got != want {
					t.Errorf("request %d of the sick route: status %d, want %d", i+1, got, want)
				}
				if got := mwSend(h, http.MethodGet, fmt.Sprint("/api/well/", i)); got != http.StatusNoContent {
					t.Errorf("request %d of the other route: status %d, want 204", i+1, got)
				}
				for j := range 100 {
					mwSend(h, http.MethodGet, fmt.Sprintf("/invented/%d/%d", i, j))
					mwSend(h, fmt.Sprint("INVENTED", j), fmt.Sprintf("/api/invented/%d", i))
				}
			}
			got := map[string]core.Totals{}
			for name, b := range registry.All() {
				got[name] = b.Snapshot().Totals
			}
			if sick := got[c.sick]; sick.Failures != 3 || sick.Refused != 2 || sick.Successes != 0 {
				t.Errorf("%s has %+v; want 3 failures, 2 refused", c.sick, sick)
			}
			if well := got[c.well]; well.Successes != 5 || well.Failures != 0 || well.Refused != 0 {
				t.Errorf("%s has %+v; want 5 successes", c.well, well)
			}
			if len(got) != 2 {
				t.Errorf("breakers: %q; want %q", slices.Sorted(maps.Keys(got)), []string{c.sick, c.well})
			}
		})
	}
}

// Within an echo, the error that a handler returns becomes a response only after
// all middleware has returned: there the middleware sees 200, and a breaker never
// opens. Put it around the echo.
func TestEchoWrapMiddlewareSees200(t *testing.T) {
	var seen []int
	e := newEcho(echo.WrapMiddleware(httpmw.New(nil, &httpmw.Options{Key: func(*http.Request) string { return "all" }, Classify: func(r *http.Request, status int) core.Outcome {
		seen = append(seen, status)
		return httpmw.DefaultClassify(r, status)
	}})))
	if got := mwSend(e, http.MethodGet, "/users/1"); got != http.StatusInternalServerError {
		t.Errorf("status %d, want 500", got)
	}
	if !slices.Equal(seen, []int{http.StatusOK}) {
		t.Errorf("the middleware has seen %v; want 200, or echo has changed and the documentation may too", seen)
	}
}

func mwSend(h http.Handler, method, target string) int {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(method, target, nil))
	return rec.Code
}

// A websocket is settled when it is accepted, and its place is free while it is
// open, whatever becomes of it.
func TestWebsocketsPass(t *testing.T) {
	upgrade := func(serve func(*websocket.Conn)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			conn, err := new(websocket.Upgrader).Upgrade(w, r, nil)
			if err != nil {
				t.Errorf("Upgrade: %v", err)
				return
			}
			defer conn.Close()
			serve(conn)
		}
	}
	echoOnce := func(conn *websocket.Conn) {
		if kind, message, err := conn.ReadMessage(); err == nil {
			_ = conn.WriteMessage(kind, message)
		}
	}
	for name, h := range map[string]http.HandlerFunc{
		"gorilla":              upgrade(echoOnce),
		"gorilla, and a panic": upgrade(func(conn *websocket.Conn) { echoOnce(conn); panic(http.ErrAbortHandler) }),
		"coder": func(w http.ResponseWriter, r *http.Request) {
			conn, err := coder.Accept(w, r, nil)
			if err != nil {
				t.Errorf("Accept: %v", err)
				return
			}
			defer conn.CloseNow()
			if kind, message, err := conn.Read(r.Context()); err == nil {
				_ = conn.Write(r.Context(), kind, message)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			settled := make(chan core.Settlement, 10)
			now := time.Now()
			b := core.MustNew("b", core.Config{
				FailureThreshold: 1, HalfOpenMaxCalls: 1, SuccessThreshold: 1,
				Now:   func() time.Time { return now },
				Hooks: core.Hooks{Settled: func(_ context.Context, s core.Settlement) { settled <- s }},
			})
			p, _ := b.Allow(t.Context())
			p.Settle(t.Context(), core.Failure)
			<-settled
			now = now.Add(time.Hour)
			done := make(chan struct{})
			guarded := httpmw.New(nil, &httpmw.Options{Gate: b})(h)
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(done)
				guarded.ServeHTTP(w, r)
			}))
			defer s.Close()
			conn, resp, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(s.URL, "http"), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			defer conn.Close()
			if got := <-settled; got.Outcome != core.Success || !got.Probe { // while the handler reads
				t.Errorf("settled as %v, probe %t; want the success of a probe", got.Outcome, got.Probe)
			}
			if got := b.Snapshot(); got.State != core.Closed || got.Totals.InFlight != 0 {
				t.Errorf("while the websocket is open: %v, %d permits out; want closed, none", got.State, got.Totals.InFlight)
			}
			_ = conn.WriteMessage(websocket.TextMessage, []byte("hello"))
			if _, got, err := conn.ReadMessage(); string(got) != "hello" {
				t.Errorf("the echo is %q, %v; want hello", got, err)
			}
			conn.Close()
			<-done
			if len(settled) > 0 || b.State() != core.Closed {
				t.Errorf("the end of the handler settled %d more, and the breaker is %v; want none, closed", len(settled), b.State())
			}
		})
	}
}
