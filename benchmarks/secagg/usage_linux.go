package secagg

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
	"time"
)

// rusageThread asks getrusage for the calling thread alone.
const rusageThread = 1

func processCPU() time.Duration { return cpu(syscall.RUSAGE_SELF) }

// threadCPU is the CPU time of the calling thread: the caller locks its goroutine to it.
func threadCPU() time.Duration { return cpu(rusageThread) }

func cpu(who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peakMemory returns the most bytes of memory this process has held since resetPeak (VmHWM).
func peakMemory() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmHWM:")); ok {
			kb, _ := strconv.ParseInt(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte("kB")))), 10, 64)
			return kb << 10
		}
	}
	return 0
}

// resetPeak begins a new measurement of peakMemory; where the kernel forbids it the old one goes on.
func resetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }
