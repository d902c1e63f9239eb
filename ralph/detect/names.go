package detect

import (
	"maps"
	"sync"
	"sync/atomic"
)

// names knows the names of the tools that were seen, for evidence: a run keeps
// their hashes only. It is bounded; past that, new names stay unknown. Reading takes
// no lock.
type names struct {
	known atomic.Pointer[map[uint32]string]
	mu    sync.Mutex // held to add one
}

// note remembers the name whose hash is h.
func (n *names) note(h uint32, name string) {
	if known := n.known.Load(); known != nil {
		if _, ok := (*known)[h]; ok || len(*known) >= maxTools {
			return
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	more := map[uint32]string{}
	if known := n.known.Load(); known != nil {
		more = maps.Clone(*known)
	}
	if _, ok := more[h]; !ok && len(more) < maxTools {
		more[h] = clip(name)
	}
	n.known.Store(&more)
}

func (n *names) of(h uint32) string {
	if known := n.known.Load(); known != nil {
		return (*known)[h]
	}
	return ""
}
