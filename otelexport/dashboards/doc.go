// Package dashboards holds a Grafana dashboard, recording rules and alerts for
// the metrics of package otelexport, in the names that Prometheus gives them.
// README.md beside it tells what each panel is for.
//
//	breakers.json       the dashboard: all breakers, and a row for each
//	rules.yml           recording rules that the dashboard and the alerts need
//	alerts.yml          alerts
//	compat.rules.yml    names of metrics that older dashboards ask for
//
// The dashboard is generated; see internal/grafana. Most people copy the files;
// [Files] is for programs that provision.
package dashboards
