package core

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// MarshalJSON writes the transition with the text of Err, at most 256 bytes of it,
// and with [Transition.Reason]. It never fails.
func (t Transition) MarshalJSON() ([]byte, error) {
	type plain Transition
	return json.Marshal(struct {
		plain
		Err    string `json:"err,omitzero"`
		Reason string `json:"reason"`
	}{plain(t), reasonOf(t.Err), t.Reason()})
}

// UnmarshalJSON reads what MarshalJSON wrote. Err is then an error of that text,
// and matches no other.
func (t *Transition) UnmarshalJSON(text []byte) error {
	type plain Transition
	var read struct {
		plain
		Err string `json:"err"`
	}
	if err := json.Unmarshal(text, &read); err != nil {
		return fmt.Errorf("core: reading a transition: %w", err)
	}
	*t = Transition(read.plain)
	if read.Err != "" {
		t.Err = errors.New(read.Err)
	}
	return nil
}

// WriteJSON writes one JSON object: "stats", what [Registry.Stats] returns, and
// "breakers", a [Snapshot] of each in no order, with its transitions and, by its
// Config, its last calls. Each breaker is read and written before the next, so a
// registry of any size takes little memory. The error is that of w.
func (r *Registry) WriteJSON(w io.Writer) error {
	stats, err := json.Marshal(r.Stats())
	if err != nil {
		return err
	}
	write := func(parts ...[]byte) {
		for _, part := range parts {
			if err == nil {
				_, err = w.Write(part)
			}
		}
	}
	write([]byte(`{"stats":`), stats, []byte(`,"breakers":[`))
	separator := []byte("\n")
	for _, b := range r.All() {
		if err != nil {
			return err
		}
		var snapshot []byte
		if snapshot, err = json.Marshal(b.Snapshot()); err == nil {
			write(separator, snapshot)
		}
		separator = []byte(",\n")
	}
	write([]byte("]}\n"))
	return err
}
