package httpmw

import (
	"cmp"
	"net/http"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// Options change what [New] makes. In each field zero is the stated default. The
// funcs must be safe for concurrent use.
type Options struct {
	// Gate is asked for every request. Nil means a breaker of the registry.
	Gate core.Gate
	// Key names the breaker of a request; the empty key has none, and the request
	// passes. Nil means the pattern of a [http.ServeMux], see [Pattern] and [Route].
	// What a client can make up, such as the path, is no key. Other routers are asked
	// for the pattern; chi outside of its routes, and gorilla/mux inside:
	//
	//	func(r *http.Request) string { return router.Find(chi.NewRouteContext(), r.Method, r.URL.Path) }
	//	func(r *http.Request) string { p, _ := mux.CurrentRoute(r).GetPathTemplate(); return p }
	Key func(*http.Request) string
	// Skip reports whether a request passes without being counted or refused, of
	// a health check, say. Nil means none. OPTIONS always passes.
	Skip func(*http.Request) bool
	// Classify decides what became of a request whose handler has returned, begun
	// a stream, or hijacked the connection (101, if it wrote no other status); of a
	// probe it is asked at the headers too. A failure that is the client's doing, see
	// [New], is ignored all the same. Nil means [DefaultClassify].
	Classify func(r *http.Request, status int) core.Outcome
	// Refuse answers a request that is refused. Nil means [Refuse].
	Refuse func(w http.ResponseWriter, r *http.Request, refusal *core.OpenError)
	// IsStream reports whether a response, whose header this is, is settled when it
	// is first flushed, because it may take for ever. Nil means that
	// text/event-stream is.
	IsStream func(http.Header) bool
	// DeadlineFactor says when a client's deadline that has passed counts as a
	// failure: when the handler had run, for a second at least, this many times as
	// long as the longest of the last 64 to 128 successes of the route, or for a
	// second while there is none. Zero means 2; negative means that every deadline
	// counts, however short, for clients that are trusted.
	//
	// So where all clients have deadlines of less than a second, an overloaded route
	// is not seen by them: a client whose deadline is too short looks the same. Set
	// a negative factor if the clients are trusted, or have the handler give up by
	// itself, before them and with a 503, which counts:
	//
	//	ctx, cancel := context.WithTimeout(r.Context(), 300*time.Millisecond)
	DeadlineFactor float64
	// ProbeLease is how long the handler of a probe may go on after its headers before
	// the probe is settled by them. Zero means 10 s; it should be less than the
	// breaker's ProbeTimeout, when the probe would be lost.
	ProbeLease time.Duration
}

const defaultLease = 10 * time.Second

func (o *Options) setDefaults() {
	if o.Refuse == nil {
		o.Refuse = Refuse
	}
	if o.IsStream == nil {
		o.IsStream = isEventStream
	}
	o.ProbeLease = cmp.Or(max(o.ProbeLease, 0), defaultLease)
}
