// Package autograd computes gradients of the architectures through Gorgonia:
// the graph and its symbolic derivative are Gorgonia's, the operations in it
// are our own fused ones (gather of numbers and category vectors, linear with
// bias and ReLU, cross-entropy with logits), which reuse their outputs and
// never expand a category into a dense one-hot row.
package autograd

// Gorgonia refuses to start on a Go version its copy of this check does not
// know. The import pins a newer check; without it the program panics at init.
import _ "go4.org/unsafe/assume-no-moving-gc"
