package secagg

import (
	"slices"
	"sync"
	"time"
)

// sampleEvery is how often a process notes its CPU time.
const sampleEvery = 2 * time.Millisecond

// sample is the CPU time a process had used at a time, by the clock that all processes of a machine share.
type sample struct {
	at  time.Time
	cpu time.Duration
}

// sampler notes the CPU time of this process, so that it can be divided among phases afterwards.
type sampler struct {
	mu      sync.Mutex
	samples []sample
	stop    chan struct{}
}

func startSampler() *sampler {
	s := &sampler{stop: make(chan struct{})}
	s.note()
	go func() {
		t := time.NewTicker(sampleEvery)
		defer t.Stop()
		for {
			select {
			case <-s.stop:
				return
			case <-t.C:
				s.note()
			}
		}
	}()
	return s
}

func (s *sampler) note() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.samples = append(s.samples, sample{time.Now(), processCPU()})
}

func (s *sampler) close() { close(s.stop) }

// between returns the CPU seconds used from one time to another; inside a sampling interval they are spread evenly.
func (s *sampler) between(from, to time.Time) float64 {
	s.note()
	s.mu.Lock()
	defer s.mu.Unlock()
	return (s.at(to) - s.at(from)).Seconds()
}

func (s *sampler) at(t time.Time) time.Duration {
	i, _ := slices.BinarySearchFunc(s.samples, t, func(x sample, t time.Time) int { return x.at.Compare(t) })
	switch {
	case i == 0:
		return s.samples[0].cpu
	case i == len(s.samples):
		return s.samples[i-1].cpu
	}
	a, b := s.samples[i-1], s.samples[i]
	share := float64(t.Sub(a.at)) / float64(b.at.Sub(a.at))
	return a.cpu + time.Duration(share*float64(b.cpu-a.cpu))
}

// forget drops what was noted so far.
func (s *sampler) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.samples = s.samples[len(s.samples)-1:]
}
