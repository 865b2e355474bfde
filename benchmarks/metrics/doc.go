// Package metrics computes the figures of a binary classifier, either exactly
// from scores or from a Tally: integer counts that nodes add up under masks.
//
// Label 1 means found, the outcome a score warns of. A figure that is not
// defined (a rate over nothing, AUROC of one class) is nil, never zero.
//
// The package is pure. Figures taken from a Tally use only + − × ÷ √ in a
// fixed order (S61), so every machine gets the same report from one sum.
package metrics
