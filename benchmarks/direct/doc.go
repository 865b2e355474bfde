// Package direct computes a plan over tables in one process and in the clear: every member's vectors as a node makes
// and encodes them, added without masks, keys and network. From the same seed it comes, bit for bit, to the model of
// benchmarks/sim, which is that of the real protocol, at the cost of the local work alone. It also divides a table
// into nodes, by a column or by chance.
package direct
