package ralph

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"github.com/blackbox4/switchgear/ralph/detect"
)

// record is what the store keeps of an agent, besides its events. Times are
// relative to Saved, because the clock of the next process is another one.
type record struct {
	Saved        time.Time          `json:"saved"`
	Name         string             `json:"name"`
	Parent       string             `json:"parent,omitempty"`
	Session      string             `json:"session,omitempty"`
	TaskID       string             `json:"task_id,omitempty"`
	State        State              `json:"state"`
	Cause        *Cause             `json:"cause,omitempty"`
	Since        time.Duration      `json:"since"`       // before Saved
	ResumeIn     time.Duration      `json:"resume_in"`   // after Saved; never
	EscalateIn   time.Duration      `json:"escalate_in"` // after Saved; never
	Attempts     int16              `json:"attempts,omitempty"`
	Iterates     bool               `json:"iterates,omitempty"`
	Fingerprints bool               `json:"fingerprints,omitempty"`
	Task         uint64             `json:"task,omitempty"`
	Seq          uint64             `json:"seq,omitempty"`
	Handoffs     uint64             `json:"handoffs,omitempty"`
	Hops         uint32             `json:"hops,omitempty"`
	Steps        [numResults]uint32 `json:"steps"`
	Limits       *limits            `json:"limits,omitempty"`
	Confidence   *float64           `json:"confidence,omitempty"`
	Run          []byte             `json:"run,omitempty"`
	Tree         []byte             `json:"tree,omitempty"`
}

// record reads the agent; it needs mu.
func (a *Agent) record(at time.Time, now time.Duration) record {
	until := func(d time.Duration) time.Duration {
		if d == never {
			return never
		}
		return max(d-now, 0)
	}
	r := record{
		Saved: at, Name: a.role.name, Session: a.identity().session, TaskID: a.identity().task, State: a.state, Cause: a.cause,
		Since: max(now-a.since, 0), ResumeIn: until(a.resumeAt), EscalateIn: until(a.escalateAt),
		Attempts: a.attempts, Iterates: a.iterates, Fingerprints: a.fingerprints, Task: a.task,
		Handoffs: a.handoffs, Hops: a.hops, Steps: a.steps,
	}
	if a.parent != nil {
		r.Parent = a.parent.id
	}
	if a.journal != nil {
		r.Seq = a.journal.seq
	}
	if a.limits != nil {
		own := *a.limits
		r.Limits = &own
	}
	if a.run != nil {
		r.Run, _ = a.run.AppendBinary(nil) // never fails
	}
	if a.limits != nil && a.limits.ownsTree {
		r.Tree, _ = a.tree.Load().AppendBinary(nil) // never fails
	}
	if word := a.lastConfidence.Load(); word != 0 {
		c := math.Float64frombits(word - 1)
		r.Confidence = &c
	}
	return r
}

// restore makes an agent that has its parent what it was.
func (a *Agent) restore(r *record, events []Event, at time.Time, now time.Duration) error {
	away := max(at.Sub(r.Saved), 0) // none if the clock was set back
	after := func(d time.Duration) time.Duration {
		if d == never {
			return never
		}
		return later(now, max(d-away, 0))
	}
	if err := a.reload(r, at); err != nil {
		return err
	}
	a.state, a.cause, a.since = r.State, r.Cause, now-r.Since-away
	a.attempts, a.iterates, a.fingerprints, a.task = r.Attempts, r.Iterates, r.Fingerprints, r.Task
	a.handoffs, a.hops, a.steps = r.Handoffs, r.Hops, r.Steps
	a.setIDs(r.Session, r.TaskID)
	if r.Seq > 0 || len(events) > 0 {
		a.journal = &journal{events: events, seq: r.Seq}
	}
	if c := r.Confidence; c != nil && *c >= 0 && *c <= 1 {
		a.lastConfidence.Store(math.Float64bits(*c) + 1)
	}
	switch a.state { //nolint:exhaustive // one that is running needs no more
	case Paused:
		a.resumeAt, a.escalateAt = after(r.ResumeIn), after(r.EscalateIn)
		a.refusal.Store(a.newRefusal(nil))
	case Escalated, Stopped:
		a.refusal.Store(a.newRefusal(nil))
	case Recovering:
		a.probation = new(probation)
	}
	a.seen.Store(int64(now))
	a.dormant = true
	return nil
}

// reload checks a record and takes in what it knows of budgets and the run.
func (a *Agent) reload(r *record, at time.Time) error {
	if r.State >= numStates || r.Since < 0 || r.ResumeIn < 0 || r.EscalateIn < 0 || r.Attempts < 0 {
		return errors.New("its state makes no sense")
	}
	if r.Cause == nil && (r.State == Paused || r.State == Recovering || r.State == Escalated) {
		return errors.New("it is not running and has no cause")
	}
	if r.Limits != nil {
		a.setOwn(r.Limits.Own)
		a.setTree(r.Limits.Tree)
	} else {
		a.setTree(detect.Budgets{})
	}
	if len(r.Tree) > 0 {
		if a.limits == nil || !a.limits.ownsTree {
			return errors.New("it has used a budget that it does not have")
		}
		if err := a.tree.Load().UnmarshalBinary(r.Tree); err != nil {
			return err
		}
	}
	if len(r.Run) > 0 {
		a.run = a.sup.detectorFor(a.limits).NewRun()
		if err := a.run.UnmarshalBinary(r.Run); err != nil {
			return err
		}
		a.run.Resume(at) // what is left of another process in the windows is stale
	}
	return nil
}

// A value in the store is JSON after a checksum of it and its key, so that one that
// was damaged, or has come to another key, is found out.
func seal(key []byte, v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return append(binary.BigEndian.AppendUint32(nil, checksum(key, text)), text...), nil
}

func unseal(key, value []byte, into any) error {
	const sum = 4
	if len(value) < sum || binary.BigEndian.Uint32(value) != checksum(key, value[sum:]) {
		return fmt.Errorf("the record of %s is damaged", quoted(string(key)))
	}
	if err := json.Unmarshal(value[sum:], into); err != nil {
		return fmt.Errorf("the record of %s: %w", quoted(string(key)), err)
	}
	return nil
}

func checksum(key, text []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Update(0, table, key), table, text)
}
