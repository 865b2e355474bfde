// Package secaggsim has the parts of a deterministic simulation of secure
// aggregation that are not the protocol: a queue of virtual time, a trace with a
// digest, a stand-in for the key encapsulation, and the algebraic oracle that
// says what a coordinator and corrupt members can solve for. It is for tests
// only; the simulation itself stands beside the protocol's tests.
//
// Nothing here reads a clock or draws randomness of its own: everything follows
// from what the caller gives, so one seed is one history.
package secaggsim
