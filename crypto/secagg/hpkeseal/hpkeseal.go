// Package hpkeseal makes bundle keys for crypto/secagg. It is apart from it
// because encapsulation draws randomness that nobody can give it (S15).
package hpkeseal

import (
	"crypto/hpke"
	"fmt"

	"github.com/koinon-eu/koinon/crypto/secagg"
)

// Seal is a secagg.Seal: HPKE in base mode with KEM 0x647a (MLKEM768-X25519),
// HKDF-SHA256 and the export-only AEAD. It returns the encapsulation, 1120
// bytes, and the exported key, 32 bytes (S13).
func Seal(pk, info []byte) (enc, key []byte, err error) {
	public, err := hpke.MLKEM768X25519().NewPublicKey(pk)
	if err != nil {
		return nil, nil, fmt.Errorf("parse public key: %w", err)
	}
	enc, sender, err := hpke.NewSender(public, hpke.HKDFSHA256(), hpke.ExportOnly(), info)
	if err != nil {
		return nil, nil, fmt.Errorf("encapsulate: %w", err)
	}
	key, err = sender.Export(secagg.ExportLabel, 32)
	if err != nil {
		return nil, nil, fmt.Errorf("export bundle key: %w", err)
	}
	return enc, key, nil
}
