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
//     team whose orchestrator says of each round whether it is in a loop.
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
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
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
	data := flags.String("data", "", "the folder with the sets")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *data == "" {
		return errors.New("-data is \"\", allowed: a folder with sets of runs")
	}
	found := 0
	for _, s := range sets() {
		dir := filepath.Join(*data, s.dir)
		if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
			continue
		}
		traces, err := s.load(dir)
		if err != nil {
			return err
		}
		found++
		if err := s.report(out, traces); err != nil {
			return err
		}
	}
	if found == 0 {
		return fmt.Errorf("-data is %q, allowed: a folder with tau-bench-airline, hotpotqa-react or who-and-when in it", *data)
	}
	return nil
}
