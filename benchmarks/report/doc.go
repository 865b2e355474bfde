// Package report turns the summed tally of an evaluation into what is
// published: canonical JSON, Markdown and one self-contained HTML page.
//
// A report holds sums over the cohort only. Small cells are suppressed, gates
// are judged before that on the whole tally, and what is hidden is listed.
package report
