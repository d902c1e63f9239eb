// Package httpmw puts circuit breakers around net/http handlers, one for each
// route:
//
//	guard := httpmw.New(nil, nil)
//	mux.Handle("GET /orders/{id}", guard(orders))
//
// A route whose dependency is down answers 503 at once, with a Retry-After, in
// place of tying up the process; the other routes are as before. While all goes
// well nothing changes: the handler gets the same request, and a ResponseWriter
// that can do exactly what it could.
//
// Outside of it belong what recovers panics, logs accesses and traces; inside of
// it, what limits the time of a handler.
package httpmw
