package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
)

// compared are the modules whose versions matter to the numbers.
var compared = []string{
	"github.com/sony/gobreaker/v2",
	"github.com/failsafe-go/failsafe-go",
	"github.com/bytedance/gopkg",
	"github.com/rubyist/circuitbreaker",
	"github.com/eapache/go-resiliency",
	"github.com/go-kratos/aegis",
	"github.com/zeromicro/go-zero",
	"github.com/afex/hystrix-go",
	"github.com/hashicorp/go-retryablehttp",
	"google.golang.org/grpc",
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp",
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc",
	"go.opentelemetry.io/otel",
	"go.opentelemetry.io/otel/sdk/metric",
}

// machine tells what the numbers were measured on and with.
func machine(w *strings.Builder) {
	fmt.Fprintf(w, "%s, %s/%s, %s, %d cores, GOMAXPROCS %d.\n\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, processor(), runtime.NumCPU(), runtime.GOMAXPROCS(0))
	row(w, "module", "version")
	rule(w, "ll")
	versions := builtVersions()
	for _, path := range compared {
		row(w, path, versions[path])
	}
}

// builtVersions are those that the running program was built with.
func builtVersions() map[string]string {
	found := make(map[string]string)
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return found
	}
	for _, dep := range info.Deps {
		if slices.Contains(compared, dep.Path) {
			found[dep.Path] = dep.Version
		}
	}
	return found
}

// processor is the model of the machine's processor, where Linux tells it.
func processor() string {
	const unknown = "unknown processor"
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return unknown
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, model, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(model)
		}
	}
	return unknown
}
