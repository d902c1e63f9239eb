package detect

import (
	"errors"
	"sync"
	"time"
)

// Reservation is a part of a [Budget] set aside. It is safe for concurrent use. The
// first Settle or Release ends it, later ones do nothing. It is made by
// [Budget.Reserve]; Settle of one that is nil or zero returns an error that says so.
type Reservation struct {
	tree *sync.Mutex // guards b
	b    *Budget     // nil when it has ended
	n    used
}

// Settle books what was used in place of what was set aside; the findings are like
// those of [Budget.Spend]. If a number of u is negative or not finite, what was set
// aside of it is taken to be used, and the error, a [*core.ConfigError], says so.
func (r *Reservation) Settle(u Use, at time.Time) ([]Finding, error) {
	if r == nil || r.tree == nil {
		return nil, errNoReservation
	}
	n, err := u.check("Use.")
	if err != nil {
		n = u.known(n, r.n)
	}
	return r.end(n, at), err
}

var errNoReservation = errors.New("detect: the Reservation is nil, or was not made by Reserve")

// Release gives back what was set aside: nothing was used.
func (r *Reservation) Release() { r.end(used{}, time.Time{}) }

func (r *Reservation) end(n used, at time.Time) []Finding {
	if r == nil || r.tree == nil {
		return nil
	}
	r.tree.Lock()
	defer r.tree.Unlock()
	b := r.b
	if b == nil {
		return nil
	}
	r.b = nil
	return b.book(n, r.n, at)
}
