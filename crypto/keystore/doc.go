// Package keystore opens the long-lived keys of Koinon by reference and hands
// them out as crypto.Signer, so that no caller knows where a key lives.
//
// Two kinds of reference exist:
//
//	file:/etc/koinon/release.key   PKCS#8 in PEM, mode 0600: EC P-256 or Ed25519
//	vault:transit/koinon-release   a key of a HashiCorp Vault transit mount:
//	                               its newest version, or with @2 the second
//
// A release is signed with EC P-256, because OpenSSF Model Signing knows no
// Ed25519; members sign the protocol with Ed25519. A private key in Vault never
// leaves it: only digests and signatures travel. Whoever verifies has pinned a
// public key, so pin the version too: otherwise the first start after a
// rotation signs with a key that nobody trusts yet.
//
// No error, log line or formatted value of this package contains a private key
// or a token.
package keystore
