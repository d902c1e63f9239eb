package setup

import (
	"errors"
	"net/url"
	"os"
	"slices"
	"strconv"
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
	told := map[string]bool{}
	check := func(allowed string, fits func(string) bool, names ...string) { // else the exporters go by their default, and say nothing
		if v, name := get("", names...); v != "" && !fits(v) && !told[name] {
			told[name] = true
			faults = append(faults, &core.ConfigError{Field: name, Value: secretless(v), Allowed: allowed})
		}
	}
	if slices.Contains(env.metrics, otlp) {
		env.metricsProtocol = one(overHTTP, protocols, "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
		check(endpoints, isEndpoint, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
	}
	if slices.Contains(env.logs, otlp) {
		env.logsProtocol = one(overHTTP, protocols, "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
		check(endpoints, isEndpoint, "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
	}
	for _, name := range []string{"OTEL_METRIC_EXPORT_INTERVAL", "OTEL_METRIC_EXPORT_TIMEOUT"} {
		check("milliseconds, a whole number from 1 to 1000000000", isTime, name)
	}
	env.prometheusHost, _ = get("localhost", "OTEL_EXPORTER_PROMETHEUS_HOST")
	env.prometheusPort, _ = get("9464", "OTEL_EXPORTER_PROMETHEUS_PORT")
	return env, errors.Join(faults...)
}

const endpoints = "a URL such as http://localhost:4318, of the scheme http, https or unix"

func isEndpoint(v string) bool {
	u, err := url.Parse(v)
	if err != nil {
		return false
	}
	switch u.Scheme {
	case "http", "https":
		return u.Host != ""
	case "unix":
		return u.Path != "" || u.Opaque != ""
	}
	return false
}

// isTime also refuses what would be too much for a time.Duration.
func isTime(v string) bool {
	n, err := strconv.Atoi(v)
	return err == nil && n > 0 && n <= 1e9
}

// secretless returns a URL, perhaps a wrong one, without what may be a password.
func secretless(v string) string {
	if i := strings.LastIndex(v, "@"); i >= 0 {
		return "…" + v[i:]
	}
	return v
}
