// Package fairness measures how a model's errors fall on groups: rates and
// calibration by group with intervals, gaps between groups, what is too small
// to publish, and the gates a candidate must pass.
//
// Label 1 and a flag are the unfavourable outcome. A rate over nothing is nil
// and left out of gaps (the strict convention); Fairlearn's convention, which
// calls it zero, is offered for comparison. The package is pure.
package fairness
