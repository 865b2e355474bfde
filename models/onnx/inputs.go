package onnx

import "github.com/koinon-eu/koinon/models/feature"

// Input is one column that a written model takes: a tensor of shape [rows, 1].
type Input struct {
	Name string `json:"name"` // the column's
	Type string `json:"type"` // float or string
}

// Types of an input.
const (
	Float  = "float"  // NaN is missing
	String = "string" // the value as it stands in a table; empty is missing
)

// InputsOf lists the inputs of a model with this encoder, in schema order.
// Columns that the encoder drops are none.
func InputsOf(e *feature.Encoder) []Input {
	inputs := e.Inputs()
	out := make([]Input, len(inputs))
	for i, in := range inputs {
		out[i] = Input{in.Column, Float}
		if in.Category >= 0 {
			out[i].Type = String
		}
	}
	return out
}

// newGraph returns a graph with its inputs. They come before all other values,
// so that columns keep their names.
func newGraph(e *feature.Encoder) *graph {
	g := &graph{taken: map[string]bool{}}
	for _, in := range InputsOf(e) {
		column, _ := e.Schema.Column(in.Name)
		elem, doc := int64(typeFloat), "number, NaN if missing"
		switch {
		case column.Type == feature.TypeBoolean:
			elem, doc = typeString, "0, 1, false or true, empty if missing"
		case in.Type == String:
			elem, doc = typeString, "category, empty if missing"
		}
		if column.Unit != "" {
			doc += "; unit: " + column.Unit
		}
		g.inputs = append(g.inputs, valueInfo(g.free(in.Name), elem, doc))
	}
	return g
}

// slots adds the look-up of a category's slots, each plus first: int64 [rows, 1].
func (g *graph) slots(e *feature.Encoder, category, first int) string {
	c := &e.Category[category]
	keys, values := e.Spellings(category)
	slots := make([]int64, len(values), len(values)+1)
	for i, v := range values {
		slots[i] = int64(first + v)
	}
	unknown := int64(first + len(c.Values))
	keys, slots = append(keys, ""), append(slots, unknown+1) // missing
	return g.node(domainML, "LabelEncoder", []string{c.Column},
		attributeStrings("keys_strings", keys), attributeInts("values_int64s", slots), attributeInt("default_int64", unknown))
}

// numbers adds what Encoder.Encode does to numbers: winsorised, standardised in
// float64 as there, 0 where missing, and after all of them the indicators.
// order has the place in a Matrix of each column.
func (g *graph) numbers(e *feature.Encoder) (value string, order []int) {
	var names []string
	var low, high []float32
	var mean, sd []float64
	var indicated []int64
	var indicators []int
	for i, n := range e.Number {
		names = append(names, n.Column)
		low, high = append(low, n.Low), append(high, n.High)
		mean, sd = append(mean, n.Mean), append(sd, n.SD)
		order = append(order, i+len(indicators))
		if n.Indicator {
			indicated, indicators = append(indicated, int64(i)), append(indicators, order[i]+1)
		}
	}
	k := len(names)
	x := g.concat(names)
	missing := g.op("IsNaN", x)
	x = g.op("Min", g.op("Max", x, g.floats(low, k)), g.floats(high, k))
	x = g.node(domainMain, "Cast", []string{x}, attributeInt("to", typeDouble))
	x = g.op("Div", g.op("Sub", x, g.doubles(mean, k)), g.doubles(sd, k))
	x = g.node(domainMain, "Cast", []string{x}, attributeInt("to", typeFloat))
	x = g.op("Where", missing, g.floats([]float32{0}, 1), x)
	if len(indicators) == 0 {
		return x, order
	}
	ones := g.node(domainMain, "Cast", []string{missing}, attributeInt("to", typeFloat))
	ones = g.node(domainMain, "Gather", []string{ones, g.ints(indicated, len(indicated))}, attributeInt("axis", 1))
	return g.concat([]string{x, ones}), append(order, indicators...)
}
