package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const (
	job    = "shop"   // what the replicas call their service
	direct = "direct" // what Prometheus calls it where it scrapes the last of them itself
)

// replica is a running replica.
type replica struct {
	instance string
	commands io.Writer
	answers  *bufio.Reader
}

// snapshot is what the test looks at of core.Snapshot, as the replica prints it.
type snapshot struct {
	State, Override string
	Window          struct{ Calls, Failures float64 }
	Totals          struct {
		Successes, Failures, Ignored, Refused, Slow, Timeouts, Lost float64
		ShadowAdmitted                                              float64 `json:"shadow_admitted"`
		InFlight                                                    float64 `json:"in_flight"`
	}
	Probes  struct{ Successes, Failures, Ignored float64 }
	Changes []struct {
		From, To, Cause string
		Count           float64
	}
	TimeIn times `json:"time_in"`
}

type times struct {
	Closed, Open, Disabled time.Duration
	HalfOpen               time.Duration `json:"half_open"`
	ForcedOpen             time.Duration `json:"forced_open"`
}

// report is what a replica has counted: the snapshots of its breakers, by name, and
// of its agents every series that is not zero, as key writes them.
type report struct {
	Breakers map[string]snapshot
	Agents   map[string]float64
}

// breakers are the dependencies of a replica.
var breakers = []string{"archive", "banned", "billing", "exempt", "ledger", "mail", "quotes", "search", "trial"}

// agents are the names of its agents.
var agents = []string{"clerk", "coder", "critic", "doubter", "planner", "researcher", "runner", "tester", "writer"}

// fleet starts four replicas, of which the last alone cannot reach "search" and
// is of another version. They send what they export to endpoint; the last one
// shows /metrics, too, at the address scraped.
func fleet(t *testing.T, endpoint, scraped string) []*replica {
	t.Helper()
	bin := built(t, "./replica")
	host, port, _ := strings.Cut(scraped, ":")
	var out []*replica
	for _, instance := range []string{"a", "b", "c", "d"} {
		version, exporter, args := "1.0.0", "otlp", []string(nil)
		if instance == "d" {
			version, exporter, args = "1.1.0", "otlp,prometheus", []string{"-alone"}
		}
		cmd := exec.CommandContext(t.Context(), bin, args...)
		cmd.Env = append(os.Environ(),
			"OTEL_SERVICE_NAME="+job,
			"OTEL_RESOURCE_ATTRIBUTES=service.instance.id="+instance+",service.version="+version,
			"OTEL_METRICS_EXPORTER="+exporter,
			"OTEL_EXPORTER_PROMETHEUS_HOST="+host,
			"OTEL_EXPORTER_PROMETHEUS_PORT="+port,
			"OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
			"OTEL_EXPORTER_OTLP_ENDPOINT=http://"+endpoint,
			"OTEL_METRIC_EXPORT_INTERVAL=500")
		commands, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		answers, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdout = w
		run(t, "replica-"+instance, cmd)
		w.Close()
		t.Cleanup(func() { answers.Close() })
		out = append(out, &replica{instance, commands, bufio.NewReader(answers)})
	}
	return out
}

// tell sends a command to all replicas and then reads their answers.
func tell(t *testing.T, all []*replica, command string) []json.RawMessage {
	t.Helper()
	for _, r := range all {
		if _, err := fmt.Fprintln(r.commands, command); err != nil {
			t.Fatalf("replica %s: %v", r.instance, err)
		}
	}
	out := make([]json.RawMessage, len(all))
	for i, r := range all {
		line, err := r.answers.ReadBytes('\n')
		if err != nil {
			t.Fatalf("replica %s does not answer to %s: %v", r.instance, command, err)
		}
		out[i] = line
	}
	return out
}

// reports ends the traffic and returns what the replicas have counted, by
// instance.
func reports(t *testing.T, all []*replica) map[string]report {
	t.Helper()
	out := make(map[string]report)
	for i, line := range tell(t, all, "report") {
		var r report
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if len(r.Breakers) != len(breakers) || len(r.Agents) < 30 {
			t.Fatalf("a report of %q and %q", sorted(r.Breakers), sorted(r.Agents))
		}
		out[all[i].instance] = r
	}
	return out
}
