package main

import (
	"fmt"

	"github.com/koinon-eu/koinon/benchmarks/direct"
	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/models/feature"
)

// divideFlags say how a table becomes nodes.
type divideFlags struct {
	Partition  string `default:"column" placeholder:"HOW" help:"column: rows with the same value of --node-column are a node. Or --nodes of them: order (of --node-column), iid, size:SIGMA, label:ALPHA, values:ALPHA (of --node-column)."`
	NodeColumn string `placeholder:"COLUMN" help:"The column that --partition column, order and values go by."`
	Nodes      int    `placeholder:"N" help:"Nodes to make; 8 by default. Not for --partition column."`
	LeastRows  int    `placeholder:"N" help:"With --partition column: values with fewer rows are one node together."`
}

// defaultNodes is how many nodes chance makes unless told otherwise.
const defaultNodes = 8

// The fewest and most members of a cohort (S6).
const minNodes, maxNodes = 3, 64

// partition is what the flags name.
func (f divideFlags) partition() (direct.Partition, error) {
	p, err := direct.ParsePartition(f.Partition)
	if err != nil {
		return p, cli.Usage(err)
	}
	p.Column, p.Nodes, p.Least = f.NodeColumn, f.Nodes, f.LeastRows
	byColumn := p.Kind == direct.Column || p.Kind == direct.Order || p.Kind == direct.Values
	switch {
	case byColumn && p.Column == "":
		return p, cli.Usagef("--partition %s needs --node-column", f.Partition)
	case !byColumn && p.Column != "":
		return p, cli.Usagef("--partition %s goes by no --node-column", f.Partition)
	case p.Kind == direct.Column && p.Nodes != 0:
		return p, cli.Usagef("--nodes is for nodes made by chance or order: a column makes as many as it has values")
	case p.Kind != direct.Column && p.Least != 0:
		return p, cli.Usagef("--least-rows is for --partition column")
	case p.Kind != direct.Column && p.Nodes == 0:
		p.Nodes = defaultNodes
	}
	return p, nil
}

// divide makes as many nodes as a cohort may have.
func divide(p direct.Partition, table *feature.Table, seed uint64) ([]direct.Member, error) {
	members, err := p.Divide(table, seed)
	if err != nil {
		return nil, err
	}
	if n := len(members); n < minNodes || n > maxNodes {
		if p.Kind == direct.Column {
			return nil, cli.Hint(fmt.Errorf("column %s makes %d nodes, want %d to %d", p.Column, n, minNodes, maxNodes),
				"choose a column with fewer values, or put small ones together with --least-rows")
		}
		return nil, fmt.Errorf("%d nodes, want %d to %d", n, minNodes, maxNodes)
	}
	return members, nil
}
