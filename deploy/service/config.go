package service

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/koinon-eu/koinon/deploy/strictyaml"
)

// MaxConfig is the largest configuration file, in bytes.
const MaxConfig = 1 << 20

// LoadConfig reads the YAML file at path into the struct that into points to,
// over the defaults already there. See DecodeConfig.
func LoadConfig(path string, into any) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	defer f.Close()
	return DecodeConfig(path, f, into)
}

// DecodeConfig reads one YAML document of at most MaxConfig bytes. An unknown
// or repeated key is refused with its line, and so is a second document. When
// into has a method Validate() error, it is called last. Errors begin with
// name.
func DecodeConfig(name string, r io.Reader, into any) error {
	text, err := io.ReadAll(io.LimitReader(r, MaxConfig+1))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if len(text) > MaxConfig {
		return fmt.Errorf("%s: larger than %d bytes", name, MaxConfig)
	}
	switch err := strictyaml.Decode(text, into); {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%s: empty", name)
	case err != nil:
		return fmt.Errorf("%s: %w", name, err)
	}
	if v, ok := into.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
