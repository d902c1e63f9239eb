package roster

import (
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
)

// Again is how long a trouble that goes on is not told again.
const Again = time.Hour

// Trouble tells OpenTelemetry's error handler of one kind of trouble, at most
// once in [Again]: collections are many. The zero Trouble is ready. It is safe for
// concurrent use.
type Trouble struct{ until atomic.Pointer[time.Time] }

// Tell tells err unless one was told lately.
func (t *Trouble) Tell(err error) {
	now := time.Now()
	until := t.until.Load()
	if until != nil && now.Before(*until) {
		return
	}
	next := now.Add(Again)
	if t.until.CompareAndSwap(until, &next) {
		otel.Handle(err)
	}
}
