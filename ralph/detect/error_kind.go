package detect

import (
	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/enum"
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

var errorKindNames = enum.Names[ErrorKind]{Type: "ErrorKind", Of: []string{ //nolint:gochecknoglobals // a table
	ErrorKindOther: "other", ErrorKindPermission: "permission", ErrorKindUnknownTool: "unknown_tool", ErrorKindAuth: "auth", ErrorKindQuota: "quota", ErrorKindTransient: "transient",
}}

// String returns "other", "permission", "unknown_tool", "auth", "quota" or
// "transient".
func (k ErrorKind) String() string { return errorKindNames.String(k) }

// MarshalText makes an ErrorKind readable in JSON and YAML. It never fails.
func (k ErrorKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText has written. The error, a *core.ConfigError,
// names what is allowed.
func (k *ErrorKind) UnmarshalText(text []byte) error {
	if allowed := errorKindNames.Parse(text, k); allowed != "" {
		return &core.ConfigError{Field: errorKindNames.Type, Value: string(text), Allowed: allowed}
	}
	return nil
}
