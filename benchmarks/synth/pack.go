package synth

import (
	"embed"

	"github.com/koinon-eu/koinon/models/feature"
)

//go:embed pack/schema.yaml pack/plan.yaml pack/declaration.yaml
//go:embed travel/schema.yaml travel/plan.yaml travel/declaration.yaml
var files embed.FS

// PackFiles are the files that make a use case.
type PackFiles struct {
	Schema, Plan, Declaration []byte // YAML; plan.yaml names the other two by these names
}

// Pack returns the files of document-risk.
func Pack() PackFiles { return packFiles("pack/") }

func packFiles(folder string) PackFiles {
	read := func(name string) []byte {
		b, err := files.ReadFile(folder + name)
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
