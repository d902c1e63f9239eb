// Package presets protects a function in one line: a breaker, retries and a
// time limit, by a named policy or by a file.
//
//	charge := presets.Protect("payments", presets.ExternalAPI(), gateway.Charge)
//	receipt, err := charge(ctx, order)
//
// [Protect] keeps the breakers in a [Registry], by name. The nine presets are
// functions, [Moderate] the one for everything; [Policy.With] changes a copy.
// [Fallback] adds what to do when all has failed.
//
// A file describes a whole fleet of breakers: policies by name and by pattern,
// each a preset and what differs from it. [Load] and [Decode] read it and refuse
// what they do not understand, with the line; [Watch] applies it again whenever
// it changes, without a breaker losing its state. presets/schema.json lets an
// editor check it.
//
// While a breaker is open, [Registry.CheckHealth] can ask the dependency itself
// whether it is well again.
package presets
