// Package node is one member's side of a federation: the only place where the pure parts meet files, clocks,
// randomness and the network. It holds the member's keys, its accepted roster and its operator's decisions on
// plans; it computes what a plan asks of its national table, gives it out only under masks, checks every result,
// and keeps its own figures to itself.
//
// Library users (the benchmark runs a whole federation in one process) make a Node with New and a Memory store;
// cmd/koinon-node makes one from a directory with Open.
package node
