package secaggsim

import "container/heap"

// Queue holds what is to happen, in virtual ticks. Events of one tick run in
// the order of their rank, which the caller draws, and then of their making.
type Queue struct {
	now    int64
	made   uint64
	events events
}

type event struct {
	tick int64
	rank uint32
	made uint64
	run  func()
}

// Now returns the present tick, from 0.
func (q *Queue) Now() int64 { return q.now }

// After plans run for that many ticks from now; less than none means now.
func (q *Queue) After(ticks int64, rank uint32, run func()) {
	q.made++
	heap.Push(&q.events, event{tick: q.now + max(0, ticks), rank: rank, made: q.made, run: run})
}

// Next runs the next event that is due at or before tick last. It reports
// whether there was one; if not, the present tick is last.
func (q *Queue) Next(last int64) bool {
	if len(q.events) == 0 || q.events[0].tick > last {
		q.now = max(q.now, last)
		return false
	}
	e := heap.Pop(&q.events).(event)
	q.now = e.tick
	e.run()
	return true
}

// Clear forgets everything planned.
func (q *Queue) Clear() { q.events = nil }

type events []event

func (e events) Len() int      { return len(e) }
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e events) Less(i, j int) bool {
	a, b := e[i], e[j]
	switch {
	case a.tick != b.tick:
		return a.tick < b.tick
	case a.rank != b.rank:
		return a.rank < b.rank
	}
	return a.made < b.made
}

func (e *events) Push(v any) { *e = append(*e, v.(event)) }

func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}
