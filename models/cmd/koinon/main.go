// Command koinon is for the engineer who uses a released model: it pulls,
// verifies, shows, scores and exports. A release is trusted because of its
// signature by a release key that the engineer names, never because of where it
// lies; no command uses a model that it has not just verified.
package main

import (
	"github.com/koinon-eu/koinon/deploy/cli"
)

// version is set when the program is built (-ldflags -X main.version=…).
var version = "development"

const description = "Pull, verify, show, score and export released models. A score is an advisory: a human decides."

type grammar struct {
	Pull   pullCommand   `cmd:"" help:"Fetch a release, verify all of it, then write it."`
	Verify verifyCommand `cmd:"" help:"Check a release directory, offline."`
	Show   showCommand   `cmd:"" help:"Say who made a release, from what, when and how."`
	Score  scoreCommand  `cmd:"" help:"Advise on each row of a table with a verified model."`
	Export exportCommand `cmd:"" help:"Write a verified model for another runtime: ONNX or XGBoost."`
	List   listCommand   `cmd:"" help:"List the releases of a store."`
}

func main() {
	cli.Main("koinon", version, &grammar{}, cli.Description(description))
}
