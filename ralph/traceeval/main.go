// Traceeval replays recorded runs of agents through package detect, as it is by
// default, and through rules like those that other systems have, and prints how each
// did.
//
//	go run ./ralph/traceeval -data DIR
//
// DIR has one folder for each set of runs that is there:
//
//   - tau-bench-airline/runs.json: sierra-research/tau-bench, tool calls with a
//     reward of 0 or 1 for the task;
//   - hotpotqa-react/*.txt: noahshinn/reflexion, ReAct on HotpotQA, in sections
//     CORRECT, INCORRECT and HALTED; runs that are there twice count once;
//   - who-and-when/*.json: ag2ai/Agents_Failure_Attribution, Hand-Crafted: runs of a
//     team whose orchestrator says of each round whether it is in a loop;
//   - NAME.jsonl.gz: recorded runs, one a line, {"name", "label", "events"}: label is good,
//     bad or other; an event has k, which is step, user or handoff, and a step tool, args, out,
//     failed, exit, at in seconds, unit, tokens, a hand-off from, to, payload.
//
// A reward and a section say how a task ended, and not whether the agent went in
// circles: of these two sets, the false alarms are what counts. The third has labels
// of loops, by a language model. There are no times in any of them, so that rules
// about time find nothing.
//
// What a rule has found is counted once for each run. "bad" and "good" are how many
// runs of the sort it was found in; "precision" is the share of the bad among them,
// "recall" the share of all bad ones that was found. "lag" is how many rounds after
// the first that is labelled as a loop, in the median; "saved" and "lost" are the calls,
// or rounds, that were still to come, in bad and in good runs.
//
// At the end stands a line for each set, with intervals, and every trip on a good run with
// the steps that it is founded on. "plain loops" are runs in which calls are repeated to the
// letter, by a rule that knows nothing of ours. With -check, the command fails if a figure
// is worse than what is recorded here.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "traceeval:", err)
		}
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("traceeval", flag.ContinueOnError)
	data := flags.String("data", "", "the folder with the sets, or with folders of sets")
	check := flags.Bool("check", false, "fail if a figure is worse than what is recorded here")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *data == "" {
		return errors.New("-data is \"\", allowed: a folder with sets of runs")
	}
	var all []figures
	var missed []string
	for _, s := range sets() {
		path, ok := s.find(*data)
		if !ok {
			continue
		}
		traces, err := s.load(path)
		if err != nil {
			return err
		}
		f, err := figuresOf(&s, traces)
		if err != nil {
			return err
		}
		all = append(all, f)
		verdicts, err := s.report(out, traces)
		if err != nil {
			return err
		}
		missed = append(append(missed, verdicts...), s.least.missed(&f)...)
	}
	if all == nil {
		return fmt.Errorf("-data is %q, allowed: a folder with tau-bench-airline, hotpotqa-react, who-and-when or one of the files in it or in a folder of it", *data)
	}
	if err := summarize(out, all); err != nil {
		return err
	}
	if *check && missed != nil {
		return errors.New(strings.Join(missed, "\n"))
	}
	return nil
}

// find looks for the set in a folder, and in the folders in it.
func (s *set) find(data string) (path string, ok bool) {
	for _, pattern := range []string{data, filepath.Join(data, "*")} {
		if paths, _ := filepath.Glob(filepath.Join(pattern, s.dir)); paths != nil {
			return paths[0], true
		}
	}
	return "", false
}
