package core

import "runtime"

// WaitForHooks returns when every hook of an event so far has returned, also one
// that a goroutine runs because its caller was held for long enough.
func (b *Breaker) WaitForHooks() {
	if !b.made() {
		return
	}
	l := b.ledger.Load()
	for l != nil {
		l.mu.Lock()
		idle := !l.delivering && len(l.queue) == 0
		l.mu.Unlock()
		if idle {
			return
		}
		runtime.Gosched()
	}
}
