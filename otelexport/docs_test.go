package otelexport_test

import (
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// documented are the metrics, each with its unit and attributes, that a text
// lists.
func documented(t *testing.T, file, line string) map[string]string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, m := range regexp.MustCompile(line).FindAllStringSubmatch(string(content), -1) {
		all[m[1]] = m[2]
	}
	return all
}

// TestDocs compares the lists in the package's comment and in the README with
// what is exported.
func TestDocs(t *testing.T) {
	exported := documented(t, "testdata/contract.txt", `(?m)^(\S+) \S+ (\S+) `)
	exported["circuit_breaker.call.duration"] = "s"
	for file, line := range map[string]string{
		"README.md": "(?m)^\\| `(circuit_breaker\\.[a-z_.]+)` \\| `([^`]+)` \\|",
		"doc.go":    `(?m)^//\t(circuit_breaker\.[a-z_.]+) +[A-Za-z]+ +(\S+)`,
	} {
		if got := documented(t, file, line); !maps.Equal(got, exported) {
			t.Errorf("%s has\n%v, exported are\n%v", file, got, exported)
		}
	}
	attributes := regexp.MustCompile(`circuit_breaker\.([a-z_.]+)=([a-z_]+)`)
	content, err := os.ReadFile("testdata/contract.txt")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range attributes.FindAllStringSubmatch(string(content), -1) {
		if m[1] != "name" && m[1] != "agent.source" && m[1] != "agent.target" && (!strings.Contains(string(readme), "`"+m[1]+"`") || !strings.Contains(string(readme), m[2])) {
			t.Errorf("README.md has no %s=%s", m[1], m[2])
		}
	}
}

// TestDependencies shows that a program builds no SDK and no exporter unless it asks for one.
func TestDependencies(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the go command")
	}
	for pkg, allowed := range map[string][]string{
		".":             {"", "/log", "/metric", "/trace"},
		"./sdkproducer": {"", "/log", "/metric", "/trace", "/sdk", "/sdk/metric"},
	} {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", pkg).Output()
		if err != nil {
			t.Fatal(err)
		}
		modules := slices.Compact(slices.Sorted(strings.FieldsSeq(string(out))))
		for _, m := range modules {
			rest, is := strings.CutPrefix(m, "go.opentelemetry.io/otel")
			if is && !slices.Contains(allowed, rest) || strings.Contains(m, "grpc") || strings.Contains(m, "prometheus") {
				t.Errorf("%s builds %s", pkg, m)
			}
		}
		if len(modules) < 3 {
			t.Errorf("%s builds %v", pkg, modules)
		}
	}
}
