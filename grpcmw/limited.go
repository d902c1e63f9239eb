package grpcmw

import (
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/blackbox4/switchgear/core"
)

// ReasonLimited is the reason of the ErrorInfo in the refusal of a [core.Limit]: the
// server works, and the same call may succeed if it is made again.
const ReasonLimited = "LIMIT_REACHED"

// limitedThere is the outcome of a failure, unless the server says that only its
// concurrency limit has refused: then the breaker decides how long to believe that,
// see [core.Breaker.LimitedOutcome]. A Classify of the user's decides by itself.
func (c *client) limitedThere(gate core.Gate, err error) core.Outcome {
	b, ok := gate.(*core.Breaker)
	if !ok || !c.plain || !refusedFor(err, ReasonLimited) {
		return core.Failure
	}
	return b.LimitedOutcome()
}

// refusedFor reports whether err is the refusal of a server for a reason.
func refusedFor(err error, reason string) bool {
	for _, detail := range statusOf(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetReason() == reason && info.GetDomain() == Domain {
			return true
		}
	}
	return false
}
