package trees

import (
	"sync"
	"sync/atomic"
)

// parallel calls f for every task in [0, tasks) on so many workers, each task
// once, and returns when all are done. Workers are numbered from 0.
func parallel(workers, tasks int, f func(worker, task int)) {
	if workers = min(workers, tasks); workers <= 1 {
		for task := range tasks {
			f(0, task)
		}
		return
	}
	var next atomic.Int64
	var wait sync.WaitGroup
	for w := range workers {
		wait.Go(func() {
			for task := int(next.Add(1)) - 1; task < tasks; task = int(next.Add(1)) - 1 {
				f(w, task)
			}
		})
	}
	wait.Wait()
}
