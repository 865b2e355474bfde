// Package arch describes the architectures a plan may name (logistic
// regression, and an MLP with embeddings for categories), the order of their
// parameters in one flat vector, the initial parameters that every member
// derives from the plan's seed (S59), and a forward pass that both evaluation
// and scoring use, with the same bits on every processor. It trains nothing.
package arch
