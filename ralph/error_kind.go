package ralph

import (
	"net/http"
	"reflect"

	"github.com/blackbox4/switchgear/ralph/detect"
)

// WithKind returns err, and says of what sort it is, for [Execute]: where nothing in err
// tells, or tells it wrong. Its text stays the same, and errors.Is and errors.As find
// what they found. A nil err stays nil.
func WithKind(err error, kind detect.ErrorKind) error {
	if err == nil {
		return nil
	}
	return &kindError{err, kind}
}

type kindError struct {
	error
	kind detect.ErrorKind
}

// ErrorKind is what any error may have that knows of what sort it is.
func (e *kindError) ErrorKind() detect.ErrorKind { return e.kind }

func (e *kindError) Unwrap() error { return e.error }

// kindOf is the sort of an error, by its type; the outermost that says one decides.
func kindOf(err error) detect.ErrorKind {
	kind := detect.ErrorKindOther
	each(err, 0, func(e error) bool {
		if said, ok := e.(interface{ ErrorKind() detect.ErrorKind }); ok {
			kind = said.ErrorKind()
			return false
		}
		kind = kindOfStatus(statusOf(e))
		return kind == detect.ErrorKindOther
	})
	return kind
}

// each calls f for an error and all that it wraps, until f returns false.
func each(err error, depth int, f func(error) bool) bool {
	const deepest = 32
	if err == nil || depth > deepest {
		return true
	}
	if !f(err) {
		return false
	}
	switch e := err.(type) { //nolint:errorlint // this is the unwrapping
	case interface{ Unwrap() error }:
		return each(e.Unwrap(), depth+1, f)
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			if !each(one, depth+1, f) {
				return false
			}
		}
	}
	return true
}

// statusOf is the HTTP status that an error itself has; 0 is none.
func statusOf(err error) (status int) {
	defer func() {
		if recover() != nil { // a method of a nil pointer, or a strange one
			status = 0
		}
	}()
	switch e := err.(type) { //nolint:errorlint // each unwraps
	case interface{ StatusCode() int }:
		return e.StatusCode()
	case interface{ HTTPStatusCode() int }:
		return e.HTTPStatusCode()
	}
	v := reflect.ValueOf(err)
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return 0
	}
	f := v.FieldByName("StatusCode")
	if !f.IsValid() || !f.CanInt() {
		return 0
	}
	return int(f.Int())
}

// kindOfStatus is the sort of error that an HTTP status tells.
func kindOfStatus(status int) detect.ErrorKind {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusProxyAuthRequired:
		return detect.ErrorKindAuth
	case status == http.StatusPaymentRequired:
		return detect.ErrorKindQuota
	case status == http.StatusForbidden:
		return detect.ErrorKindPermission
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status >= 500 && status <= 599:
		return detect.ErrorKindTransient
	}
	return detect.ErrorKindOther
}

// needsPerson reports whether an error of that sort says nothing about the agent, and
// does not pass by itself.
func needsPerson(kind detect.ErrorKind) bool {
	return kind == detect.ErrorKindAuth || kind == detect.ErrorKindPermission || kind == detect.ErrorKindQuota
}
