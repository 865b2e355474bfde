package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"
)

// The programs of a federation, by file name.
const (
	coordinatorProgram = "koinon-coordinator"
	nodeProgram        = "koinon-node"
	engineerProgram    = "koinon"
)

// Admin is a person who may administrate.
type Admin struct{ Name, Role string }

// Config says what federation is run. All fields are required.
type Config struct {
	Bin    string // folder of the programs
	Dir    string // everything is made below it; it must exist
	Name   string // of the federation
	Admins []Admin
	Tick   time.Duration // unit of all deadlines, the same at coordinator and nodes
	Grace  int           // ticks until a lost node no longer holds up a phase
}

// Federation is a federation on this machine. Close ends it.
type Federation struct {
	cfg         Config
	coordinator *Program
	nodes       map[string]*Program
	metrics     map[string]string // address by program
}

// New prepares a federation; nothing runs yet.
func New(cfg Config) (*Federation, error) {
	f := &Federation{cfg: cfg, nodes: map[string]*Program{}, metrics: map[string]string{}}
	for _, name := range []string{coordinatorProgram, nodeProgram, engineerProgram} {
		if _, err := os.Stat(f.path(name)); err != nil {
			return nil, fmt.Errorf("program %s is missing: %w", name, err)
		}
	}
	return f, os.MkdirAll(f.logs(), 0o700)
}

// path returns where a program is.
func (f *Federation) path(program string) string {
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	return filepath.Join(f.cfg.Bin, program)
}

func (f *Federation) logs() string { return filepath.Join(f.cfg.Dir, "logs") }

// CoordinatorDir is the coordinator's state directory.
func (f *Federation) CoordinatorDir() string { return filepath.Join(f.cfg.Dir, "coordinator") }

// NodeDir is the state directory of a member's node.
func (f *Federation) NodeDir(member string) string { return filepath.Join(f.cfg.Dir, "node-"+member) }

// Coordinator is the coordinator's program, once Init has made it.
func (f *Federation) Coordinator() *Program { return f.coordinator }

// Node is the program of a member's node, once it is enrolled.
func (f *Federation) Node(member string) *Program { return f.nodes[member] }

// Metrics returns the address at which a program serves metrics and health:
// "coordinator" or a member.
func (f *Federation) Metrics(program string) string { return f.metrics[program] }

// Made says what Init has made.
type Made struct {
	Fingerprint string            `json:"fingerprint"` // of the certificate authority
	Reach       map[string]string `json:"reach"`
}

// Init makes the federation's authority, keys and admins.
func (f *Federation) Init(ctx context.Context) (Made, error) {
	ports, err := freePorts(4)
	if err != nil {
		return Made{}, err
	}
	args := []string{
		"init", f.cfg.Name, "--dir", f.CoordinatorDir(), "--host", "127.0.0.1", "--listen", "127.0.0.1",
		"--federation-port", ports[0], "--enrolment-port", ports[1], "--web-port", ports[2], "--metrics-port", ports[3],
		"--tick", f.cfg.Tick.String(), "--grace", strconv.Itoa(f.cfg.Grace),
	}
	for _, a := range f.cfg.Admins {
		args = append(args, "--admin", a.Name+":"+a.Role)
	}
	var made Made
	if err := runJSON(ctx, &made, "", f.path(coordinatorProgram), args...); err != nil {
		return made, err
	}
	f.metrics["coordinator"] = net.JoinHostPort("127.0.0.1", ports[3])
	f.coordinator, err = newProgram("coordinator", f.logs(), f.path(coordinatorProgram), "serve", "--dir", f.CoordinatorDir())
	return made, err
}

// StartCoordinator starts the coordinator and waits until it serves.
func (f *Federation) StartCoordinator(ctx context.Context) error {
	log := f.coordinator.Follow()
	if err := f.coordinator.Start(); err != nil {
		return err
	}
	_, err := log.Next(ctx, "the coordinator to serve", func(e Entry) bool { return e.Is("coordinator serves") })
	return err
}

// StartNodes starts the nodes of these members and waits until each has a
// session with the coordinator.
func (f *Federation) StartNodes(ctx context.Context, members ...string) error {
	for _, m := range members {
		log := f.coordinator.Follow()
		if err := f.nodes[m].Start(); err != nil {
			return err
		}
		if err := f.connected(ctx, log, m); err != nil {
			return err
		}
	}
	return nil
}

// connected waits for a node's session, and no longer than the node lives.
func (f *Federation) connected(ctx context.Context, log *Cursor, member string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { // a node that cannot start ends by itself, which only its own log tells
		_, err := f.nodes[member].Follow().Next(ctx, "its session", func(Entry) bool { return false })
		cancel(err)
	}()
	_, err := log.Next(ctx, "the session of "+member, func(e Entry) bool { return e.Is("node connected", "member", member) })
	return err
}

// Close kills every process and closes the logs. The files stay.
func (f *Federation) Close() error {
	var errs []error
	for _, p := range f.nodes {
		errs = append(errs, p.close())
	}
	if f.coordinator != nil {
		errs = append(errs, f.coordinator.close())
	}
	return errors.Join(errs...)
}

// freePorts returns ports of loopback that were free a moment ago: fixed ones,
// because a service that is started again must be where it was.
func freePorts(n int) ([]string, error) {
	ports := make([]string, n)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("free port: %w", err)
		}
		defer l.Close() // all at the end, so that no port is given twice
		ports[i] = strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
