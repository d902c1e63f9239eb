package ralph

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

// store writes agents to a file, behind the calls that change them. The file is a
// bbolt database: transactions that are there whole or not at all after a crash, a
// lock against a second process, and one file of pure Go that needs no care.
//
//	meta     format, schema, and how many records there are
//	agents   id → record
//	events   id → the agent's last events
//
// One goroutine writes. It waits a moment after the first change, so that many
// become one transaction.
type store struct {
	sup  *Supervisor
	path string
	db   *bbolt.DB
	file *os.File // that of db

	// broken is why db is not used any more: it has panicked. It may have done so again
	// when it took back what it had begun, and then it holds a lock for ever that each
	// transaction and its Close wait for. It is the writer's.
	broken error

	wake chan struct{} // something has changed
	stop chan struct{} // closed by close
	done chan struct{} // closed when the writer has ended

	ending  sync.Once
	mu      sync.Mutex // after Agent.mu
	changed []*Agent
	writing int   // agents that are being written
	err     error // of the last attempt
}

const (
	schema          = 2
	format          = "switchgear ralph"
	writeAfter      = 200 * time.Millisecond
	writeRetryAfter = time.Second
	maxRetry        = 30 * time.Second
	lockWait        = time.Second
	perWrite        = 2000 // agents in a transaction
)

func quotedPath(path string) string { return strconv.Quote(path) }

// save leaves the agent to be written. It needs mu.
func (a *Agent) save(events bool) {
	st := a.sup.store
	if st == nil {
		return
	}
	a.eventsDirty = a.eventsDirty || events
	if !a.dirty {
		a.dirty = true
		st.add(a)
	}
}

func (st *store) add(a *Agent) {
	st.mu.Lock()
	st.changed = append(st.changed, a)
	st.mu.Unlock()
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

// health says how many agents wait to be written, and what is wrong.
func (st *store) health() (unsaved int, fault string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.err != nil {
		fault = st.err.Error()
	}
	return len(st.changed) + st.writing, fault
}

// close writes what there is to write and gives the file back.
func (st *store) close(ctx context.Context) error {
	st.ending.Do(func() { close(st.stop) })
	select {
	case <-st.done:
	case <-ctx.Done():
		select {
		case <-st.done: // all the same
		default:
			return ctx.Err()
		}
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.err
}

// run is the writer.
func (st *store) run() {
	defer close(st.done)
	defer func() {
		if err := st.closeFile(); err != nil {
			st.report(err)
		}
	}()
	wait, timer := writeAfter, time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-st.wake:
		case <-st.stop:
			st.report(st.write())
			return
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-st.stop:
			st.report(st.write())
			return
		}
		err := st.write()
		st.report(err)
		switch {
		case err == nil:
			wait = writeAfter
		case wait < writeRetryAfter:
			wait = writeRetryAfter
		default:
			wait = min(2*wait, maxRetry)
		}
		if err != nil {
			select {
			case st.wake <- struct{}{}: // again
			default:
			}
		}
	}
}

// closeFile closes the file, with the database if that is whole.
func (st *store) closeFile() error {
	if st.broken == nil {
		return st.db.Close()
	}
	_ = st.file.Close() // which also ends the lock; what is wrong with the file is known
	return st.broken
}

// report notes how a write went, and tells it when that has changed.
func (st *store) report(err error) {
	if err != nil {
		problem := "cannot be written; agents go on, and it is tried again"
		if st.broken != nil {
			problem = "was changed or damaged by something else, and is not written any more; agents go on" + restoreIt + ", and start again"
		}
		err = &StoreError{Path: st.path, Problem: problem, Err: err}
	}
	st.mu.Lock()
	was := st.err
	st.err = err
	st.mu.Unlock()
	if (was == nil) == (err == nil) {
		return
	}
	s := st.sup
	at, _ := s.clock()
	e := Event{At: at, Kind: EventStore, Note: "the store " + quotedPath(st.path) + " can be written again"}
	if err != nil {
		e.Note = err.Error()
	}
	s.delivery.add(e)
	s.delivery.queue.DeliverAside(&s.delivery) // a hook must not hold or end the writer
}

// write writes all that has changed. What could not be written waits on.
func (st *store) write() error {
	st.mu.Lock()
	changed := st.changed
	st.changed, st.writing = nil, len(changed)
	st.mu.Unlock()
	defer func() {
		st.mu.Lock()
		st.writing = 0
		st.mu.Unlock()
	}()
	for len(changed) > 0 {
		n := min(len(changed), perWrite)
		err := st.put(changed[:n])
		changed = changed[n:]
		if err != nil {
			st.requeue(changed)
			return err
		}
	}
	return nil
}

// requeue puts agents back that could not be written.
func (st *store) requeue(agents []*Agent) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.changed = append(agents, st.changed...)
}

// saved is an agent as it is to be written.
type saved struct {
	agent       *Agent
	evicted     bool // it was evicted
	superseded  bool // and its record is another's
	record      record
	eventsDirty bool
	events      []Event
}

// requeueSaved puts back what was to be written.
func (st *store) requeueSaved(all []saved) {
	var again []*Agent
	for i := range all {
		a := all[i].agent
		a.mu.Lock()
		a.eventsDirty = a.eventsDirty || all[i].eventsDirty
		if !a.dirty { // else it has changed meanwhile, and is in the list
			a.dirty = true
			again = append(again, a)
		}
		a.mu.Unlock()
	}
	st.requeue(again)
}

// put writes agents in one transaction.
func (st *store) put(agents []*Agent) (err error) {
	if st.broken != nil {
		st.requeue(agents)
		return st.broken
	}
	// The file is mapped into memory: if it was cut short, reading it is a fault, and if
	// another program has written into it, bbolt panics.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	all := make([]saved, len(agents))
	at, now := st.sup.clock()
	at = at.Round(0)
	for i, a := range agents {
		successor, _ := st.sup.Agent(a.id) // of the same id, if a was evicted
		a.mu.Lock()
		all[i] = saved{agent: a, evicted: a.evicted.Load(), eventsDirty: a.eventsDirty}
		if !all[i].evicted {
			all[i].record = a.record(at, now)
			if all[i].eventsDirty && a.journal != nil {
				all[i].events = append([]Event(nil), a.journal.events...)
			}
		}
		all[i].superseded = all[i].evicted && successor != nil && successor != a
		a.dirty, a.eventsDirty = false, false
		a.mu.Unlock()
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the database has panicked: %v", p)
			st.broken = err
		}
		if err != nil {
			st.requeueSaved(all)
		}
	}()
	return st.db.Update(func(tx *bbolt.Tx) error {
		records, events := counted{tx, agentsBucket}, counted{tx, eventsBucket}
		for i := range all {
			one, key := &all[i], []byte(all[i].agent.id)
			if one.superseded {
				continue
			}
			if one.evicted {
				if err := errors.Join(records.remove(key), events.remove(key)); err != nil {
					return err
				}
				continue
			}
			if err := records.put(key, &one.record); err != nil {
				return err
			}
			if len(one.events) > 0 {
				if err := events.put(key, one.events); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
