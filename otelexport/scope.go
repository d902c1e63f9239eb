package otelexport

import (
	"runtime/debug"
	"sync"
)

// ScopeName is the name of the instrumentation scope of what this package and
// sdkproducer export, for views and for meters of one's own.
const ScopeName = modulePath + "/otelexport"

const modulePath = "github.com/blackbox4/switchgear"

// Version returns the version of the instrumentation scope, which is that of this
// module in the program; it is empty if the program was not built from a
// release.
func Version() string { return version() }

var version = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range info.Deps {
		if m.Path == modulePath {
			if m.Replace != nil {
				return ""
			}
			return m.Version
		}
	}
	return ""
})
