package httpmw

import "net/http"

// everything is the key of requests whose route is not known.
const everything = "http"

// Pattern is the key that [New] uses if it has no other: the pattern by which a
// [http.ServeMux] has found the handler, "GET /orders/{id}", or "http" for all
// requests that no pattern is known of, as outside of a mux.
func Pattern(r *http.Request) string {
	if r.Pattern != "" {
		return r.Pattern
	}
	return everything
}

// Route returns a Key for a middleware that is outside of mux: the pattern by
// which mux will find the handler. Requests that it has no handler for have no
// breaker, nor has CONNECT. For a middleware outside of another router, ask that
// in the same way; what is only known once it has routed comes too late.
func Route(mux *http.ServeMux) func(*http.Request) string {
	return func(r *http.Request) string {
		if r.Method == http.MethodConnect { // the pattern that mux gives may be the client's path
			return ""
		}
		_, pattern := mux.Handler(r)
		return pattern
	}
}
