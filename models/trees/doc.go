// Package trees grows gradient-boosted trees from summed histograms and scores
// with them. It holds what coordinator and members must compute alike: the
// cells of a column, the search for splits, the grid below the root, the
// machine that turns one opened sum after the other into an ensemble, and its
// canonical bytes. A member's side, the histograms of its rows, is in
// node/train/trees.
//
// The package is pure: it opens no file, reads no clock and draws no
// randomness. Histograms are integers, whose sum has no order; what is derived
// from them is float64 with every product rounded on its own, in a fixed order,
// so that the same sums give the same ensemble, bit for bit, on every processor
// (trees 2, 48).
package trees
