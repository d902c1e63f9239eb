package detect

import (
	"testing"
	"unsafe"
)

// A hundred thousand agents have to fit.
func TestSizes(t *testing.T) {
	if n := unsafe.Sizeof(Run{}); n > 1792 {
		t.Errorf("a Run has %d bytes, more than it says", n)
	}
	if n := unsafe.Sizeof(Graph{}) + edgeRing*unsafe.Sizeof(hop{}) + maxAgents*(unsafe.Sizeof(agent{})+maxName); n > 12*1024 {
		t.Errorf("a full Graph has %d bytes, more than it says", n)
	}
	t.Log(unsafe.Sizeof(Run{}), unsafe.Sizeof(Graph{}), unsafe.Sizeof(hop{}), unsafe.Sizeof(agent{}), unsafe.Sizeof(Step{}))
}
