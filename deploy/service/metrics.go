package service

import (
	"net/http"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics is the set of figures a program shows at /metrics. Every name begins
// with koinon_. On a nil Metrics the constructors return nil, and the methods
// of a nil Counter, Gauge or Histogram do nothing: code that counts needs no
// conditions, and a program without metrics passes nil.
//
// Labels are for small, fixed sets (member, phase, outcome), never for run
// identifiers or anything a peer chooses freely. Constructors panic on a bad
// or repeated name and methods on a wrong number of labels: faults of the
// program, which its first test shows.
type Metrics struct{ registry *prometheus.Registry }

// NewMetrics returns a registry with the figures of the Go runtime, the
// process, and koinon_build_info{program,version,go}.
func NewMetrics(program, version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.Gauge("build_info", "Always 1; its labels say what runs.", "program", "version", "go").
		Set(1, program, version, runtime.Version())
	return m
}

// Handler serves the figures in Prometheus' text format.
func (m *Metrics) Handler() http.Handler {
	if m == nil {
		return http.NotFoundHandler()
	}
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// Counter only grows.
type Counter struct{ vec *prometheus.CounterVec }

// Counter makes koinon_<name>, which by custom ends in _total.
func (m *Metrics) Counter(name, help string, labels ...string) *Counter {
	if m == nil {
		return nil
	}
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "koinon", Name: name, Help: help}, labels)
	m.registry.MustRegister(vec)
	if len(labels) == 0 {
		vec.WithLabelValues() // shown as 0 from the start, not first after the first event
	}
	return &Counter{vec}
}

// Inc adds one to the series with these label values.
func (c *Counter) Inc(values ...string) { c.Add(1, values...) }

// Add adds v ≥ 0 to the series with these label values.
func (c *Counter) Add(v float64, values ...string) {
	if c != nil {
		c.vec.WithLabelValues(values...).Add(v)
	}
}

// Gauge goes up and down.
type Gauge struct{ vec *prometheus.GaugeVec }

// Gauge makes koinon_<name>.
func (m *Metrics) Gauge(name, help string, labels ...string) *Gauge {
	if m == nil {
		return nil
	}
	vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "koinon", Name: name, Help: help}, labels)
	m.registry.MustRegister(vec)
	if len(labels) == 0 {
		vec.WithLabelValues()
	}
	return &Gauge{vec}
}

// Set sets the series with these label values to v.
func (g *Gauge) Set(v float64, values ...string) {
	if g != nil {
		g.vec.WithLabelValues(values...).Set(v)
	}
}

// Add adds v, which may be negative.
func (g *Gauge) Add(v float64, values ...string) {
	if g != nil {
		g.vec.WithLabelValues(values...).Add(v)
	}
}

// Forget removes the series with these label values: a member that has left.
func (g *Gauge) Forget(values ...string) {
	if g != nil {
		g.vec.DeleteLabelValues(values...)
	}
}

// Buckets for Histogram, as upper bounds.
var (
	Seconds = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800}
	Sizes   = []float64{1 << 8, 1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24, 1 << 26, 1 << 28}
)

// Histogram counts observations in buckets.
type Histogram struct{ vec *prometheus.HistogramVec }

// Histogram makes koinon_<name>, whose unit by custom ends it (_seconds,
// _bytes).
func (m *Metrics) Histogram(name, help string, buckets []float64, labels ...string) *Histogram {
	if m == nil {
		return nil
	}
	vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "koinon", Name: name, Help: help, Buckets: buckets}, labels)
	m.registry.MustRegister(vec)
	if len(labels) == 0 {
		vec.WithLabelValues()
	}
	return &Histogram{vec}
}

// Observe counts v in the series with these label values.
func (h *Histogram) Observe(v float64, values ...string) {
	if h != nil {
		h.vec.WithLabelValues(values...).Observe(v)
	}
}
