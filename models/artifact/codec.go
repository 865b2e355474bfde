package artifact

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/release/canonical"
	"github.com/koinon-eu/koinon/models/trees"
)

// magic begins every artifact; the last byte is the version.
const magic = "KOINON\x00\x01"

// ErrForm says that bytes are not an artifact in its one form.
var ErrForm = errors.New("malformed artifact")

// Marshal returns the canonical bytes of a valid model:
//
//	magic and version, 8 bytes
//	u32 length, header: canonical JSON
//	u32 length, encoder: canonical JSON, equal to encoder.json of a release
//	u32 count, parameters: float32; for architecture trees instead
//	u32 length, ensemble: its canonical bytes (models/trees)
//
// Integers and floats are little-endian.
func (m *Model) Marshal() ([]byte, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	h := m.Header
	h.Architecture = h.Architecture.WithDefaults()
	header, err := canonical.Marshal(h)
	if err != nil {
		return nil, err
	}
	b := []byte(magic)
	for _, part := range [][]byte{header, m.Encoder.Canonical()} {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	if b, err = m.appendModel(b); err != nil {
		return nil, err
	}
	if len(b) > MaxBytes || len(header) > MaxHeader {
		return nil, fmt.Errorf("artifact: %d bytes, at most %d", len(b), MaxBytes)
	}
	return b, nil
}

// Parse reads an artifact. It refuses anything but what Marshal writes.
func Parse(b []byte) (*Model, error) {
	if len(b) > MaxBytes {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrForm, len(b), MaxBytes)
	}
	rest, ok := bytes.CutPrefix(b, []byte(magic))
	if !ok {
		return nil, fmt.Errorf("%w: not a koinon model of version 1", ErrForm)
	}
	header, rest, err := section(rest, MaxHeader, 1)
	if err != nil {
		return nil, err
	}
	encoder, rest, err := section(rest, MaxEncoder, 1)
	if err != nil {
		return nil, err
	}
	m := &Model{}
	if err := canonical.Unmarshal(header, MaxHeader, &m.Header); err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrForm, err)
	}
	if m.Encoder, err = feature.ParseEncoder(encoder); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForm, err)
	}
	if err := m.parseModel(rest); err != nil {
		return nil, err
	}
	if err := m.strict(b); err != nil {
		return nil, err
	}
	return m, nil
}

// appendModel writes the last section.
func (m *Model) appendModel(b []byte) ([]byte, error) {
	if m.Ensemble != nil {
		ensemble, err := m.Ensemble.Marshal()
		if err != nil {
			return nil, err
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(len(ensemble)))
		return append(b, ensemble...), nil
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(m.Params)))
	for _, v := range m.Params {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b, nil
}

// parseModel reads the last section, of the kind that the header says.
func (m *Model) parseModel(b []byte) error {
	size := 4
	if m.Header.Architecture.Kind == arch.Trees {
		size = 1
	}
	part, rest, err := section(b, MaxBytes, size)
	if err != nil {
		return err
	}
	if len(rest) != 0 {
		return fmt.Errorf("%w: %d bytes too many", ErrForm, len(rest))
	}
	if m.Header.Architecture.Kind == arch.Trees {
		if m.Ensemble, err = trees.Parse(part); err != nil {
			return fmt.Errorf("%w: %w", ErrForm, err)
		}
		return nil
	}
	m.Params = make([]float32, len(part)/4)
	for i := range m.Params {
		m.Params[i] = math.Float32frombits(binary.LittleEndian.Uint32(part[4*i:]))
	}
	return nil
}

// section takes a u32 count of items of so many bytes, and the items.
func section(b []byte, limit, size int) (part, rest []byte, err error) {
	if len(b) < 4 {
		return nil, nil, fmt.Errorf("%w: truncated", ErrForm)
	}
	n := uint64(binary.LittleEndian.Uint32(b)) * uint64(size)
	b = b[4:]
	if n > uint64(limit) || n > uint64(len(b)) {
		return nil, nil, fmt.Errorf("%w: section of %d bytes, %d left", ErrForm, n, len(b))
	}
	return b[:n], b[n:], nil
}

// strict validates the model and compares its bytes with those it came from.
func (m *Model) strict(b []byte) error {
	again, err := m.Marshal()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrForm, err)
	}
	if !bytes.Equal(again, b) {
		return fmt.Errorf("%w: not canonical", ErrForm)
	}
	return nil
}

// Digest is the SHA-256 of the canonical bytes: the artifact's name.
func (m *Model) Digest() ([32]byte, error) {
	b, err := m.Marshal()
	if err != nil {
		return [32]byte{}, err
	}
	return sha256.Sum256(b), nil
}
