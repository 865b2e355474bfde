package feature

// Matrix holds encoded rows. Row i has the numbers X[i·Numbers : (i+1)·Numbers]
// and the category slots C[i·len(Cards) : (i+1)·len(Cards)], the k-th of them
// in [0, Cards[k]).
type Matrix struct {
	Rows, Numbers int
	X             []float32 // row-major, standardised; missing is 0, with an indicator column
	C             []int32   // row-major slots; the last two of a column are unknown and missing
	Cards         []int     // slots of each category column
	Label         []int8    // 1, 0, or Unlabelled; nil if the table has no label column
	Groups        [][]int16 // per group column, per row: index into GroupValues, or -1 (missing or not learnt)
	Row           []int32   // row in the encoded table

	// Of a count label only: the counts, the forecasts to be beaten (NaN: none),
	// and what each count is in proportion to; nil where the schema names no
	// such column. CountMean is that of the encoder.
	Count              []int32
	Baseline, Exposure []float32
	CountMean          float64
}

// Slice returns rows [a, b) as a matrix that shares memory with m.
func (m *Matrix) Slice(a, b int) *Matrix {
	out := &Matrix{
		Rows: b - a, Numbers: m.Numbers, Cards: m.Cards,
		X: m.X[a*m.Numbers : b*m.Numbers], C: m.C[a*len(m.Cards) : b*len(m.Cards)], Row: m.Row[a:b],
	}
	if m.Label != nil {
		out.Label = m.Label[a:b]
	}
	out.Count, out.Baseline, out.Exposure, out.CountMean = cut(m.Count, a, b), cut(m.Baseline, a, b), cut(m.Exposure, a, b), m.CountMean
	for _, g := range m.Groups {
		out.Groups = append(out.Groups, g[a:b])
	}
	return out
}

func cut[T any](v []T, a, b int) []T {
	if v == nil {
		return nil
	}
	return v[a:b]
}
