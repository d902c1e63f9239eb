//nolint:bodyclose // helpers close them, out of its sight; TestNothingLeaks counts
package roundtrip_test

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/roundtrip"
)

const (
	rfc850  = "Monday, 02-Jan-06 15:04:05 GMT"
	asctime = time.ANSIC
)

// asks is a Base that answers with 503 and the headers.
func asks(code int, h http.Header) base {
	return func(req *http.Request) (*http.Response, error) {
		resp := answer(req, code, "")
		resp.Header = h
		return resp, nil
	}
}

func TestRetryAfterKeepsTheBreakerOpen(t *testing.T) {
	const timeout, most = 5 * time.Second, time.Minute
	in := func(d time.Duration, layout string) func() http.Header {
		return func() http.Header { return http.Header{"Retry-After": {time.Now().UTC().Add(d).Format(layout)}} }
	}
	is := func(value string) func() http.Header {
		return func() http.Header { return http.Header{"Retry-After": {value}} }
	}
	skewed := func(d, skew time.Duration) func() http.Header {
		return func() http.Header {
			there := time.Now().UTC().Add(skew)
			return http.Header{"Date": {there.Format(http.TimeFormat)}, "Retry-After": {there.Add(d).Format(http.TimeFormat)}}
		}
	}
	for _, row := range []struct {
		name   string
		header func() http.Header
		want   time.Duration
	}{
		{"seconds", is("7"), 7 * time.Second},
		{"seconds with blanks", is(" 7\t"), 7 * time.Second},
		{"date", in(7*time.Second, http.TimeFormat), 7 * time.Second},
		{"RFC 850 date", in(7*time.Second, rfc850), 7 * time.Second},
		{"asctime date", in(7*time.Second, asctime), 7 * time.Second},
		{"date of a clock ahead by an hour", skewed(7*time.Second, time.Hour), 7 * time.Second},
		{"date of a clock behind by an hour", skewed(7*time.Second, -time.Hour), 7 * time.Second},
		{"shorter than Timeout", is("1"), timeout},
		{"zero", is("0"), timeout},
		{"date that has passed", in(-time.Hour, http.TimeFormat), timeout},
		{"none", func() http.Header { return http.Header{} }, timeout},
		{"empty", is(""), timeout},
		{"negative", is("-1"), timeout},
		{"signed", is("+7"), timeout},
		{"fraction", is("1.5"), timeout},
		{"exponent", is("1e9"), timeout},
		{"hexadecimal", is("0x7"), timeout},
		{"list", is("7, 8"), timeout},
		{"words", is("in a while"), timeout},
		{"digits of another script", is("\u0667"), timeout},
		{"longer than MaxTimeout", is("3600"), most},
		{"that overflows a Duration", is("9223372037"), most},
		{"that overflows an int64", is("99999999999999999999999"), most},
		{"year 2999", is("Mon, 02 Dec 2999 15:04:05 GMT"), most},
		{"year 9999, sent in the year 1", func() http.Header {
			return http.Header{"Date": {"Mon, 01 Jan 0001 00:00:00 GMT"}, "Retry-After": {"Fri, 31 Dec 9999 23:59:59 GMT"}}
		}, most},
	} {
		for _, code := range []int{http.StatusServiceUnavailable, http.StatusTooManyRequests} {
			bubble(t, row.name+" "+strconv.Itoa(code), func(t *testing.T) {
				tr, b := behind(t, asks(code, row.header()), core.Config{FailureThreshold: 1, Timeout: timeout, MaxTimeout: most})
				_ = read(t, get(t, tr, "http://example.com"))
				wantState(t, b, core.Open)
				snap := b.Snapshot()
				if got := snap.RetryAt.Sub(snap.At); got != row.want {
					t.Errorf("the break lasts %v, want %v", got, row.want)
				}
			})
		}
	}
	bubble(t, "of another status", func(t *testing.T) {
		tr, b := behind(t, asks(http.StatusInternalServerError, is("7")()), core.Config{FailureThreshold: 1, Timeout: timeout})
		_ = read(t, get(t, tr, "http://example.com"))
		snap := b.Snapshot()
		if got := snap.RetryAt.Sub(snap.At); got != timeout {
			t.Errorf("the break lasts %v, want %v: a 500 says nothing of when", got, timeout)
		}
	})
	bubble(t, "of a response that does not open", func(t *testing.T) {
		tr, b := behind(t, asks(http.StatusServiceUnavailable, is("30")()), core.Config{FailureThreshold: 2, Timeout: timeout})
		_ = read(t, get(t, tr, "http://example.com"))
		tr.Options().Base = fails(errSick)
		_, _ = tr.RoundTrip(request(t, http.MethodGet, "http://example.com", nil))
		snap := b.Snapshot()
		if got := snap.RetryAt.Sub(snap.At); got != timeout {
			t.Errorf("the break lasts %v, want %v: that is what the last failure asked for", got, timeout)
		}
	})
	t.Run("of no response", func(t *testing.T) {
		if wait, ok := roundtrip.RetryAfter(nil); wait != 0 || ok {
			t.Errorf("RetryAfter(nil) = %v, %v; want nothing", wait, ok)
		}
		if wait, ok := roundtrip.RetryAfter(&http.Response{StatusCode: http.StatusServiceUnavailable}); wait != 0 || ok {
			t.Errorf("RetryAfter without headers = %v, %v; want nothing", wait, ok)
		}
	})
	t.Run("is told", func(t *testing.T) {
		var told book
		tr, _ := behind(t, asks(http.StatusServiceUnavailable, is("7")()), core.Config{Hooks: core.Hooks{Settled: told.note}})
		_ = read(t, get(t, tr, "http://example.com"))
		asked, ok := errors.AsType[interface {
			error
			RetryAfter() time.Duration
		}](told.last(t).Err)
		if !ok || asked.RetryAfter() != 7*time.Second {
			t.Errorf("told %v, want an error that asks for 7s", told.last(t).Err)
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	for _, value := range []string{
		"7", "0", "-1", "1.5", "9223372036", "9223372037", "9223372036854775807", "9223372036854775808", " 7", "7 ", "",
		"Mon, 02 Jan 2006 15:04:05 GMT", "Monday, 02-Jan-06 15:04:05 GMT", "Mon Jan  2 15:04:05 2006", "Fri, 31 Dec 9999 23:59:59 GMT",
	} {
		f.Add(value, "")
		f.Add(value, "Mon, 02 Jan 2006 15:04:05 GMT")
		f.Add(value, "Mon, 01 Jan 0001 00:00:00 GMT")
	}
	f.Fuzz(func(t *testing.T, value, date string) {
		h := http.Header{"Retry-After": {value}, "Date": {date}}
		for _, code := range []int{http.StatusServiceUnavailable, http.StatusTooManyRequests} {
			wait, ok := roundtrip.RetryAfter(&http.Response{StatusCode: code, Header: h})
			if wait < 0 || !ok && wait != 0 {
				t.Errorf("RetryAfter of %q at %q = %v, %v; want no less than zero, and zero for nothing", value, date, wait, ok)
			}
			if n, err := strconv.ParseInt(value, 10, 64); err == nil && n >= 0 && n <= math.MaxInt64/int64(time.Second) && value[0] != '+' {
				if want := time.Duration(n) * time.Second; wait != want && value != "-0" {
					t.Errorf("RetryAfter of %q = %v, want %v", value, wait, want)
				}
			}
		}
	})
}
