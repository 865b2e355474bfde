// Package round is the coordinator's side of one round, that is one masked sum, as a pure machine (secagg.md §7).
// It draws no randomness, reads no clock and sends nothing: its driver hands it events and ticks, appends the
// records it returns to the journal, and only then sends its messages and does its jobs. The same records, replayed
// after a restart, lead to the same round (S65).
package round
