// Package sign signs and verifies directories in the OpenSSF Model Signing
// format, version 1.0 (https://github.com/ossf/model-signing-spec): one file,
// model.sig, a Sigstore bundle around a DSSE envelope around an in-toto
// statement that lists every file with its SHA-256 digest. Verifiers of other
// makers accept what this package signs.
//
// Implemented: serialisation method "files", hash SHA-256, signatures with a
// bare key. Signing takes EC P-256; verification also takes P-384 and P-521,
// which the reference implementation writes. Everything else (shards, other
// hashes, certificates, Sigstore identities, symbolic links) is refused with
// its reason, never skipped.
//
// What is trusted stands in a Policy, which has no defaults: the keys, and the
// paths a signer may leave out. Verification needs no network. It works on a
// directory (VerifyFS) or on files in memory (VerifyFiles), so that a caller
// can verify before it writes.
package sign
