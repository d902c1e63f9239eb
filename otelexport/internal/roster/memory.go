package roster

import "time"

// maxPast bounds the names that are remembered after they were exported, 1 KiB each
// at most. It is what a registry remembers by default.
const maxPast = 10_000

// memory keeps a value for each of the last maxPast names. The zero memory is empty.
type memory[V any] struct {
	values map[string]remembered[V]
	order  []remembered[V] // oldest first, with some that were taken since
	puts   uint64
	lost   time.Time // when something was forgotten last
}

type remembered[V any] struct {
	name  string
	value V
	put   uint64
}

func (m *memory[V]) put(name string, v V) {
	if m.values == nil {
		m.values = make(map[string]remembered[V])
	}
	m.puts++
	one := remembered[V]{name, v, m.puts}
	m.values[name] = one
	m.order = append(m.order, one)
	for len(m.values) > maxPast || len(m.order) > 2*maxPast {
		first := m.order[0]
		m.order[0] = remembered[V]{}
		m.order = m.order[1:]
		if m.values[first.name].put == first.put {
			delete(m.values, first.name)
			m.lost = time.Now().Round(0)
		}
	}
}

// get returns the value of a name, or zero.
func (m *memory[V]) get(name string) V { return m.values[name].value }

// take returns the value of a name, which is then no longer in it, or zero.
func (m *memory[V]) take(name string) V {
	v := m.values[name].value
	delete(m.values, name)
	return v
}
