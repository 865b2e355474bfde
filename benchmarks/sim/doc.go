// Package sim runs a whole federation in one process: a coordinator and as many nodes as there are tables, over
// real mutual TLS and gRPC on loopback, with the real round protocol. Only what makes no difference to a figure is
// left out: journal, ledgers and spool are in memory, there are no deadlines, and plans are approved unasked.
//
// Randomness that a result depends on (order of rows, stochastic rounding) comes from the seed, so that one seed
// gives one model; keys, seeds and masks come from the operating system as always.
package sim
