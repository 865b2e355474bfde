// Package process runs a whole federation as real processes on one machine: a
// coordinator, a node for each member, and the commands that admins, operators
// and engineers type. It knows nothing of the programs but what their users
// know: arguments, JSON on standard output, log lines on standard error, exit
// codes. The demo and the end-to-end tests are built on it.
//
// A process that is killed here is killed with SIGKILL, as a power cut would:
// nothing in it gets to tidy up. When a Federation is closed, or on Linux when
// its own process dies in any way, every process it started dies with it.
package process
