package main

import (
	"slices"
	"strings"
)

func grpcTables(w *strings.Builder, m measurements) {
	w.WriteString(`
## gRPC interceptors: time of a call, ns

All have their library's defaults. "switchgear grpcmw" has a breaker for each
method of each target; failsafegrpc's one breaker counts every error, and has
nothing for streams; gobreaker has no interceptors, so these are written around
Execute, as is usual: one breaker, every error is a failure, and of a stream it
sees whether it could be opened, not how it ends.

Here the interceptor is called with an invoker that does nothing, or a streamer
that gives a stream of one message, which is received, and then the end; "bare
gRPC" is an interceptor that only passes the call on. Calls have the option that
generated code gives them; "with an option" they have one more. No invoker raises
events for otelgrpc, a stats handler, so its row is an interceptor that hands it
the seven events of a call, made before: what gRPC spends on making them is not in
it. It has the default providers, which are no-op, and no breaker.

`)
	perRPC(w, m, interceptions(), median)
	w.WriteString("\n## gRPC interceptors: time divided by that of failsafegrpc\n\nIn each pass; the median over the passes.\n\n")
	perRPC(w, m, interceptions(), relativeTo(grpcFailsafe))
	w.WriteString("\n## gRPC interceptors: allocations of a call and their bytes\n\n")
	perRPC(w, m, interceptions(), allocs)

	w.WriteString(`
## gRPC over a connection: time of a call, ns

Calls of generated code to a server in the same process, whose time and
allocations are in the numbers, through memory or TCP; empty messages, no TLS. A
stream is opened, and one message and its end are received. All but the rows with
"server too" are in the client only. A server that has interceptors, whichever,
allocates a little more: "that pass" is what these alone cost. What a unary call of
switchgear allocates besides are copies that gRPC makes for its client: of the
header, three times, and of the trailer, once. By them the client tells what a
server answered from what gRPC made up itself, and reads for how long the server
asks to be left alone; gRPC offers no way to have them only if the call fails. A
stream is an allocation and a func in the client, and one allocation in the
server, which tells the handler's time from that in which it waits for its client.
Beside what a connection costs, the times of the interceptors are lost in the noise.

`)
	perRPC(w, m, exchangesByWire(), median)
	w.WriteString("\n## gRPC over a connection: time divided by that of bare gRPC\n\nIn each pass; the median over the passes.\n\n")
	perRPC(w, m, exchangesByWire(), relativeTo(grpcBare))
	w.WriteString("\n## gRPC over a connection: allocations of a call and their bytes\n\n")
	perRPC(w, m, exchangesByWire(), allocs)
}

// perRPC writes a table of peers by what is done with them.
func perRPC(w *strings.Builder, m measurements, rpcs []rpc, cell cell) {
	g := grid{head: []string{"interceptor"}}
	for _, r := range rpcs {
		g.column(r.name, r.title)
	}
	for _, p := range grpcPeers() {
		if slices.ContainsFunc(rpcs, func(r rpc) bool { return r.fits(p) }) {
			g.rows = append(g.rows, p.name)
		}
	}
	g.write(w, m, cell)
}
