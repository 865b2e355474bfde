package node

import "github.com/koinon-eu/koinon/deploy/service"

// meters are a node's figures for its own operator's Prometheus. None holds data of the national table.
type meters struct {
	connected *service.Gauge
	rounds    *service.Counter
	phases    *service.Counter
	bytes     *service.Counter
	step      *service.Gauge
	expires   *service.Gauge
}

func newMeters(m *service.Metrics) meters {
	return meters{
		connected: m.Gauge("node_connected", "1 while a session with the coordinator is open."),
		rounds:    m.Counter("node_rounds_total", "Rounds by how they ended for this node.", "outcome"),
		phases:    m.Counter("node_phases_total", "Phases of rounds that this node entered.", "phase"),
		bytes:     m.Counter("node_bytes_total", "Bytes above TLS by direction and phase.", "direction", "phase"),
		step:      m.Gauge("node_step", "Steps of a plan that this node has applied.", "plan"),
		expires:   m.Gauge("node_certificate_expires_seconds", "Unix time at which the certificate ends."),
	}
}

func (m meters) phase(name string) { m.phases.Inc(name) }
