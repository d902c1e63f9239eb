package core

import (
	"errors"
	"fmt"
)

// pendingConfig is what an Update is about to make current. While it is pending,
// each name that is new is checked by it too, so that Update need not look for names
// that came after it began.
type pendingConfig struct {
	config func(string) Config
	faults []error // of names that came meanwhile; guarded by Registry.mu
}

const maxPendingFaults = 100 // more tell nothing more, and names come from outside

// check returns what is wrong with the pending Config of a name.
func (p *pendingConfig) check(name string) error {
	if p == nil {
		return nil
	}
	return validFor(name, p.config(name))
}

func validFor(name string, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("breaker %q: %w", name, err)
	}
	return nil
}

func (p *pendingConfig) addLocked(fault error) {
	if p != nil && fault != nil && len(p.faults) < maxPendingFaults {
		p.faults = append(p.faults, fault)
	}
}

// Update replaces the func that gives the Config for a name and applies it to
// every breaker, as [Breaker.Update] does. It is all or nothing: if config returns
// a Config that is not valid for any of the breakers, those that are made while
// Update looks at them included, nothing is changed and the error, joined, names
// each. When that is sure, names that are new get the new Config, and then the
// breakers one after the other. A lookup never waits for Update, however long it
// takes; a new name waits at most for the config that is pending. An Update that is
// called while another runs follows it. For one breaker alone, use its own Update.
//
// The config must give the same Config for a name each time: it is asked twice, first
// to check it. Where it returns one that is not valid only the second time, the breaker
// stays as it was and the error names it, though the others are changed. It must not
// call Update.
func (r *Registry) Update(config func(name string) Config) error {
	if r == nil {
		return errNilRegistry()
	}
	r.setup()
	due, err := r.updateAll(&config)
	for _, b := range due {
		defer b.deliver() // deferred: one's hook may call Goexit
	}
	return err
}

// updateAll is Update but for the events that it causes: those of the breakers that
// it returns are to be delivered.
func (r *Registry) updateAll(config *func(string) Config) (due []*Breaker, err error) {
	r.updating.Lock()
	defer r.updating.Unlock()
	if err := r.prepare(config); err != nil {
		return nil, err
	}
	var faults []error
	for name, e := range r.entries() {
		if e.made == config {
			continue // made after the config became current
		}
		cfg := configOf(config, name)
		if err := validFor(name, cfg); err != nil {
			faults = append(faults, err)
			continue
		}
		e.breaker.update(cfg)
		e.made = config
		if l := e.breaker.ledger.Load(); l != nil && l.queue.Waiting() {
			due = append(due, e.breaker)
		}
	}
	return due, errors.Join(faults...)
}

// prepare checks the Config of every breaker and makes config current for names that
// are new.
func (r *Registry) prepare(config *func(string) Config) error {
	pending := &pendingConfig{config: func(name string) Config { return configOf(config, name) }}
	r.setPending(pending)
	defer r.setPending(nil) // also when config panics
	// From here on, a name that is new is checked by the goroutine that adds it; one
	// that was added before is in the map.
	var faults []error
	for name := range r.entries() {
		if err := pending.check(name); err != nil {
			faults = append(faults, err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if faults = append(faults, pending.faults...); len(faults) > 0 {
		return errors.Join(faults...)
	}
	r.config.Store(config)
	return nil
}

func (r *Registry) setPending(p *pendingConfig) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending.Store(p)
}
