package release

import (
	"crypto/sha256"
	"fmt"
	"maps"

	"github.com/koinon-eu/koinon/benchmarks/report"
	"github.com/koinon-eu/koinon/models/card"
)

// Draft puts together what people are asked to approve: every file of Content
// and statement.json.
//
// The card's figures are checked against the report. Name, Artifact, Gates and
// Files of the statement are filled in here; the caller gives the rest. A
// statement whose gates did not all pass, or were not answered, is an error,
// so that nobody is asked to approve a failed candidate.
func Draft(s Statement, record *card.Record, rep *report.Report, artifact, encoder []byte) (Files, error) {
	reportJSON, err := rep.JSON()
	if err != nil {
		return nil, err
	}
	page, err := rep.HTML()
	if err != nil {
		return nil, err
	}
	if err := record.CheckReport(reportJSON); err != nil {
		return nil, err
	}
	cardJSON, err := record.Marshal()
	if err != nil {
		return nil, err
	}
	files := Files{
		ArtifactFile: artifact, EncoderFile: encoder, CardFile: cardJSON, CardTextFile: record.Markdown(),
		ReportFile: reportJSON, ReportTextFile: rep.Markdown(), ReportPageFile: page,
	}
	s.Format, s.Name, s.Artifact, s.Gates = Format, record.Name, sha256.Sum256(artifact), nil
	for _, g := range record.Gates {
		s.Gates = append(s.Gates, Gate(g))
	}
	if len(s.Gates) != len(rep.Gates) {
		return nil, fmt.Errorf("draft %s: the card has %d gates, the report %d", s.Name, len(s.Gates), len(rep.Gates))
	}
	s.Files = Describe(files)
	out := maps.Clone(files)
	if out[StatementFile], err = s.Marshal(); err != nil {
		return nil, err
	}
	return out, nil
}
