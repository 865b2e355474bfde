// Command koinon-bench reproduces our figures for everyone who doubts them:
// on any table, without an account, a network or a federation.
package main

import "github.com/koinon-eu/koinon/deploy/cli"

// version is set by the linker.
var version = "dev"

// grammar is one field a command; each command lives in a file of its name.
type grammar struct {
	Run     runCommand     `cmd:"" help:"Run a whole federation on a table: each node alone, federated, pooled."`
	Metrics metricsCommand `cmd:"" help:"Compute every figure of a report for a file of scores."`
	Secagg  secaggCommand  `cmd:"" help:"Whole rounds of secure aggregation beside a plain sum: time, bytes, memory."`
	Demo    demoCommand    `cmd:"" help:"A whole federation of five states on this machine, from enrolment to a signed model."`
	Data    dataCommand    `cmd:"" help:"Time how a table is read: CSV, Parquet, the cache."`
	Table   tableCommand   `cmd:"" help:"What a federation is worth on ten public tables, over seeds, architectures, algorithms and skews."`
	Train   trainCommand   `cmd:"" help:"Time local training on a synthetic table."`
	Attack  attackCommand  `cmd:"" help:"What models tell about who was in their training rows."`

	SecaggCoordinator secaggCoordinatorCommand `cmd:"" hidden:"" help:"The coordinator of secagg --processes."`
}

const description = "Measures models: figures for anyone's scores, and whole federations on a table."

func main() {
	cli.Main("koinon-bench", version, &grammar{}, cli.Description(description))
}
