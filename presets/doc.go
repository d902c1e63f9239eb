// Package presets protects a function in one line: a breaker, a time limit and, where
// they are asked for, retries, by a named policy or by a file.
//
//	charge := presets.MustProtect("payments", presets.ExternalAPI(), gateway.Charge)
//	receipt, err := charge(ctx, order)
//
// [Protect] keeps the breakers in a [Registry], by name. The nine presets are
// functions, [Moderate] the one for everything; [Policy.With] changes a copy.
// [Fallback] adds what to do when all has failed.
//
// A preset says how a call that failed is made again; whether it is, [Policy.WithRetry]
// says, or retry_enabled in a file. Without it nothing is ever sent twice, and
// FailureThreshold counts the caller's calls. With it, a call that may have had its
// effect is made a second time, since a lost answer looks like a failure: a payment
// needs a key by which the gateway knows it again. [Policy.WithoutRetry], or retry:
// none in a file, switches retries off.
//
// Every preset opens, besides, on half of the last 100 calls, from 20 on, as
// [core.Config] does by default, and keeps statistics: durations with percentiles, five
// minutes of history and the last 100 calls. That costs: on two cores a successful
// call through a closed breaker takes 150 ns in place of 25 (parallel 220 in place of
// 30), most of it readings of the clock, and a breaker that is called 23 KB in place of
// 1 KB (BenchmarkStatistics). Where that is too much, set Durations, History and
// RecentCalls to zero, or durations: false, history: -1s and recent_calls: -1 in the
// defaults of a file.
//
// A file describes a whole fleet of breakers: policies by name and by pattern,
// each a preset and what differs from it. [Load] and [Decode] read it and refuse
// what they do not understand, with the line; [Watch] applies it again whenever
// it changes, without a breaker losing its state. presets/schema.json lets an
// editor check it.
//
// While a breaker is open, [Registry.CheckHealth] can ask the dependency itself
// whether it is well again. [Registry.KeepState] lets a break survive a restart.
package presets
