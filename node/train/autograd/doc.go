// Package autograd computes gradients of the architectures. The graph of a
// model, the shapes in it and its symbolic derivative are Gorgonia's; the
// operations are our own fused ones (gather of numbers and category vectors,
// linear with bias and ReLU, cross-entropy with logits) over models/kernel.
// They own their outputs, never expand a category into a dense one-hot row, and
// add the derivatives of the parameters to one flat vector.
//
// Since every operation and every derivative is ours, the graph is at the same
// time a plan: the operations in the order in which Gorgonia's differentiation
// made them. A Net runs that plan and allocates nothing; Gorgonia's tape
// machine runs the same operations to the same bits, and package stock is the
// same model of Gorgonia's own operations, both to compare with.
package autograd

// Gorgonia refuses to start on a Go version its copy of this check does not
// know. The import pins a newer check; without it the program panics at init.
import _ "go4.org/unsafe/assume-no-moving-gc"
