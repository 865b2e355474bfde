// Package keystore opens the long-lived keys of Koinon by reference and hands
// them out as crypto.Signer, so that no caller knows where a key lives.
//
// Two kinds of reference exist:
//
//	file:/etc/koinon/release.key   PKCS#8 in PEM, mode 0600: EC P-256 or Ed25519
//	vault:transit/koinon-release   a key of a HashiCorp Vault transit mount
//
// A release is signed with EC P-256, because OpenSSF Model Signing knows no
// Ed25519; members sign the protocol with Ed25519. A private key in Vault never
// leaves it: only digests and signatures travel.
//
// No error, log line or formatted value of this package contains a private key
// or a token.
package keystore
