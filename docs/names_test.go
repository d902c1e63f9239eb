package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// original are the names that a user of the Python system looks for: those of its README,
// and of its implementation as far as they are known.
var original = strings.Fields(`
CircuitBreaker call record_success record_failure get_state reset get_metrics get_statistics
circuit_breaker_protected CircuitBreakerOpenError CircuitBreakerConfig CircuitBreakerState CircuitBreakerMetrics
create_custom_config get_preset list_presets
conservative moderate aggressive critical_service non_critical_service external_api database agent_execution file_operations
failure_threshold success_threshold timeout_ms call_timeout_ms sliding_window_size half_open_max_calls enable_health_checks
retry_enabled retry_strategy retry_attempts retry_initial_delay_ms retry_max_delay_ms retry_multiplier retry_jitter retry_jitter_factor
none fixed_delay linear_backoff exponential_backoff random_jitter
CLOSED OPEN HALF_OPEN Closed Open Half-Open

RalphCircuitBreaker RalphCircuitBreakerConfig AgentExecutionContext agent_id agent_name session_id task_id
monitor_agent execute_agent detect_failsafe trigger_pause auto_resume update_context handoff_count confidence
get_agent_status get_all_status reset_agent AgentPausedError FailsafeTriggeredError
RUNNING PAUSED STOPPED RECOVERING ESCALATED status circuit_breaker
agent_failure_threshold handoff_threshold low_confidence_threshold stuck_task_threshold auto_resume_enabled auto_resume_delay_ms
max_recovery_attempts cpu_threshold memory_threshold disk_threshold escalation_timeout_ms

FailsafeDetector FailsafeCondition check_all check_resource_limits check_error_rate check_stuck_tasks check_confidence
severity low medium high critical

success_rate total_calls failures rejected timeouts p50 p75 p90 p95 p99 get_time_series duration_ms uptime
get_health_status healthy export_json include_history export_prometheus

psutil basic_usage.py ralph_integration.py custom_configuration.py metrics_export.py
circuit_breaker.py ralph_circuit_breaker.py failsafe_detector.py circuit_breaker_config.py metrics.py config.yaml
max_loops_no_progress stagnation_threshold cooldown absolute_max_loops
`)

// TestEveryNameOfTheOriginal: each is on the page.
func TestEveryNameOfTheOriginal(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range original {
		if !regexp.MustCompile(`(?:^|\W)` + regexp.QuoteMeta(name) + `(?:\W|$)`).Match(text) {
			t.Errorf("%s is not on the page", name)
		}
	}
	const snippets = 19 // the original has 18; its first is in two parts here
	if n := len(fences("python")); n != snippets {
		t.Errorf("%d snippets of Python, want %d", n, snippets)
	}
	for _, topic := range []string{"Circuit keeps opening", "Agent won't resume", "High memory usage"} {
		if !strings.Contains(string(text), topic) {
			t.Errorf("%s is not on the page", topic)
		}
	}
}

// exported are the exported names of the packages that the page speaks of: types, funcs,
// values, methods and fields.
func exported(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	add := func(ids ...*ast.Ident) {
		for _, id := range ids {
			if id.IsExported() {
				names[id.Name] = true
			}
		}
	}
	for _, dir := range []string{"core", "core/failsafe", "core/failsafe/condition", "presets", "ralph", "ralph/detect", "otelexport"} {
		files, err := filepath.Glob("../" + dir + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", dir, len(files), err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.FuncDecl:
					add(n.Name)
					return false
				case *ast.TypeSpec:
					add(n.Name)
				case *ast.ValueSpec:
					add(n.Names...)
				case *ast.Field:
					add(n.Names...)
				}
				return true
			})
		}
	}
	return names
}

// TestGoNamesExist: each name in the text and the tables that is not the original's is
// exported by one of the packages.
func TestGoNamesExist(t *testing.T) {
	known, checked := exported(t), 0
	beyond := []string{"Sub", "As", "Unmarshal", "New", "Context", "Second", "OTEL_METRICS_EXPORTER"} // of other packages
	for _, code := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(prose(t), -1) {
		for _, name := range regexp.MustCompile(`\b[A-Z]\w+`).FindAllString(code[1], -1) {
			checked++
			if !known[name] && !slices.Contains(original, name) && !slices.Contains(beyond, name) {
				t.Errorf("`%s` on the page: no package exports %s", code[1], name)
			}
		}
	}
	if checked < 100 {
		t.Errorf("only %d names", checked)
	}
}
