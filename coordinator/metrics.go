package coordinator

import "github.com/koinon-eu/koinon/deploy/service"

// figures are what Prometheus may know of the coordinator. No label names a run or anything that a peer chooses.
type figures struct {
	rounds    *service.Counter
	phases    *service.Histogram
	connected *service.Gauge
	uploaded  *service.Counter
	journal   *service.Histogram
	calls     *service.Counter
	runs      *service.Gauge
}

func newFigures(m *service.Metrics) *figures {
	return &figures{
		rounds:    m.Counter("rounds_total", "Rounds by what they summed and how they ended.", "kind", "outcome"),
		phases:    m.Histogram("phase_seconds", "How long each phase of a round took.", service.Seconds, "phase"),
		connected: m.Gauge("members_connected", "Members whose node has a session."),
		uploaded:  m.Counter("upload_bytes_total", "Bytes of masked vectors stored."),
		journal:   m.Histogram("journal_append_seconds", "How long one append to the journal took.", service.Seconds),
		calls:     m.Counter("calls_total", "Calls by method and outcome.", "method", "outcome"),
		runs:      m.Gauge("runs_open", "Runs that are neither evaluated, stopped nor failed."),
	}
}
