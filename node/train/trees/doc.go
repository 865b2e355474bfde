// Package trees is a member's side of growing trees: its rows in cells, their
// gradients, which tree node each row stands in, and the histograms that a
// query of the machine (models/trees) asks for. Training alone or on pooled
// rows is the same machine with one member.
//
// All that leaves this package are sums of integers, so the number of threads,
// the order of rows and how they are divided over members change no bit of an
// ensemble (trees 2, 49).
package trees
