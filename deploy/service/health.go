package service

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"sync"
)

// Health holds what keeps a program from being ready, each reason under the
// name of the part it concerns. The zero value is ready.
type Health struct {
	mu      sync.Mutex
	reasons map[string]string
}

// Ready says that part is ready.
func (h *Health) Ready(part string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.reasons, part)
}

// NotReady says that part is not ready, and why.
func (h *Health) NotReady(part, reason string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.reasons == nil {
		h.reasons = map[string]string{}
	}
	h.reasons[part] = reason
}

// Reasons returns what is missing by part; it is empty when all is ready.
func (h *Health) Reasons() map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.reasons)
}

// Monitor returns the handler for an operator's port: /metrics, /healthz (200
// as long as the process answers) and /readyz (200 when health is ready, else
// 503 with the reasons as JSON).
func Monitor(m *Metrics, health *Health) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.Handler())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, nil)
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		reasons := health.Reasons()
		if len(reasons) > 0 {
			answer(w, http.StatusServiceUnavailable, reasons)
			return
		}
		answer(w, http.StatusOK, nil)
	})
	return mux
}

func answer(w http.ResponseWriter, code int, reasons map[string]string) {
	type missing struct {
		Part   string `json:"part"`
		Reason string `json:"reason"`
	}
	body := struct {
		Status  string    `json:"status"`
		Missing []missing `json:"missing,omitempty"`
	}{Status: "ok"}
	for _, part := range slices.Sorted(maps.Keys(reasons)) {
		body.Status = "not ready"
		body.Missing = append(body.Missing, missing{part, reasons[part]})
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // the prober may have gone
}
