package ralph

import "maps"

// Stats sum up a [Supervisor].
type Stats struct {
	Agents int           `json:"agents"`
	States map[State]int `json:"states"` // those that there are
	// EventsDropped counts events that OnEvent and Logger were not told of,
	// HookPanics panics of both.
	EventsDropped uint64 `json:"events_dropped"`
	HookPanics    uint64 `json:"hook_panics"`
	// StoreError says why the file could not be written the last time; empty if
	// it could, or if there is none.
	StoreError string `json:"store_error,omitempty"`
	// Unsaved is how many agents have changed since they were last written, those
	// that are being written included: when it is 0, all is in the file.
	Unsaved int `json:"unsaved"`
}

// Stats reads what there is to tell of all agents together.
func (s *Supervisor) Stats() Stats {
	st := Stats{States: make(map[State]int)}
	if s == nil {
		return st
	}
	s.mu.RLock()
	st.Agents = len(s.agents)
	s.mu.RUnlock()
	for i := range s.states {
		st.States[State(i)] = int(s.states[i].Load())
	}
	maps.DeleteFunc(st.States, func(_ State, n int) bool { return n == 0 })
	st.EventsDropped, st.HookPanics = s.delivery.queue.Counts()
	if s.store != nil {
		st.Unsaved, st.StoreError = s.store.health()
	}
	return st
}
