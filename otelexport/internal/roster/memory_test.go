package roster

import (
	"fmt"
	"testing"
)

// The last ones are remembered, however many there were and however often one of them
// is taken and comes back.
func TestMemory(t *testing.T) {
	var m memory[int]
	for i := range 3 * maxPast {
		m.put(fmt.Sprint(i), i+1)
		m.put("often", i+1)
		if i%2 == 0 && m.take("often") != i+1 {
			t.Fatalf("what was just put is not there, at %d", i)
		}
	}
	if n := len(m.values); n > maxPast {
		t.Errorf("%d are remembered, want %d at most", n, maxPast)
	}
	if n := len(m.order); n > 2*maxPast {
		t.Errorf("%d in order", n)
	}
	last := 3*maxPast - 1
	if got := m.get(fmt.Sprint(last)); got != last+1 {
		t.Errorf("the last one is %d", got)
	}
	if m.get("0") != 0 || m.lost.IsZero() {
		t.Error("the first one is remembered, or it is not noted that it is not")
	}
	if m.take(fmt.Sprint(last)) != last+1 || m.take(fmt.Sprint(last)) != 0 {
		t.Error("it is there after it was taken")
	}
}
