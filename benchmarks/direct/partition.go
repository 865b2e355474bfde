package direct

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"
)

// Member is one member of a cohort and its table.
type Member struct {
	Name  string
	Table *feature.Table
}

// rows counts those by which a member takes part in a step.
func (m Member) rows(step schedule.Step) int {
	selection := feature.SelectTrain
	if step.Kind == schedule.Evaluate {
		selection = feature.SelectTest
	}
	rows, _ := m.Table.Count(selection)
	return rows
}

// Ways to divide a table.
const (
	Column = "column" // rows with the same value of the column
	Order  = "order"  // equal parts of the rows in ascending order of the column
	IID    = "iid"    // equal parts at random
	Size   = "size"   // parts of unlike size at random
	Label  = "label"  // unlike shares of each label
	Values = "values" // unlike shares of each value of the column
)

// Kinds lists the ways in the order of the help text.
var Kinds = []string{Column, Order, IID, Size, Label, Values}

// Others is the node of the values that have too few rows for one of their own.
const Others = "others"

// leastRows is the fewest rows of a node that is made by chance, and draws how often chance is asked.
const (
	leastRows = 10
	draws     = 1000
)

// Partition says how the rows of a table become nodes.
type Partition struct {
	Kind string `json:"kind"`
	// Skew is σ of log-normal sizes (size), or α of the Dirichlet distribution by which each label or value is
	// shared out (label, values; Hsu, Qi and Brown 2019): the smaller, the more unlike nodes are.
	Skew   float64 `json:"skew,omitempty"`
	Column string  `json:"column,omitempty"` // of column, order and values; kept when the table was read, or a number of the schema (order)
	Nodes  int     `json:"nodes,omitempty"`  // of all but column
	Least  int     `json:"least,omitempty"`  // column: values with fewer rows make up one node together
}

// ParsePartition reads KIND or KIND:SKEW.
func ParsePartition(text string) (p Partition, err error) {
	kind, skew, given := strings.Cut(text, ":")
	p.Kind = kind
	if !slices.Contains(Kinds, kind) {
		return p, fmt.Errorf("partition %q is not known: want one of %s", kind, strings.Join(Kinds, ", "))
	}
	if skewed := kind == Size || kind == Label || kind == Values; skewed != given {
		return p, fmt.Errorf("partition %q: want column, order, iid, size:SIGMA, label:ALPHA or values:ALPHA", text)
	}
	if given {
		if p.Skew, err = strconv.ParseFloat(skew, 64); err != nil || !(p.Skew >= 0.01 && p.Skew <= 1000) {
			return p, fmt.Errorf("partition %q: skew %q is not between 0.01 and 1000", text, skew)
		}
	}
	return p, nil
}

// String is what ParsePartition reads.
func (p Partition) String() string {
	if p.Skew == 0 {
		return p.Kind
	}
	return fmt.Sprintf("%s:%v", p.Kind, p.Skew)
}

// Natural reports whether a node holds the same cases whatever the seed.
func (p Partition) Natural() bool { return p.Kind == Column || p.Kind == Order }

// Words says it in a table.
func (p Partition) Words() string {
	switch p.Kind {
	case Column:
		return "`" + p.Column + "`"
	case Order:
		return "by `" + p.Column + "`"
	case Values:
		return fmt.Sprintf("`%s`, Dirichlet %v", p.Column, p.Skew)
	case Label:
		return fmt.Sprintf("label, Dirichlet %v", p.Skew)
	case Size:
		return fmt.Sprintf("size, σ %v", p.Skew)
	}
	return p.Kind
}

// Keep are the columns to be kept as text when a table is read, so that it can be divided.
func (p Partition) Keep(s *feature.Schema) []string {
	c, declared := s.Column(p.Column)
	if p.Column == "" || declared && c.Type == feature.TypeNumber && c.IsFeature() {
		return nil
	}
	return []string{p.Column}
}

// Divide makes the nodes. What is left to chance follows from the seed alone. Nodes made by chance have ten rows at
// least; it is an error if so many tries find no such division.
func (p Partition) Divide(table *feature.Table, seed uint64) ([]Member, error) {
	if p.Kind == Column {
		return p.byColumn(table)
	}
	if p.Nodes < 1 || table.Rows() < p.Nodes*leastRows {
		return nil, fmt.Errorf("%d rows do not make %d nodes of at least %d", table.Rows(), p.Nodes, leastRows)
	}
	var parts [][]int32
	if p.Kind == Order {
		rows, err := ascending(table, p.Column)
		if err != nil {
			return nil, err
		}
		parts = make([][]int32, p.Nodes)
		cut(rows, equal(p.Nodes), parts)
	} else {
		classes, err := p.classes(table)
		if err != nil {
			return nil, err
		}
		if parts, err = p.draw(classes, rand.New(rand.NewPCG(seed, 0x6469766964650a))); err != nil {
			return nil, err
		}
	}
	members := make([]Member, p.Nodes)
	for i, rows := range parts {
		slices.Sort(rows)
		members[i] = Member{fmt.Sprintf("node-%d", i+1), table.Subset(rows)}
	}
	return members, nil
}

// byColumn makes a node of each value, in the order in which the file first names them.
func (p Partition) byColumn(table *feature.Table) ([]Member, error) {
	names, parts, err := table.Partition(p.Column)
	if err != nil {
		return nil, err
	}
	var members []Member
	others := map[string]bool{}
	for i, name := range names {
		if parts[i].Rows() < p.Least {
			others[name] = true
			continue
		}
		members = append(members, Member{memberName(name, i), parts[i]})
	}
	if len(others) > 0 {
		codes, values := table.Category(p.Column)
		var rows []int32
		for i, code := range codes {
			if others[values[code]] {
				rows = append(rows, int32(i))
			}
		}
		members = append(members, Member{Others, table.Subset(rows)})
	}
	return members, nil
}

// memberName makes a value of the node column fit to be a member's name.
func memberName(value string, index int) string {
	name := strings.Map(func(r rune) rune {
		if r < 128 && (r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z') {
			return r
		}
		return '-'
	}, value)
	if name = strings.Trim(name, "-"); !federation.ValidName(name) || len(name) > 24 {
		return fmt.Sprintf("node-%d", index+1)
	}
	return name
}

// ascending returns the rows in the order of a number or text column, missing ones first and equal ones in file order.
func ascending(table *feature.Table, column string) ([]int32, error) {
	rows := make([]int32, table.Rows())
	for i := range rows {
		rows[i] = int32(i)
	}
	if values := table.Number(column); values != nil {
		slices.SortStableFunc(rows, func(a, b int32) int { return cmp.Compare(values[a], values[b]) })
		return rows, nil
	}
	codes, names := table.Category(column)
	if codes == nil {
		return nil, fmt.Errorf("column %s: neither in the schema nor kept when the table was read", column)
	}
	text := func(row int32) string {
		if codes[row] == feature.Missing {
			return ""
		}
		return names[codes[row]]
	}
	slices.SortStableFunc(rows, func(a, b int32) int { return strings.Compare(text(a), text(b)) })
	return rows, nil
}

// classes are the sets of rows that are each shared out on their own.
func (p Partition) classes(table *feature.Table) ([][]int32, error) {
	codes := make([]int32, table.Rows())
	switch p.Kind {
	case Label:
		for i, y := range table.Label() {
			codes[i] = int32(y)
		}
	case Values:
		if codes, _ = table.Category(p.Column); codes == nil {
			return nil, fmt.Errorf("column %s: not a category and not kept when the table was read", p.Column)
		}
	}
	place := map[int32]int{}
	var out [][]int32
	for i, code := range codes {
		at, ok := place[code]
		if !ok {
			at = len(out)
			place[code], out = at, append(out, nil)
		}
		out[at] = append(out[at], int32(i))
	}
	return out, nil
}

// draw shares the rows of each class out until every node has enough.
func (p Partition) draw(classes [][]int32, r *rand.Rand) ([][]int32, error) {
	for range draws {
		parts := make([][]int32, p.Nodes)
		for _, rows := range classes {
			rows = slices.Clone(rows)
			r.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
			cut(rows, p.shares(r), parts)
		}
		if !slices.ContainsFunc(parts, func(rows []int32) bool { return len(rows) < leastRows }) {
			return parts, nil
		}
	}
	return nil, fmt.Errorf("%s: no division into %d nodes of at least %d rows in %d tries: take fewer nodes or less skew",
		p, p.Nodes, leastRows, draws)
}

// shares are how much of a class each node has, up to a factor.
func (p Partition) shares(r *rand.Rand) []float64 {
	if p.Kind == IID {
		return equal(p.Nodes)
	}
	out := make([]float64, p.Nodes)
	for i := range out {
		if p.Kind == Size {
			out[i] = math.Exp(p.Skew * r.NormFloat64())
		} else {
			out[i] = gamma(p.Skew, r)
		}
	}
	return out
}

func equal(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = 1
	}
	return out
}

// cut appends to each part its share of rows.
func cut(rows []int32, shares []float64, parts [][]int32) {
	total, before := 0.0, 0.0
	for _, s := range shares {
		total += s
	}
	from := 0
	for i, s := range shares {
		before += s
		to := int(math.Round(before / total * float64(len(rows))))
		if i == len(shares)-1 {
			to = len(rows)
		}
		parts[i] = append(parts[i], rows[from:to]...)
		from = to
	}
}

// gamma draws from Γ(shape, 1) (Marsaglia and Tsang 2000; below 1 by their boost). Shares that are proportional to such
// numbers have a Dirichlet distribution.
func gamma(shape float64, r *rand.Rand) float64 {
	if shape < 1 {
		return gamma(shape+1, r) * math.Pow(r.Float64(), 1/shape)
	}
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := r.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		if u := r.Float64(); u > 0 && math.Log(u) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}
