package core

import (
	"context"

	"github.com/blackbox4/switchgear/internal/enum"
)

// Priority says how much a call matters to a [Limit] that has few places left.
// The zero Priority is [NormalPriority].
type Priority uint8

// The priorities of a call.
const (
	NormalPriority Priority = iota // the call may take any place
	LowPriority                    // the call may not take the places that LimitConfig.Reserve keeps
)

var priorityNames = enum.Names[Priority]{Type: "Priority", Of: []string{NormalPriority: "normal", LowPriority: "low"}} //nolint:gochecknoglobals // a table

// String returns "normal" or "low".
func (p Priority) String() string { return priorityNames.String(p) }

// MarshalText makes a Priority readable in JSON and YAML. It never fails.
func (p Priority) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText wrote. The error is a [*ConfigError].
func (p *Priority) UnmarshalText(text []byte) error {
	return readEnum(priorityNames, text, p)
}

type priorityKey struct{}

// WithPriority returns a context whose calls have the priority p at each [Limit]
// that they meet. A p that is not one of the constants is taken for
// [NormalPriority]. A nil ctx is [context.Background].
//
// The priority stays in this process. A server that wants to know the priority of
// its callers reads it from the request, checks it, and calls WithPriority.
func WithPriority(ctx context.Context, p Priority) context.Context {
	return context.WithValue(background(ctx), priorityKey{}, p)
}

// isLow reports whether the calls of ctx have [LowPriority]. It costs a few
// nanoseconds for each value in ctx.
func isLow(ctx context.Context) bool {
	if ctx == nil {
		return false
	}
	p, _ := ctx.Value(priorityKey{}).(Priority)
	return p == LowPriority
}
