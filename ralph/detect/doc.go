// Package detect finds out that an agent has stopped getting anywhere: it repeats
// itself, fails in the same way, hands its work round in circles, waits for a
// human or has used up what it may use.
//
//	detector, err := detect.New(detect.Rules{})
//	if err != nil {
//		return err
//	}
//	run := detector.NewRun()
//	for step := range steps {
//		findings, err := run.Observe(step)
//		...
//	}
//
// A [Detector] holds the rules. A [Run] follows one agent, a [Graph] the hand-offs
// between the agents of one session, a [Budget] what several agents may use
// together. None of them starts a goroutine, reads a clock or talks to a model: all
// they know is what they are told, so that the same events give the same findings.
// Each costs the same at every step, and what it keeps is bounded whatever the
// agents do: a Run 1.8 kB, a Graph about 10 kB at most.
//
// A [Finding] has a [Level]. A nudge is something to tell the model; a trip is
// something to stop it for. Nearly every rule nudges first. A rule reports once
// when it reaches a level, not again at every step, and anew once what it saw has
// ended.
//
// # What is compared
//
// A call is the tool and its arguments, as JSON whose keys may be in any order. A
// repeat is a call with the same outcome as before: a call that is repeated with
// new outcomes is a poll, a page turned or a step in a debugger. Where arguments
// and outcomes are compared, ids that are new every time count for nothing: UUIDs,
// hexadecimal numbers of 7 digits and more with a letter among them, 0x…, times,
// durations, ports and paths of temporary files. Other numbers are kept in
// arguments, since they are what makes the items of a batch different, and count
// for nothing in outcomes. For the same reason a date without a time, and an id
// that is all there is, are kept in arguments.
//
// Only the head and the tail of long texts are looked at, and their length, so
// that 10 MB cost no more than 4 KiB.
//
// # What is progress
//
// Only the caller knows: see [Run.Progress], and [GitFingerprint] for agents that work on
// files. Without it the rules about progress are silent. Nudges, and calls that were
// refused, are never progress; see [Step].
//
// # What the numbers are
//
// By default no agent is stopped for the time or the iterations that it takes, only for
// what goes round in circles or fails. The numbers were measured on public traces of
// agents; see the command traceeval beside this package. [ProfileStrict] has those of the
// circuit breaker for agents that this package continues: 300 s, 100 iterations, 120 s
// without progress, 5 errors in a row. [Profile] says which profile to take.
//
// Numbers in outcomes tell noise from what moves. Where they go up and down, a trip takes
// twice as many repeats; where one goes in one direction alone, as a page or a percentage
// does, or changes while other work is done, as the number of tests that fail does, the
// outcome is another one. Words that say that something is not ready make a poll of a
// repeated call. The exit status 1 of grep, diff and the like is an answer and no error.
// Texts that say the same in other words are out of reach: they need a model.
package detect
