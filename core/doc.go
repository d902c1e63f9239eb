// Package core is a circuit breaker: it keeps a failing dependency from taking
// its callers down, by refusing calls while it fails and by finding out, with a
// few probes, when it is well again.
//
// A [Breaker] is a [Gate]: Allow admits a call with a [Permit], or refuses it
// with an [*OpenError]. The permit is settled with what became of the call.
// [Do] and [Wrap] do both around a function.
//
//	closed ── a rule is broken ──→ open ── Timeout ──→ half-open ── SuccessThreshold successes ──→ closed
//	                                 ↑                     │
//	                                 └── a probe fails or is slow
//
// The rules, set by [Config]: consecutive failures; the share of failures, or of
// slow calls, in a window of the last calls or of the last seconds. Each stay
// in a state is a phase. A permit belongs to the phase that issued it: what it
// reports after that phase has ended is late, and changes nothing but a count.
//
// What holds:
//
//   - a probe that is not settled within ProbeTimeout is lost: it gives its place
//     back, so nothing can keep a breaker half-open for ever, but what becomes of
//     it still counts, so a dependency that is slow and well is let back;
//   - a call that the caller cancelled says nothing about the dependency; one
//     that ran into the caller's deadline failed; a panic and a
//     [runtime.Goexit] failed;
//   - hooks run in order, one at a time, with no lock held;
//   - a closed breaker and a refusal take no lock and allocate nothing, unless a
//     hook wants to know of each call; no timer is started but that of a context
//     with a CallTimeout, and no goroutine but one that finishes a queue of slow hooks;
//   - time is monotonic: setting the machine's clock changes nothing.
//
// A [Limit] is the other [Gate]: it bounds how many calls are in flight, by a fixed
// number or by one that it finds out from their latency. [All] of a limit and a
// breaker asks both.
//
// A [Registry] holds breakers by name, bounded whatever the names are. A
// breaker tells where it stands by [Breaker.Snapshot], [Breaker.Health] and, in
// words, [Breaker.Explain].
//
// In tests, run the code under testing/synctest: the breaker then lives on the
// bubble's clock. Make it inside the bubble. Where that does not fit, set
// Config.Now.
package core
