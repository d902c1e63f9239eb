package detect

import (
	"strconv"

	"github.com/blackbox4/switchgear/ralph/internal/enum"
)

// ErrorKind says what sort of error a step ended with, where the caller knows. The
// text of an error is never searched for it. The zero ErrorKind is [OtherError].
type ErrorKind uint8

// The kinds of errors. All of them count as errors in a row.
const (
	OtherError      ErrorKind = iota // compared by its text
	PermissionError                  // it was not allowed, by a human or a policy
	UnknownTool                      // there is no such tool
	AuthError                        // the credentials are wrong; no repetition will help
	QuotaError                       // paid or granted amounts are used up
	TransientError                   // rate limits, 5xx, timeouts: the same may work later
)

// String returns "other", "permission", "unknown_tool", "auth", "quota" or
// "transient".
func (k ErrorKind) String() string {
	switch k {
	case OtherError:
		return "other"
	case PermissionError:
		return "permission"
	case UnknownTool:
		return "unknown_tool"
	case AuthError:
		return "auth"
	case QuotaError:
		return "quota"
	case TransientError:
		return "transient"
	}
	return "ErrorKind(" + strconv.Itoa(int(k)) + ")"
}

// MarshalText makes an ErrorKind readable in JSON and YAML. It never fails.
func (k ErrorKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText has written. The error, a *core.ConfigError,
// names what is allowed.
func (k *ErrorKind) UnmarshalText(text []byte) error {
	return enum.Parse(k, text, OtherError, TransientError, "ErrorKind")
}
