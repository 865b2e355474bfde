// Package registry keeps releases in a store and pulls them out of one.
//
// A store is a directory tree that any web server can publish:
//
//	index.json               what there is: a hint, not signed, never trusted
//	releases/NAME/FILE       the files of a release (package release)
//	revocations.json         reserved for the signed list of revocations
//
// Client.Pull reads a release over HTTPS or from a directory and returns it
// only when all of it is verified: the signature by a pinned release key, the
// statement, the approvals. Nothing else decides what is fetched, so a web
// server can withhold a release but not change one; and no unverified byte
// ever gets a name on the caller's disk.
//
// A revoked release is listed with mode and reason, and its files are answered
// with 410 Gone. That word is not signed: it can only refuse, as the server
// could in any case. It reaches nobody who has pulled before.
package registry
