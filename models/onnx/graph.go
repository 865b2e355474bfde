package onnx

import "strconv"

// Field numbers and enum values below are those of onnx.proto3 (IR version 8).

// TensorProto.DataType.
const (
	typeFloat  = 1
	typeInt64  = 7
	typeString = 8
	typeDouble = 11
)

// AttributeProto.AttributeType.
const (
	attrFloat   = 1
	attrInt     = 2
	attrString  = 3
	attrFloats  = 6
	attrInts    = 7
	attrStrings = 8
)

// Operator sets.
const (
	domainMain = ""
	domainML   = "ai.onnx.ml"
)

// graph collects a GraphProto. Values are known by their names, which the
// methods return.
type graph struct {
	taken       map[string]bool
	nodes       []message
	initializer []message
	inputs      []message
	outputs     []message
}

// free returns a name that no value has.
func (g *graph) free(name string) string {
	for g.taken[name] {
		name += "_"
	}
	g.taken[name] = true
	return name
}

// node adds an operator of one output. Its name begins with a slash, as
// exporters have it, and tells it from columns.
func (g *graph) node(domain, op string, inputs []string, attributes ...message) string {
	return g.nodeTo(g.free("/"+op+"."+strconv.Itoa(len(g.nodes))), domain, op, inputs, attributes...)
}

// nodeTo is node with a free name for the output.
func (g *graph) nodeTo(output, domain, op string, inputs []string, attributes ...message) string {
	var n message // NodeProto
	for _, in := range inputs {
		n = n.text(1, in) // input
	}
	n = n.text(2, output) // output
	n = n.text(3, output) // name
	n = n.text(4, op)     // op_type
	for _, a := range attributes {
		n = n.bytes(5, a) // attribute
	}
	if domain != domainMain {
		n = n.text(7, domain) // domain
	}
	g.nodes = append(g.nodes, n)
	return output
}

// op is node in the main domain without attributes.
func (g *graph) op(name string, inputs ...string) string {
	return g.node(domainMain, name, inputs)
}

// concat joins columns; one alone stays as it is.
func (g *graph) concat(columns []string) string {
	if len(columns) == 1 {
		return columns[0]
	}
	return g.node(domainMain, "Concat", columns, attributeInt("axis", 1))
}

// valueInfo is a ValueInfoProto of one column: shape [rows, 1].
func valueInfo(name string, elem int64, doc string) message {
	shape := message(nil). // TensorShapeProto
				bytes(1, message(nil).text(2, "rows")). // dim: dim_param
				bytes(1, message(nil).int(1, 1))        // dim: dim_value
	tensor := message(nil).int(1, elem).bytes(2, shape)                     // TypeProto.Tensor: elem_type, shape
	v := message(nil).text(1, name).bytes(2, message(nil).bytes(1, tensor)) // name, type: tensor_type
	if doc != "" {
		v = v.text(3, doc) // doc_string
	}
	return v
}

// tensor adds a constant.
func (g *graph) tensor(elem int64, raw []byte, dims ...int) string {
	name := g.free("/constant." + strconv.Itoa(len(g.initializer)))
	shape := make([]int64, len(dims))
	for i, d := range dims {
		shape[i] = int64(d)
	}
	t := message(nil).ints(1, shape).int(2, elem).text(8, name).bytes(9, raw) // dims, data_type, name, raw_data
	g.initializer = append(g.initializer, t)
	return name
}

func (g *graph) floats(v []float32, dims ...int) string {
	return g.tensor(typeFloat, raw32(v), dims...)
}

func (g *graph) doubles(v []float64, dims ...int) string {
	return g.tensor(typeDouble, raw64(v), dims...)
}

func (g *graph) ints(v []int64, dims ...int) string {
	return g.tensor(typeInt64, rawInt64(v), dims...)
}

// marshal returns the GraphProto.
func (g *graph) marshal(name string) message {
	var m message
	for _, part := range []struct {
		field int
		list  []message
	}{{1, g.nodes}, {5, g.initializer}, {11, g.inputs}, {12, g.outputs}} { // node, initializer, input, output
		for _, v := range part.list {
			m = m.bytes(part.field, v)
		}
		if part.field == 1 {
			m = m.text(2, name) // name
		}
	}
	return m
}

// Attributes: AttributeProto with name and value; type comes last.

func attributeFloat(name string, v float32) message {
	return message(nil).text(1, name).float(2, v).int(20, attrFloat)
}

func attributeInt(name string, v int64) message {
	return message(nil).text(1, name).int(3, v).int(20, attrInt)
}

func attributeString(name, v string) message {
	return message(nil).text(1, name).text(4, v).int(20, attrString)
}

func attributeFloats(name string, v []float32) message {
	return message(nil).text(1, name).floats(7, v).int(20, attrFloats)
}

func attributeInts(name string, v []int64) message {
	return message(nil).text(1, name).ints(8, v).int(20, attrInts)
}

func attributeStrings(name string, v []string) message {
	m := message(nil).text(1, name)
	for _, s := range v {
		m = m.text(9, s)
	}
	return m.int(20, attrStrings)
}
