// Package aggregate holds the server's optimisers, one small file each. Every
// member recomputes the model from the published sum, so a step uses float64,
// + − × ÷ √ and comparisons only, each product rounded on its own, in a fixed
// order (S61): the same sums give the same bytes on every processor.
package aggregate
