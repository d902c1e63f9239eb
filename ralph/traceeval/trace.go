package main

import (
	"github.com/blackbox4/switchgear/ralph/detect"
)

// sort is how a run ended.
type sort uint8

const (
	good  sort = iota // as it should
	bad               // in the way that is to be found
	other             // otherwise
)

// trace is a recorded run.
type trace struct {
	name   string
	sort   sort
	units  int // calls, or rounds
	first  int // the first round that is labelled as a loop, or -1
	labels []bool
	events []event
	unread []string // what could not be read and is left out, and why
}

// event is one thing that happened: a step of an agent, work handed to an agent, or
// a word of the user. Exactly one of the first three is set.
type event struct {
	step    *detect.Step
	handoff *detect.Handoff
	user    bool
	agent   string // who made the step
	unit    int    // during which call or round, from 0
}
