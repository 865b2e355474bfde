//go:build unix && !linux

package process

import (
	"os/exec"
	"syscall"
)

// start starts a process in a group of its own, so that ctrl-C reaches only
// this one. Unlike on Linux it outlives a parent that is killed.
func start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd.Start()
}
