package process

import (
	"errors"
	"os"
	"os/exec"
)

// errSignal: the services run on Linux, so nothing here needs more.
var errSignal = errors.New("Windows has no such signal")

func terminate(p *os.Process) error { return p.Kill() }
func pause(*os.Process) error       { return errSignal }
func resume(*os.Process) error      { return errSignal }

func start(cmd *exec.Cmd) error { return cmd.Start() }
