package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"

	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/models/artifact"
	"github.com/koinon-eu/koinon/models/onnx"
	"github.com/koinon-eu/koinon/models/release"
	"github.com/koinon-eu/koinon/models/trees/xgbjson"
)

type exportCommand struct {
	trustFlags
	Directory string `arg:"" help:"Release directory."`
	Format    string `required:"" enum:"onnx,xgboost-json" help:"onnx, or xgboost-json for boosted trees." placeholder:"onnx|xgboost-json" env:"-"`
	Output    string `help:"Where the model goes, - for standard output; NAME.onnx or NAME.xgboost.json if left out." placeholder:"FILE" short:"o"`
	JSON      bool   `help:"Print digest, size and inputs as JSON." name:"json" env:"-"`
}

// Help shows an example.
func (exportCommand) Help() string {
	return `The release is verified first; an unverified model is not exported. The signature
does not travel: the file names the model it was made of, and the same model
gives the same file, so that anybody who holds the release can make it again.

Example:

  koinon export document-risk-1 --key release.pub --format onnx
  koinon export document-risk-1 --key release.pub --format xgboost-json -o model.json`
}

// exported is what export prints.
type exported struct {
	Format string       `json:"format"`
	Output string       `json:"output"`
	SHA256 string       `json:"sha256"`
	Bytes  int          `json:"bytes"`
	Model  string       `json:"model"` // digest of the artifact
	Inputs []onnx.Input `json:"inputs"`
	Scores string       `json:"scores,omitempty"` // the output that holds them, of ONNX
	Notice string       `json:"notice"`
}

// Run verifies, converts, and writes the file whole or not at all.
func (c *exportCommand) Run(std cli.Streams) error {
	if c.JSON && c.Output == "-" {
		return cli.Usagef("--json and --output - both want standard output")
	}
	trust, err := c.load()
	if err != nil {
		return err
	}
	r, model, err := open(c.Directory, trust)
	if err != nil {
		return err
	}
	out := exported{Format: c.Format, Output: c.Output, Model: r.Statement.Artifact.String(), Notice: notice}
	data, err := c.convert(r, model, &out)
	if err != nil {
		return err
	}
	err = output(std.Out, out.Output, 0o644, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	if err != nil {
		return err
	}
	out.SHA256, out.Bytes = release.Digest(sha256.Sum256(data)).String(), len(data)
	if c.JSON {
		return cli.PrintJSON(std.Out, out)
	}
	log := std.Out
	if out.Output == "-" {
		log = std.Err
	}
	fmt.Fprintf(log, "%s, verified, for the purpose %s: %s\n", r.Statement.Name, r.Statement.Purpose, notice)
	fmt.Fprintf(log, "  written to %s, %s, %d inputs\n  sha256     %s\n", out.Output, cli.Bytes(int64(out.Bytes)), len(out.Inputs), out.SHA256)
	return nil
}

// convert returns the bytes of the format and completes out.
func (c *exportCommand) convert(r *release.Release, model *artifact.Model, out *exported) ([]byte, error) {
	if model.Forecasts() {
		return nil, cli.Hint(onnx.ErrForecast, "koinon score gives the expected counts and their intervals")
	}
	properties, err := model.Properties(notice)
	if err != nil {
		return nil, err
	}
	extension := ".onnx"
	if c.Format == "xgboost-json" {
		extension = ".xgboost.json"
	}
	if out.Output == "" {
		out.Output = r.Statement.Name + extension
	}
	if c.Format == "onnx" {
		out.Inputs, out.Scores = onnx.InputsOf(model.Encoder), onnx.ScoreName(model.Encoder)
		body, err := onnx.Marshal(model, properties)
		return body, err
	}
	return c.xgboost(model, properties, out)
}

func (c *exportCommand) xgboost(model *artifact.Model, properties []artifact.Property, out *exported) ([]byte, error) {
	if model.Ensemble == nil {
		return nil, cli.Hint(fmt.Errorf("a model of kind %s has no XGBoost form", model.Header.Architecture.Kind),
			"only boosted trees have one; --format onnx takes every model of probabilities")
	}
	columns, err := xgbjson.Columns(model.Ensemble, model.Encoder)
	if err != nil {
		return nil, err
	}
	for _, c := range columns {
		in := onnx.Input{Name: c.Feature, Type: onnx.Float}
		if c.Codes != nil {
			in.Type = "category"
		}
		out.Inputs = append(out.Inputs, in)
	}
	text, err := json.Marshal(columns)
	if err != nil {
		return nil, err
	}
	attributes := map[string]string{"koinon.columns": string(text)}
	for _, p := range properties {
		attributes[p.Key] = p.Value
	}
	return xgbjson.Marshal(model.Ensemble, attributes)
}
