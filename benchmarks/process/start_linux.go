package process

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// starts are handed to one thread that lives as long as this process: Linux
// sends the death signal when the thread that started a child ends, not the
// process.
var starts = sync.OnceValue(func() chan<- func() {
	c := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range c {
			f()
		}
	}()
	return c
})

// start starts a process in a group of its own, so that ctrl-C reaches only
// this one, and has it killed when this one dies.
func start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	done := make(chan error)
	starts() <- func() { done <- cmd.Start() }
	return <-done
}
