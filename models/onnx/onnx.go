// Package onnx writes a model in the format of ONNX, with everything from a
// table's values to the score inside, so that any runtime can score with it.
//
// Each column is an input of its own by its name, of shape [rows, 1]: a number
// is a float, NaN where missing; a category or boolean is the string that stands
// in the table, empty where missing. The outputs are score, the probability that
// `koinon score` prints, and log_odds, float of shape [rows, 1]. Encoding is in
// float64 as in models/feature; what follows is in float32, so that a score
// differs from ours by rounding only, less than 1e-5.
//
// The protobuf is our own: a model is written, never read. The same model gives
// the same bytes.
package onnx

import (
	"errors"
	"fmt"

	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/artifact"
	"github.com/koinon-eu/koinon/models/feature"
)

// Versions of what is written: ONNX 1.11 of 2022, onnxruntime from 1.12 on.
const (
	IRVersion = 8
	Opset     = 15
	OpsetML   = 3
)

// Names of the outputs. Underscores follow if a column has that name.
const (
	Score   = "score"
	LogOdds = "log_odds"
)

// ScoreName is the output that holds the scores of a model with this encoder.
func ScoreName(e *feature.Encoder) string { return newGraph(e).free(Score) }

// ErrForecast says that a model forecasts counts: its score is no probability,
// and its exposure is no input of the encoder.
var ErrForecast = errors.New("a forecast of counts is not exported")

// Marshal returns the ModelProto of a valid model with these properties as its
// metadata. It fails with ErrForecast, if the model is not valid, or if its trees have too many
// nodes when sets are written out.
func Marshal(m *artifact.Model, properties []artifact.Property) ([]byte, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	if m.Forecasts() {
		return nil, ErrForecast
	}
	g := newGraph(m.Encoder)
	score, logOdds := g.free(Score), g.free(LogOdds)
	var z string
	switch kind := m.Header.Architecture.Kind; kind {
	case arch.Logistic:
		z = g.logistic(m)
	case arch.MLP:
		z = g.mlp(m)
	case arch.Trees:
		var err error
		if z, err = g.trees(m); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("onnx: architecture %s cannot be written", kind)
	}
	g.nodeTo(logOdds, domainMain, "Identity", []string{z})
	g.nodeTo(score, domainMain, "Sigmoid", []string{z})
	g.outputs = []message{valueInfo(score, typeFloat, "probability"), valueInfo(logOdds, typeFloat, "")}
	return model(g, m.Header, properties), nil
}

// model writes the ModelProto.
func model(g *graph, h artifact.Header, properties []artifact.Property) message {
	out := message(nil).
		int(1, IRVersion).              // ir_version
		text(2, "koinon").              // producer_name
		text(6, h.Name+": "+h.Purpose). // doc_string
		bytes(7, g.marshal(h.Name))     // graph
	for _, set := range []struct {
		domain  string
		version int64
	}{{domainMain, Opset}, {domainML, OpsetML}} {
		out = out.bytes(8, message(nil).text(1, set.domain).int(2, set.version)) // opset_import: domain, version
	}
	for _, p := range properties {
		out = out.bytes(14, message(nil).text(1, p.Key).text(2, p.Value)) // metadata_props: key, value
	}
	return out
}
