package setup

import (
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/blackbox4/switchgear/core"
)

// environment is what the variables say.
type environment struct {
	disabled                       bool
	metrics, logs                  []string // exporters
	metricsProtocol, logsProtocol  string
	prometheusHost, prometheusPort string
}

const (
	otlp       = "otlp"
	prometheus = "prometheus"
	console    = "console"
	none       = "none"
	overGRPC   = "grpc"
	overHTTP   = "http/protobuf"
)

func readEnvironment() (environment, error) {
	var faults []error
	get := func(otherwise string, names ...string) (value, name string) {
		for _, name := range names {
			if v := strings.TrimSpace(os.Getenv(name)); v != "" {
				return v, name
			}
		}
		return otherwise, names[0]
	}
	one := func(otherwise string, allowed []string, names ...string) string {
		v, name := get(otherwise, names...)
		if !slices.Contains(allowed, v) {
			faults = append(faults, &core.ConfigError{Field: name, Value: v, Allowed: strings.Join(allowed, ", ")})
		}
		return v
	}
	list := func(otherwise string, allowed []string, name string) (all []string) {
		v, _ := get(otherwise, name)
		for part := range strings.SplitSeq(v, ",") {
			switch part = strings.TrimSpace(part); {
			case part == none:
			case !slices.Contains(allowed, part):
				faults = append(faults, &core.ConfigError{Field: name, Value: part, Allowed: strings.Join(append(allowed, none), ", ") + ", or several of them with commas"})
			case !slices.Contains(all, part):
				all = append(all, part)
			}
		}
		return all
	}

	disabled, _ := get("false", "OTEL_SDK_DISABLED")
	env := environment{disabled: strings.EqualFold(disabled, "true")}
	env.metrics = list(otlp, []string{otlp, prometheus, console}, "OTEL_METRICS_EXPORTER")
	env.logs = list(none, []string{otlp, console}, "OTEL_LOGS_EXPORTER")
	protocols := []string{overHTTP, overGRPC}
	if slices.Contains(env.metrics, otlp) {
		env.metricsProtocol = one(overHTTP, protocols, "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
	}
	if slices.Contains(env.logs, otlp) {
		env.logsProtocol = one(overHTTP, protocols, "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
	}
	env.prometheusHost, _ = get("localhost", "OTEL_EXPORTER_PROMETHEUS_HOST")
	env.prometheusPort, _ = get("9464", "OTEL_EXPORTER_PROMETHEUS_PORT")
	return env, errors.Join(faults...)
}
