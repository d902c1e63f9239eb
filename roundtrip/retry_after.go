package roundtrip

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// RetryAfter returns the wait that a response with status 429 or 503 asks for by
// its Retry-After, in seconds or as a date in any of the three forms of HTTP. A
// date is taken relative to the response's own Date, if there is one, so that the
// clocks need not agree; one that has passed is zero. A number of seconds that
// does not fit is as long as there is. Anything else is nothing.
func RetryAfter(resp *http.Response) (wait time.Duration, ok bool) {
	if resp == nil || resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
		return 0, false
	}
	value := strings.Trim(resp.Header.Get("Retry-After"), " \t")
	if value == "" {
		return 0, false
	}
	if strings.Trim(value, "0123456789") == "" {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil || seconds > math.MaxInt64/int64(time.Second) {
			return math.MaxInt64, true
		}
		return time.Duration(seconds) * time.Second, true
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	from, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		from = time.Now()
	}
	return max(at.Sub(from), 0), true
}
