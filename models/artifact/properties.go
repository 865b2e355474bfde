package artifact

import (
	"encoding/hex"
	"encoding/json"
	"strconv"
)

// Property is an entry of the metadata of a model in another format.
type Property struct{ Key, Value string }

// Properties says what a valid model is, wherever it is taken: notice, names,
// digests (SHA-256, hexadecimal), operating threshold and bands (JSON). The
// order is fixed.
func (m *Model) Properties(notice string) ([]Property, error) {
	digest, err := m.Digest()
	if err != nil {
		return nil, err
	}
	bands, err := json.Marshal(m.Header.Bands)
	if err != nil {
		return nil, err
	}
	schema := m.Encoder.Schema.Digest()
	return []Property{
		{"koinon.notice", notice},
		{"koinon.release", m.Header.Name},
		{"koinon.purpose", m.Header.Purpose},
		{"koinon.model", hex.EncodeToString(digest[:])},
		{"koinon.plan", m.Header.Plan},
		{"koinon.schema", hex.EncodeToString(schema[:])},
		{"koinon.threshold", strconv.FormatFloat(m.Header.Threshold, 'g', -1, 64)},
		{"koinon.bands", string(bands)},
	}, nil
}
