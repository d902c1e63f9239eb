package main

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/blackbox4/switchgear/ralph/detect"
)

// recorded is one run of a file with a run on each line.
type recorded struct {
	Name   string
	Label  string
	Events []recordedEvent
}

type recordedEvent struct {
	K                 string
	Tool, Args, Out   string
	Failed            bool
	Exit              int
	At                float64 // seconds
	Unit              int
	Tokens            int64
	Agent             string
	From, To, Payload string
}

// loadRecorded reads a file of JSON lines, compressed by gzip.
func loadRecorded(path string) (traces []trace, err error) {
	file, err := os.Open(path) //nolint:gosec // the user has named the folder
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	lines, err := gzip.NewReader(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for d := json.NewDecoder(bufio.NewReader(lines)); ; {
		var run recorded
		switch err := d.Decode(&run); {
		case errors.Is(err, io.EOF):
			return traces, nil
		case err != nil:
			return nil, fmt.Errorf("%s: run %d: %w", path, len(traces)+1, err)
		}
		t, err := run.trace()
		if err != nil {
			return nil, fmt.Errorf("%s: run %d: %w", path, len(traces)+1, err)
		}
		traces = append(traces, t)
	}
}

func (r *recorded) trace() (trace, error) {
	t := trace{name: r.Name, first: -1}
	switch r.Label {
	case "good":
		t.sort = good
	case "bad":
		t.sort = bad
	case "other":
		t.sort = other
	default:
		return t, fmt.Errorf("label is %q, allowed: good, bad, other", r.Label)
	}
	for i := range r.Events {
		e := &r.Events[i]
		one := event{unit: e.Unit, agent: e.Agent}
		var at time.Time
		if e.At > 0 {
			at = time.Unix(0, int64(e.At*float64(time.Second)))
		}
		switch e.K {
		case "user":
			one.user = true
		case "handoff":
			one.handoff = &detect.Handoff{At: at, From: e.From, To: e.To, Payload: e.Payload}
		case "step":
			one.step = &detect.Step{At: at, Tool: e.Tool, Args: e.Args, Output: e.Out, Failed: e.Failed, Exit: e.Exit, Tokens: e.Tokens}
		default:
			return t, fmt.Errorf("event %d: k is %q, allowed: step, user, handoff", i+1, e.K)
		}
		t.units = max(t.units, e.Unit+1)
		t.events = append(t.events, one)
	}
	return t, nil
}
