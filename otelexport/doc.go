// Package otelexport exports circuit breakers, and agents, through OpenTelemetry:
// metrics that cost the calls nothing, and attributes on spans. It needs OpenTelemetry's API and no SDK, so any provider will do.
//
//	registry := &core.Registry{Config: func(string) core.Config {
//		return core.Config{
//			Durations: true, // for sdkproducer
//			Hooks:     otelexport.SpanHooks(core.Hooks{}),
//		}
//	}}
//	unregister, err := otelexport.Register(nil, registry, nil) // with the global provider
//	unregisterAgents, err := otelexport.RegisterAgents(nil, supervisor)
//
// Package setup beside it does that and more with one call, for programs that have
// no provider yet. Package sdkproducer has the durations, which the API has no
// instrument for. README.md has what becomes of the names in Prometheus, and
// dashboards and alerts are beside it.
//
// # Metrics
//
// All of breakers have circuit_breaker.name, but for the last four. A metric of a
// breaker is there from its first collection on, also where it is zero, and ends with
// the breaker, but for counters: they stay as they were when it is evicted, while there
// is room, and go on when one is made anew under its name.
//
//	circuit_breaker.calls                 Counter        {call}        .result=success|failure|ignored|rejected
//	circuit_breaker.slow_calls            Counter        {call}
//	circuit_breaker.timeouts              Counter        {call}
//	circuit_breaker.spared_calls          Counter        {call}        admitted in shadow mode, else rejected
//	circuit_breaker.active                UpDownCounter  {call}        admitted, not yet over
//	circuit_breaker.status                UpDownCounter  {breaker}     .state=closed|open|half_open|forced_open|disabled: 1 or 0
//	circuit_breaker.state.time            Counter        s             .state
//	circuit_breaker.state.transitions     Counter        {transition}  .state, .state.previous
//	circuit_breaker.trips                 Counter        {trip}        .transition.reason
//	circuit_breaker.window.calls          UpDownCounter  {call}        .result=success|failure
//	circuit_breaker.window.failure_ratio  Gauge          1             closed, and enough calls
//	circuit_breaker.failure.limit         Gauge          1             if there is one
//	circuit_breaker.probes                Counter        {call}        .result=success|failure|ignored
//	circuit_breaker.lost_probes           Counter        {call}        what became of them later is in probes
//	circuit_breaker.open.remaining        Gauge          s
//	circuit_breaker.call.duration         Histogram      s             .result=success|failure; from sdkproducer
//	circuit_breaker.all.calls             Counter        {call}        .result; of all breakers, also those left out or evicted
//	circuit_breaker.all.breakers          UpDownCounter  {breaker}     .state=closed|open|half_open
//	circuit_breaker.unguarded.calls       Counter        {call}        admitted without a breaker
//	circuit_breaker.export.skipped        UpDownCounter  {breaker}     .skip.reason=limit|duplicate
//
// Those of [RegisterAgents] have gen_ai.agent.name, but for agent.status and
// agent.handoffs; it is the name of a role, not of a single agent. The circuit breakers
// of agents are among the others, as "agent/" and the id of the agent. What has happened
// once to a name or pair is there with all values of the last attribute, from zero.
//
//	circuit_breaker.agent.status          UpDownCounter  {agent}       .agent.state=running|paused|recovering|escalated|stopped
//	circuit_breaker.agent.steps           Counter        {step}        .result=progress|no_progress|error
//	circuit_breaker.agent.escalations     Counter        {escalation}  .transition.reason=stuck|failing|exhausted|blocked|transient|none
//	circuit_breaker.agent.handoffs        Counter        {handoff}     .agent.source, .agent.target, .result=allowed|refused
//	circuit_breaker.agent.confidence      Gauge          1             the lowest of a name
//
// The state is not a number: a state that is over before a scrape is in
// state.time and state.transitions. The reasons of trips are consecutive_failures,
// failure_rate, slow_rate, probe_failed and probe_slow.
//
// # Logs
//
// A [core.Config.Logger] is a [log/slog.Logger]; NewLogger of
// go.opentelemetry.io/contrib/bridges/otelslog makes one that ends in OpenTelemetry,
// with the trace of the call, overrides and the first refusal of a break included.
// Package events, a module of its own, needs no bridge and gives transitions a name
// and the attributes that the metrics have. With both, each transition is there twice.
package otelexport
