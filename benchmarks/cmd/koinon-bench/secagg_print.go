package main

import (
	"fmt"
	"io"

	"github.com/koinon-eu/koinon/benchmarks/secagg"
	"github.com/koinon-eu/koinon/deploy/cli"
)

// printSecagg prints the phases of both kinds of sum, then what one node and each role cost.
func printSecagg(w io.Writer, r *secagg.Report) error {
	fmt.Fprintf(w, "%d nodes, %d parameters of %d bits, %d dropouts in Mask; fastest of %d\n\n", r.Nodes, r.Params, r.Bits, r.Dropouts, r.Rounds)
	header := []string{"secure", "wall s", "CPU s"}
	if r.Processes {
		header = []string{"secure", "wall s", "coordinator CPU s", "nodes CPU s"}
	}
	secure := append(append([]secagg.Phase{}, r.Secure.Phases...), sum("spec to result", r.Secure.Phases),
		r.Secure.Fetch, r.Secure.Spot)
	if err := printPhases(w, r, header, secure); err != nil {
		return err
	}
	header[0] = "plain"
	plain := []secagg.Phase{r.Plain.Upload, r.Plain.Sum}
	if err := printPhases(w, r, header, append(plain, sum("in all", plain), r.Plain.Fetch)); err != nil {
		return err
	}
	fmt.Fprintf(w, "ratio %.2f; coordinator waited for its disk %s s (plain %s s)\n\n", r.Ratio, secs(r.Secure.Fsync), secs(r.Plain.Fsync))
	return printCosts(w, r)
}

// sum adds phases up.
func sum(title string, phases []secagg.Phase) secagg.Phase {
	total := secagg.Phase{Name: title}
	for _, p := range phases {
		total.Seconds, total.CPU, total.NodeCPU = total.Seconds+p.Seconds, total.CPU+p.CPU, total.NodeCPU+p.NodeCPU
	}
	return total
}

func printPhases(w io.Writer, r *secagg.Report, header []string, phases []secagg.Phase) error {
	table := cli.NewTable(header...)
	for _, p := range phases {
		cells := []any{p.Name, secs(p.Seconds), secs(p.CPU)}
		if r.Processes {
			cells = append(cells, secs(p.NodeCPU))
		}
		table.Row(cells...)
	}
	if err := table.Print(w); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}

// printCosts prints bytes, the key set-up and memory.
func printCosts(w io.Writer, r *secagg.Report) error {
	s := r.Secure
	per := func(b secagg.Bytes) string { return fmt.Sprintf("%.3f", b.PerParam) }
	node := cli.NewTable("one node", "up", "down", "up per parameter", "down per parameter")
	node.Row("spec to result", cli.Bytes(s.Up.Messages), cli.Bytes(s.Down.Messages), per(s.Up), per(s.Down))
	node.Row("the same with TLS", cli.Bytes(s.Up.Wire), cli.Bytes(s.Down.Wire), nil, nil)
	node.Row("of it key set-up", cli.Bytes(s.Setup.Up), cli.Bytes(s.Setup.Down), nil, nil)
	node.Row("fetch", nil, cli.Bytes(s.FetchDown), nil, nil)
	node.Row("spot", nil, cli.Bytes(s.SpotDown), nil, nil)
	node.Row("plain sum", cli.Bytes(r.Plain.Up.Messages), nil, per(r.Plain.Up), nil)
	if err := node.Print(w); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nkey set-up %.1f ms CPU a node; a vector has %s\n", s.Setup.CPU, cli.Bytes(s.Vector))
	if s.Coordinator == 0 {
		_, err := fmt.Fprintln(w, "CPU time and memory are measured on Linux only")
		return err
	}
	if !r.Processes {
		_, err := fmt.Fprintf(w, "peak memory %s with coordinator and nodes in one process (plain %s)\n", cli.Bytes(s.Coordinator), cli.Bytes(r.Plain.Coordinator))
		return err
	}
	_, err := fmt.Fprintf(w, "peak memory: coordinator %s (plain %s), nodes %s each, %.1f vectors (plain %s)\n", cli.Bytes(s.Coordinator),
		cli.Bytes(r.Plain.Coordinator), cli.Bytes(s.Node), float64(s.Node)/float64(s.Vector), cli.Bytes(r.Plain.Node))
	return err
}

func secs(s float64) string { return fmt.Sprintf("%.3f", s) }
