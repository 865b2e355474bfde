// Package train computes what a member puts into a sum: counts for statistics,
// a gradient or a change of parameters for training, a tally for evaluation. It
// also trains models to convergence on one table, the yardsticks that a
// federated model is compared with: alone and pooled.
//
// Training runs on floats whose last bits differ between processors; on one
// machine the same seed gives the same bits whatever the number of cores.
package train
