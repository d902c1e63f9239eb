package detect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
)

// What is written begins with a byte for the sort, one for the version, and the
// checksum of the rest.
const (
	version    = 3
	kindRun    = 'r'
	kindGraph  = 'g'
	kindBudget = 'b'
	headSize   = 6
)

// seal writes the head of what was appended to b from at on.
func seal(b []byte, at int, kind byte) []byte {
	b[at], b[at+1] = kind, version
	binary.LittleEndian.PutUint32(b[at+2:], crc32.ChecksumIEEE(b[at+headSize:]))
	return b
}

// unseal returns the rest of data, or what is wrong with it.
func unseal(data []byte, kind byte, what string) ([]byte, error) {
	switch {
	case len(data) < headSize:
		return nil, fmt.Errorf("detect: saved %s has %d bytes, at least %d are needed", what, len(data), headSize)
	case data[0] != kind:
		return nil, fmt.Errorf("detect: saved %s begins with %#x, allowed: %#x", what, data[0], kind)
	case data[1] != version:
		return nil, fmt.Errorf("detect: saved %s is of version %d, allowed: %d", what, data[1], version)
	case binary.LittleEndian.Uint32(data[2:]) != crc32.ChecksumIEEE(data[headSize:]):
		return nil, fmt.Errorf("detect: saved %s is damaged: its checksum does not match", what)
	}
	return data[headSize:], nil
}

// What is saved, but for the lists of a Graph. All of it has a fixed size.
type (
	savedRun struct {
		Clock clockState
		State runState
	}
	savedGraph struct {
		Clock clockState
		State graphState
	}
)

// AppendBinary appends all that r knows, about 2.1 kB. It never fails.
func (r *Run) AppendBinary(b []byte) ([]byte, error) {
	if !r.made() {
		return b, errNoRun
	}
	at := len(b)
	b, err := binary.Append(append(b, make([]byte, headSize)...), binary.LittleEndian, &savedRun{r.clock.clockState, r.s})
	if err != nil {
		return nil, err
	}
	return seal(b, at, kindRun), nil
}

// UnmarshalBinary makes r what it was when data was written. The error says what is
// wrong with data; r is then as before. The rules are those of r's Detector.
func (r *Run) UnmarshalBinary(data []byte) error {
	if !r.made() {
		return errNoRun
	}
	data, err := unseal(data, kindRun, "run")
	if err != nil {
		return err
	}
	var saved savedRun
	s := &saved.State
	if err := decode(data, &saved, "run"); err != nil {
		return err
	}
	if s.Ring.Next >= ringSize || s.Ring.Len > ringSize || s.Ring.KeptAt >= recent || s.Cycle.Period > maxPeriod || s.ErrorRate.At < 0 || saved.Clock.Last < 0 || !s.Fingerprints.valid() {
		return errDamaged("run")
	}
	r.s, r.clock, r.found = *s, clock{clockState: saved.Clock}, nil
	return nil
}

// decode reads what has a fixed size, and is all that there is.
func decode(data []byte, into any, what string) error {
	if size := binary.Size(into); len(data) != size {
		return fmt.Errorf("detect: saved %s has %d bytes, %d were expected", what, len(data)+headSize, size+headSize)
	}
	_, err := binary.Decode(data, binary.LittleEndian, into)
	return err
}

func errDamaged(what string) error {
	return errors.New("detect: saved " + what + " is damaged: it cannot have been so")
}

// AppendBinary appends all that g knows, the names of agents included, at most
// 12 kB. It never fails.
func (g *Graph) AppendBinary(b []byte) ([]byte, error) {
	if !g.made() {
		return b, errNoGraph
	}
	at := len(b)
	b = append(b, make([]byte, headSize)...)
	b, err := binary.Append(b, binary.LittleEndian, &savedGraph{g.clock.clockState, g.s})
	if err != nil {
		return nil, err
	}
	b = append(b, byte(len(g.hops)), byte(len(g.agents)))
	for i := range g.hops {
		if b, err = binary.Append(b, binary.LittleEndian, &g.hops[i]); err != nil {
			return nil, err
		}
	}
	for i := range g.agents {
		if b, err = binary.Append(b, binary.LittleEndian, &g.agents[i].agentState); err != nil {
			return nil, err
		}
		b = append(append(b, byte(len(g.agents[i].name))), g.agents[i].name...)
	}
	return seal(b, at, kindGraph), nil
}

// UnmarshalBinary makes g what it was when data was written. The error says what is
// wrong with data; g is then as before.
func (g *Graph) UnmarshalBinary(data []byte) error {
	if !g.made() {
		return errNoGraph
	}
	data, err := unseal(data, kindGraph, "graph")
	if err != nil {
		return err
	}
	var saved savedGraph
	n, err := binary.Decode(data, binary.LittleEndian, &saved)
	if err != nil || len(data) < n+2 {
		return errShort
	}
	hops, agents := int(data[n]), int(data[n+1])
	data = data[n+2:]
	fresh := Graph{d: g.d, s: saved.State}
	s := &fresh.s
	if hops > edgeRing || agents > maxAgents || int(s.Next) >= edgeRing || hops < edgeRing && int(s.Next) != hops ||
		int(s.Acting) >= len(s.Acts) || saved.Clock.Last < 0 || !s.Fingerprints.valid() {
		return errDamaged("graph")
	}
	fresh.hops, fresh.agents = make([]hop, hops), make([]agent, agents)
	for i := range fresh.hops {
		if n, err = binary.Decode(data, binary.LittleEndian, &fresh.hops[i]); err != nil {
			return errShort
		}
		data = data[n:]
	}
	for i := range fresh.agents {
		if n, err = binary.Decode(data, binary.LittleEndian, &fresh.agents[i].agentState); err != nil || len(data) <= n {
			return errShort
		}
		size := int(data[n])
		data = data[n+1:]
		if len(data) < size {
			return errShort
		}
		fresh.agents[i].name = clip(string(data[:size]))
		data = data[size:]
	}
	if len(data) != 0 {
		return errDamaged("graph")
	}
	fresh.clock = clock{clockState: saved.Clock}
	*g = fresh
	return nil
}

var errShort = errors.New("detect: saved graph ends too early")

// budgetState is what is saved of a Budget.
type budgetState struct {
	Clock  clockState
	Event  time.Duration
	Used   used
	Levels [numRules]Level
}

// AppendBinary appends what was used, without what is set aside. It never fails.
func (b *Budget) AppendBinary(data []byte) ([]byte, error) {
	if !b.made() {
		return data, errNoBudget
	}
	b.tree.Lock()
	defer b.tree.Unlock()
	at := len(data)
	s := budgetState{Clock: b.clock.clockState, Event: b.event, Used: b.used, Levels: b.levels}
	data, err := binary.Append(append(data, make([]byte, headSize)...), binary.LittleEndian, &s)
	if err != nil {
		return nil, err
	}
	return seal(data, at, kindBudget), nil
}

// UnmarshalBinary makes what was used of b, but not of its parent, what it was when
// data was written; the limits stay those of b. The error says what is wrong with
// data; b is then as before.
func (b *Budget) UnmarshalBinary(data []byte) error {
	if !b.made() {
		return errNoBudget
	}
	data, err := unseal(data, kindBudget, "budget")
	if err != nil {
		return err
	}
	var s budgetState
	if err := decode(data, &s, "budget"); err != nil {
		return err
	}
	if s.Clock.Last < 0 || min(s.Used.Iterations, s.Used.Tokens, s.Used.Cost, s.Used.Calls, s.Used.Hops) < 0 {
		return errors.New("detect: saved budget is damaged: an amount is below zero")
	}
	b.tree.Lock()
	defer b.tree.Unlock()
	b.clock, b.event, b.used, b.levels = clock{clockState: s.Clock}, s.Event, s.Used, s.Levels
	b.out.Store(nil)
	b.judge(nil, false)
	return nil
}
