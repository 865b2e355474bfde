package synth

import (
	"embed"

	"github.com/koinon-eu/koinon/models/feature"
)

//go:embed pack/schema.yaml pack/plan.yaml pack/declaration.yaml
var files embed.FS

// PackFiles are the files that make the use case document-risk.
type PackFiles struct {
	Schema, Plan, Declaration []byte // YAML; plan.yaml names the other two by these names
}

// Pack returns the files of document-risk.
func Pack() PackFiles {
	read := func(name string) []byte {
		b, err := files.ReadFile("pack/" + name)
		if err != nil {
			panic(err) // the files are part of the program
		}
		return b
	}
	return PackFiles{Schema: read("schema.yaml"), Plan: read("plan.yaml"), Declaration: read("declaration.yaml")}
}

// Schema returns the parsed schema of document-risk.
func Schema() *feature.Schema {
	s, err := feature.ParseSchema(Pack().Schema)
	if err != nil {
		panic(err) // the file is part of the program, and a test reads it
	}
	return s
}
