package main

import (
	"errors"
	"math"
)

// target is a number that we are to reach. What it is compared with is
// measured in the same run; nothing here is a result.
type target struct {
	path  string
	what  string
	limit float64
	unit  string // "×", "ns", "ms", "B" or "allocs"
	value func(measurements, map[string]weight) []float64
}

var errNotMeasured = errors.New("no good sample")

// met tells by the median, and gives the spread.
func (t target) met(m measurements, heaps map[string]weight) (spread, bool, error) {
	v := t.value(m, heaps)
	if len(v) == 0 {
		return spread{}, false, errNotMeasured
	}
	s := spreadOf(v)
	return s, s.median <= t.limit, nil
}

func ratio(path, what string, a, b key, limit float64) target {
	return target{path, what, limit, "×", func(m measurements, _ map[string]weight) []float64 {
		return m.paired(a, b, quotient)
	}}
}

func quotient(a, b float64) float64 { return a / b }

func difference(path, what string, a, b key, limit float64) target {
	return target{path, what, limit, "ns", func(m measurements, _ map[string]weight) []float64 {
		return m.paired(a, b, func(a, b float64) float64 { return a - b })
	}}
}

func atMost(path string, k key, limit float64) target {
	return target{path, "time", limit, "ns", func(m measurements, _ map[string]weight) []float64 { return m.ns(k) }}
}

func noAllocs(path string, keys ...key) target { return allocsAtMost(path, 0, keys...) }

func allocsAtMost(path string, limit float64, keys ...key) target {
	return target{path, "allocations", limit, "allocs", func(m measurements, _ map[string]weight) []float64 {
		var worst int64
		for _, k := range keys {
			if len(m.valid(k)) == 0 {
				return nil
			}
			allocs, _ := m.allocs(k)
			worst = max(worst, allocs)
		}
		return []float64{float64(worst)}
	}}
}

// allocsAdded is by how many whole allocations the calls of a exceed those of b.
// Where a server takes part they are not exact.
func allocsAdded(path, what string, a, b key, limit float64) target {
	return target{path, what, limit, "allocs", func(m measurements, _ map[string]weight) []float64 {
		var with, without []float64
		for _, s := range m.valid(a) {
			with = append(with, s.allocs)
		}
		for _, s := range m.valid(b) {
			without = append(without, s.allocs)
		}
		if len(with) == 0 || len(without) == 0 {
			return nil
		}
		return []float64{math.Round(spreadOf(with).median - spreadOf(without).median)}
	}}
}

func bytesAtMost(path, subject string, pick func(weight) float64, limit float64) target {
	return target{path, "heap of one breaker", limit, "B", func(_ measurements, heaps map[string]weight) []float64 {
		w, ok := heaps[subject]
		if !ok {
			return nil
		}
		return []float64{pick(w)}
	}}
}

// targets are those of the design that are compared here. Where a peer has
// both kinds of API, like is compared with like.
func targets() []target {
	const (
		closed    = "closed, success, in a row + count window"
		mixed     = "the same in parallel with 1 % failures"
		timed     = "closed, success, time window with rates"
		durations = "the same with durations and percentiles"
		refused   = "refused"
		over      = "core.Do over Allow + Settle"
		lookup    = "registry lookup, 10,000 names, parallel"
		noop      = "RoundTripper over a no-op transport"
		handler   = "httpmw over a no-op writer"
		unary     = "unary gRPC client interceptor over a no-op invoker"
		wire      = "gRPC over a connection, allocations added"
	)
	at := func(scenario, subject string) key { return key{scenario, subject} }
	both := func(subject string, scenarios ...string) []key {
		var keys []key
		for _, s := range scenarios {
			keys = append(keys, at(s, subject+permitAPI), at(s, subject+doAPI))
		}
		return keys
	}
	list := []target{
		noAllocs(closed, both(engineDefault, closedSerial, closedParallel, mixSerial, mixParallel)...),
		ratio(closed, "serial: core.Do ÷ gobreaker Execute", at(closedSerial, engineDefault+doAPI), at(closedSerial, gobreakerExecute), 1.0/6),
		ratio(closed, "serial: permit ÷ gobreaker two-step", at(closedSerial, engineDefault+permitAPI), at(closedSerial, gobreakerTwoStep), 1.0/6),
		ratio(closed, "parallel: core.Do ÷ gobreaker Execute", at(closedParallel, engineDefault+doAPI), at(closedParallel, gobreakerExecute), 1.0/25),
		ratio(closed, "parallel: permit ÷ gobreaker two-step", at(closedParallel, engineDefault+permitAPI), at(closedParallel, gobreakerTwoStep), 1.0/25),

		ratio(mixed, "core.Do: with ÷ without", at(mixParallel, engineDefault+doAPI), at(closedParallel, engineDefault+doAPI), 2),
		ratio(mixed, "permit: with ÷ without", at(mixParallel, engineDefault+permitAPI), at(closedParallel, engineDefault+permitAPI), 2),
		ratio(mixed, "rates, permit: with ÷ without", at(mixParallel, engineCount+permitAPI), at(closedParallel, engineCount+permitAPI), 2),
		ratio(mixed, "time window, permit: with ÷ without", at(mixParallel, engineTime+permitAPI), at(closedParallel, engineTime+permitAPI), 2),

		noAllocs(timed, both(engineTime, closedSerial, closedParallel, mixSerial, mixParallel)...),
		ratio(timed, "serial: permit ÷ failsafe-go time permit", at(closedSerial, engineTime+permitAPI), at(closedSerial, failsafeTime), 0.75),
		ratio(timed, "parallel: permit ÷ failsafe-go time permit", at(closedParallel, engineTime+permitAPI), at(closedParallel, failsafeTime), 1.0/4),

		noAllocs(durations, both(engineDurations, closedSerial, closedParallel, mixSerial, mixParallel)...),
		difference(durations, "serial: permit − two clock reads", at(closedSerial, engineDurations+permitAPI), at(floorSerial, floorTwo), 40),
		ratio(durations, "serial: permit ÷ OpenTelemetry histogram record", at(closedSerial, engineDurations+permitAPI), at(floorSerial, floorRecord), 0.5),

		noAllocs(refused, append(both(engineDefault, refusedSerial, refusedParallel), both(engineTime, refusedSerial, refusedParallel)...)...),
		ratio(refused, "serial: core.Do ÷ gobreaker Execute", at(refusedSerial, engineDefault+doAPI), at(refusedSerial, gobreakerExecute), 0.6),
		ratio(refused, "parallel: core.Do ÷ gobreaker Execute", at(refusedParallel, engineDefault+doAPI), at(refusedParallel, gobreakerExecute), 0.6),
	}
	for _, subject := range []string{engineDefault, engineCount, engineTime, engineDurations} {
		list = append(list, difference(over, "serial, "+subject, at(closedSerial, subject+doAPI), at(closedSerial, subject+permitAPI), 6))
	}
	return append(list,
		bytesAtMost("count window 100, never called", engineDefault+permitAPI, func(w weight) float64 { return w.fresh }, 512),
		bytesAtMost("time window, once used", engineTime+permitAPI, func(w weight) float64 { return w.used }, 1024),
		atMost(lookup, at(lookupParallel, lookupSubject), 60),
		noAllocs(lookup, at(lookupParallel, lookupSubject)),

		ratio(noop, "serial, no body: switchgear ÷ failsafehttp", at(emptySerial, clientOurs), at(emptySerial, clientFailsafe), 1.0/8),
		ratio(noop, "serial, body wrapped and read: switchgear ÷ failsafehttp", at(bodySerial, clientOurs), at(bodySerial, clientFailsafe), 1.0/8),
		noAllocs(noop+", body not wrapped", at(emptySerial, clientOurs), at(emptyParallel, clientOurs), at(httpRefusedSerial, clientOurs), at(httpRefusedParallel, clientOurs)),
		ratio(noop, "serial, request's body wrapped and sent: switchgear ÷ failsafehttp", at(sentSerial, clientOurs), at(sentSerial, clientFailsafe), 1.0/8),
		allocsAtMost(noop+", body wrapped", 1, at(bodySerial, clientOurs), at(sentSerial, clientOurs)),

		ratio(handler, "serial: switchgear ÷ otelhttp", at(handlerSerial, handlerOurs), at(handlerSerial, handlerOtel), 1.0/2),
		allocsAtMost(handler, 4, at(handlerSerial, handlerOurs)),

		ratio(unary, "serial: switchgear ÷ failsafegrpc", at(unarySerial, grpcOurs), at(unarySerial, grpcFailsafe), 1.0/10),
		ratio(unary, "parallel: switchgear ÷ failsafegrpc", at(unaryParallel, grpcOurs), at(unaryParallel, grpcFailsafe), 1.0/10),
		noAllocs(unary, at(unarySerial, grpcOurs), at(unaryParallel, grpcOurs)),
		noAllocs(unary+", refused", at(unaryRefusedSerial, grpcOurs), at(unaryRefusedParallel, grpcOurs)),
		noAllocs(unary+", the call has an option", at(unaryOption, grpcOurs)),
		allocsAtMost("gRPC stream over a no-op streamer", 2, at(streamSerial, grpcOurs)),
		allocsAdded(wire, "unary, bufconn: client", at(unaryBufconn, grpcOurs), at(unaryBufconn, grpcBare), 0),
		allocsAdded(wire, "unary, bufconn: both sides", at(unaryBufconn, grpcBoth), at(unaryBufconn, grpcPassing), 0),
		allocsAdded(wire, "stream, bufconn: client", at(streamBufconn, grpcOurs), at(streamBufconn, grpcBare), 2),
		allocsAdded(wire, "stream, bufconn: both sides", at(streamBufconn, grpcBoth), at(streamBufconn, grpcPassing), 2),
	)
}
