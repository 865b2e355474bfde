// Package coordinator is the driver of a federation's coordinator: the only place where the pure round machine, the
// book of members and plans, the journal, the spool and the network meet. One goroutine owns each run. Whatever it
// decides is in the journal before it is sent, so the coordinator can be killed at any moment and goes on from its
// journal.
package coordinator
