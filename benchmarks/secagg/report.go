package secagg

import "time"

// Report is what was measured. Seconds are wall time.
type Report struct {
	Nodes     int     `json:"nodes"`
	Params    int     `json:"params"`
	Dropouts  int     `json:"dropouts"`
	Bits      int     `json:"bits"`
	Threshold int     `json:"threshold"`
	Rounds    int     `json:"rounds"`
	Processes bool    `json:"processes"` // the coordinator had a process of its own
	Fsync     bool    `json:"fsync"`
	Secure    Secure  `json:"secure"` // the fastest round
	Plain     Plain   `json:"plain"`  // the fastest round
	Ratio     float64 `json:"ratio"`  // of seconds, secure to plain
}

// Phase is what a phase took. With one process for both roles, CPU is that of both and stands under coordinator.
type Phase struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu_coordinator"`
	NodeCPU float64 `json:"cpu_nodes"`
}

// Secure is a round from spec to result and what follows it.
type Secure struct {
	Phases  []Phase `json:"phases"`
	Seconds float64 `json:"seconds"` // from spec to result
	CPU     float64 `json:"cpu"`     // of both roles, from spec to result
	Fsync   float64 `json:"fsync"`   // seconds in which the coordinator waited for its disk, inside Seconds
	Fetch   Phase   `json:"fetch"`   // every survivor fetches the sum, all at once
	Spot    Phase   `json:"spot"`    // every survivor spot-checks it, all at once

	Up          Bytes `json:"up"`   // per survivor, from spec to result
	Down        Bytes `json:"down"` // per survivor, from spec to result
	FetchDown   int64 `json:"fetch_down"`
	SpotDown    int64 `json:"spot_down"`
	Setup       Setup `json:"setup"`
	Coordinator int64 `json:"peak_coordinator"` // bytes; with one process for both roles that of both
	Node        int64 `json:"peak_node"`        // bytes, mean over the nodes of their process
	Vector      int64 `json:"vector"`           // bytes of one vector
}

// Bytes are those of one node, above TLS in messages and below it on the connection.
type Bytes struct {
	Messages int64   `json:"messages"`
	Wire     int64   `json:"wire"`
	PerParam float64 `json:"per_param"` // of messages
}

// Setup is the key set-up of one node, Advertise and Share, mean over survivors.
type Setup struct {
	CPU  float64 `json:"cpu_ms"` // of the participant, without transport
	Up   int64   `json:"up"`
	Down int64   `json:"down"`
}

// Plain is the sum of the same vectors without masks.
type Plain struct {
	Seconds     float64 `json:"seconds"` // from the word to begin until the sum can be fetched
	Upload      Phase   `json:"upload"`
	Sum         Phase   `json:"sum"`
	Fetch       Phase   `json:"fetch"`
	CPU         float64 `json:"cpu"`
	Fsync       float64 `json:"fsync"`
	Up          Bytes   `json:"up"`
	Coordinator int64   `json:"peak_coordinator"`
	Node        int64   `json:"peak_node"`
}

// phaseOf measures the phase between two marks.
func phaseOf(title string, from, to time.Time, coordinator, nodes float64) Phase {
	return Phase{Name: title, Seconds: to.Sub(from).Seconds(), CPU: coordinator, NodeCPU: nodes}
}
