// Package secagg measures secure aggregation: whole rounds over mutual TLS and gRPC on loopback with the coordinator
// that production runs (rpc, run, round, spool, journal) and the client path of a node (link, participant). Only the
// model is left out: nodes sum random vectors, and the schedule of the plan is one sum. Beside each round the same
// vectors are summed in plain over the same transport and spool, so that the price of the masks can be read off.
//
// The coordinator's side is behind an interface of a few calls, so that it can be a process of its own.
package secagg
