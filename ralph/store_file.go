package ralph

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// open opens or makes the file, takes in the agents that are in it, and starts
// the writer.
func (s *Supervisor) open(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return &StoreError{Path: path, Problem: "has no absolute path", Err: err}
	}
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		if err := create(path); err != nil {
			return err
		}
	}
	db, file, err := openFile(path)
	if err != nil {
		return err
	}
	st := &store{sup: s, path: path, db: db, file: file, wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	if err := st.load(); err != nil {
		return errors.Join(err, db.Close())
	}
	s.store = st
	go st.run()
	for _, a := range s.agents {
		a.mu.Lock()
		a.schedule()
		a.mu.Unlock()
	}
	return nil
}

// create makes an empty store under another name first: what is at path is whole,
// whenever the process ends. If another process was faster, its file stays.
func create(path string) error {
	fault := func(err error) error {
		return &StoreError{Path: path, Problem: "cannot be made", Err: err}
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new*")
	if err != nil {
		return fault(err)
	}
	temporary := f.Name()
	defer os.Remove(temporary) // if it is still there
	if err := f.Close(); err != nil {
		return fault(err)
	}
	db, err := bbolt.Open(temporary, 0o600, &bbolt.Options{Timeout: lockWait})
	if err != nil {
		return fault(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range []string{metaBucket, agentsBucket, eventsBucket} {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		meta, zero := tx.Bucket([]byte(metaBucket)), make([]byte, 8)
		return errors.Join(
			meta.Put([]byte("format"), []byte(format)), meta.Put([]byte("schema"), []byte(strconv.Itoa(schema))),
			meta.Put([]byte(agentsBucket), zero), meta.Put([]byte(eventsBucket), zero))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return fault(err)
	}
	if err := os.Link(temporary, path); err != nil && !errors.Is(err, os.ErrExist) {
		// Not every file system has links.
		if err := os.Rename(temporary, path); err != nil {
			return fault(err)
		}
	}
	return nil
}

const restoreIt = "; restore it from a backup, or move it away to begin without what it knew"

// openFile opens what is at path, which must be a store, or says what is wrong; file is
// the database's own. It is looked at first by a reader, who believes no more of it than has a checksum.
func openFile(path string) (db *bbolt.DB, file *os.File, err error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, nil, &StoreError{Path: path, Problem: "cannot be opened", Err: err}
	case !info.Mode().IsRegular():
		return nil, nil, &StoreError{Path: path, Problem: "is not a regular file"}
	case info.Size() == 0:
		return nil, nil, &StoreError{Path: path, Problem: "is empty, which a store never is" + restoreIt}
	}
	options := bbolt.Options{Timeout: lockWait, ReadOnly: true, OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
		var err error
		file, err = os.OpenFile(name, flag&^os.O_CREATE, mode) //nolint:gosec // the path is the caller's to choose
		return file, err
	}}
	if db, err = bbolt.Open(path, 0o600, &options); err != nil {
		return nil, nil, openFault(path, err)
	}
	err = db.View(func(tx *bbolt.Tx) error {
		size := db.Info().PageSize
		if info, err := file.Stat(); err != nil || info.Size() < tx.Size() {
			return errors.Join(err, fmt.Errorf("it was cut short: there are less than %d bytes", tx.Size()))
		}
		return verify(file, size, tx.ID()%2, int(tx.Size()/int64(size)))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return nil, nil, &StoreError{Path: path, Problem: "is corrupt" + restoreIt, Err: err}
	}
	options.ReadOnly = false
	if db, err = bbolt.Open(path, 0o600, &options); err != nil {
		return nil, nil, openFault(path, err)
	}
	return db, file, nil
}

// openFault says why bbolt did not open the file.
func openFault(path string, err error) error {
	e := &StoreError{Path: path, Problem: "is corrupt, or not a store" + restoreIt, Err: err}
	if errors.Is(err, berrors.ErrTimeout) {
		e.Problem = "is in use by another process or supervisor; each needs a file of its own"
	} else if _, ok := errors.AsType[*os.PathError](err); ok {
		e.Problem = "cannot be opened"
	}
	return e
}

// load takes in what the file holds, all of it or nothing.
func (st *store) load() error {
	corrupt := func(err error) error {
		return &StoreError{Path: st.path, Problem: "is corrupt" + restoreIt, Err: err}
	}
	return st.db.View(func(tx *bbolt.Tx) error {
		meta := tx.Bucket([]byte(metaBucket))
		if meta == nil || string(meta.Get([]byte("format"))) != format {
			return &StoreError{Path: st.path, Problem: "is a database of another program; choose another path"}
		}
		if v, err := strconv.Atoi(string(meta.Get([]byte("schema")))); err != nil {
			return corrupt(errors.New("its schema has no number"))
		} else if v != schema {
			return &StoreError{Path: st.path, Problem: fmt.Sprintf("has schema %d, and this version knows %d: it was written by another version; use that, or another path", v, schema)}
		}
		records, err := read[record](tx, agentsBucket)
		if err != nil {
			return corrupt(err)
		}
		events, err := read[[]Event](tx, eventsBucket)
		if err != nil {
			return corrupt(err)
		}
		if most := st.sup.cfg.MaxAgents; len(records) > most {
			return &StoreError{Path: st.path, Problem: fmt.Sprintf("holds %d agents, and MaxAgents is %d; raise that", len(records), most)}
		}
		if err := st.sup.restore(records, events); err != nil {
			return corrupt(err)
		}
		return nil
	})
}

// restore makes the agents that records describe, parents first.
func (s *Supervisor) restore(records map[string]*record, events map[string]*[]Event) error {
	at, now := s.clock()
	var agent func(id string, depth int) (*Agent, error)
	agent = func(id string, depth int) (*Agent, error) {
		if a := s.agents[id]; a != nil {
			return a, nil
		}
		r := records[id]
		if r == nil || depth > maxDepth {
			return nil, fmt.Errorf("agent %s has no record, or is below itself", quoted(id))
		}
		if err := s.check(id, Options{Name: r.Name, Parent: r.Parent, Session: r.Session, Task: r.TaskID}); err != nil {
			return nil, err
		}
		a := s.newAgent(id, now)
		a.role = s.roles.get(r.Name)
		if r.Parent != "" {
			var err error
			if a.parent, err = agent(r.Parent, depth+1); err != nil {
				return nil, err
			}
		}
		var last []Event
		if e := events[id]; e != nil {
			last = (*e)[max(len(*e)-s.cfg.Events, 0):]
		}
		if err := a.restore(r, last, at, now); err != nil {
			return nil, fmt.Errorf("agent %s: %w", quoted(id), err)
		}
		s.add(a)
		return a, nil
	}
	for id := range records {
		if _, err := agent(id, 0); err != nil {
			return err
		}
	}
	return nil
}
