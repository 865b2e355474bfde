package main

import "syscall"

// cpuSeconds is the user and system time of this process.
func cpuSeconds() float64 {
	self, err := syscall.GetCurrentProcess()
	if err != nil {
		return 0
	}
	var created, ended, system, user syscall.Filetime
	if syscall.GetProcessTimes(self, &created, &ended, &system, &user) != nil {
		return 0
	}
	ticks := func(t syscall.Filetime) uint64 { return uint64(t.HighDateTime)<<32 | uint64(t.LowDateTime) }
	return float64(ticks(system)+ticks(user)) / 1e7 // of 100 ns
}
