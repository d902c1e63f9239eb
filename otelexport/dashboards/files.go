package dashboards

import (
	"embed"
	"io/fs"
)

//go:embed breakers.json rules.yml alerts.yml compat.rules.yml
var files embed.FS

// Files returns the dashboard and the rules as files, for programs that
// provision Grafana and Prometheus: breakers.json, rules.yml, alerts.yml and
// compat.rules.yml. It cannot be written to, and is safe for concurrent use.
func Files() fs.FS { return files }
