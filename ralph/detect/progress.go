package detect

import (
	"time"
)

// Progress takes in what the agent's work looks like now: any text that is the same
// as long as nothing has changed, like that of [GitFingerprint]. It reports whether this is
// progress: a token that is new. One that was there before, among the last 24
// different ones, is none: work that is done and undone gets nowhere. The first one
// is where the agent starts, and no progress either. An empty token only says that
// there is none so far.
//
// The rules about progress begin to count with the first call; a caller that does
// not make one is not judged by them. Progress ends what the rules about repetition
// have counted. If the caller cannot tell, see [Run.ProgressUnknown].
func (r *Run) Progress(fingerprint string, at time.Time) bool {
	if !r.made() {
		return false
	}
	s, now := &r.s, r.clock.now(at)
	if !s.Fingerprints.Armed {
		s.NoProgress.Since = now
	}
	if !s.Fingerprints.add(fingerprint) {
		return false
	}
	s.Totals.Progress++
	for _, forget := range r.d.table.progresses {
		forget(r, now)
	}
	return true
}

// ProgressUnknown says that the caller cannot tell whether there was progress: looking has
// failed. The rules about progress count anew from here.
func (r *Run) ProgressUnknown(at time.Time) {
	if !r.made() {
		return
	}
	forgetNoProgress(r, r.clock.now(at))
}
