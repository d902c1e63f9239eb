// Package e2e tests that what otelexport exports arrives: every query of the
// dashboard, every rule and every alert is parsed and asks only for what is
// exported; and replicas of a program with an outage send it through a real
// collector to a real Prometheus, where all of them must return data, and the
// numbers that the program counted itself. A module of its own, so that what it
// needs never enters your build.
//
//	bash otelexport/e2e/run    # everything, in a minute; the first time it builds the collector
//	go test -short ./...       # here: without collector and Prometheus
package e2e
