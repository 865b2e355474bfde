// Package release binds everything that is published with a model.
//
// A release is a flat directory:
//
//	model.koinon    the artifact: what scores
//	encoder.json    how rows become numbers
//	card.json .md   the model card and instructions for use
//	report.json .md .html   figures from masked sums
//	statement.json  how all of the above came about, with their digests
//	approvals.json  signatures of at least two people in two roles on the statement
//	model.sig       OpenSSF Model Signing bundle over all the other files
//
// Two people approve the digest of the statement (StatementDigest); the
// statement holds the digest of every file but itself, the approvals and the
// bundle. So an approval covers the model, and the release key covers both.
// Open checks all of it on files in memory and returns the only value from
// which a model may be used, a *Release.
package release
