// Package participant is the pure machine of one member in one round: what a node says, in which order, and when
// it leaves. It wraps secagg.Client with everything a node knows by itself: that its operator approved the plan,
// what its policy allows, which step comes next (S73), how long it waits (S67), and how often it has taken part
// in an evaluation.
//
// The machine never blocks, reads no clock and draws no randomness: time comes as ticks, randomness as Rho. The
// driver performs an Output in the order of its fields; what must be durable stands before what leaves (S33, S63).
// A machine that has left holds no secret any more, and a new spec needs a new machine: a node that restarts is a
// dropout (S64).
package participant
