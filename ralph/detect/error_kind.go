package detect

import (
	"strconv"

	"github.com/blackbox4/switchgear/ralph/internal/enum"
)

// ErrorKind says what sort of error a step ended with, where the caller knows. The
// text of an error is never searched for it. The zero ErrorKind is [ErrorKindOther].
type ErrorKind uint8

// The kinds of errors. All of them count as errors in a row.
const (
	ErrorKindOther       ErrorKind = iota // compared by its text
	ErrorKindPermission                   // it was not allowed, by a human or a policy
	ErrorKindUnknownTool                  // there is no such tool
	ErrorKindAuth                         // the credentials are wrong; no repetition will help
	ErrorKindQuota                        // paid or granted amounts are used up
	ErrorKindTransient                    // rate limits, 5xx, timeouts: the same may work later
)

// String returns "other", "permission", "unknown_tool", "auth", "quota" or
// "transient".
func (k ErrorKind) String() string {
	switch k {
	case ErrorKindOther:
		return "other"
	case ErrorKindPermission:
		return "permission"
	case ErrorKindUnknownTool:
		return "unknown_tool"
	case ErrorKindAuth:
		return "auth"
	case ErrorKindQuota:
		return "quota"
	case ErrorKindTransient:
		return "transient"
	}
	return "ErrorKind(" + strconv.Itoa(int(k)) + ")"
}

// MarshalText makes an ErrorKind readable in JSON and YAML. It never fails.
func (k ErrorKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText has written. The error, a *core.ConfigError,
// names what is allowed.
func (k *ErrorKind) UnmarshalText(text []byte) error {
	return enum.Parse(k, text, ErrorKindOther, ErrorKindTransient, "ErrorKind")
}
