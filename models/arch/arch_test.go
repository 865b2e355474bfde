package arch

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"
)

var shape = Shape{Numbers: 2, Cards: []int{3, 30}}

func TestSpecYAMLAndDefaults(t *testing.T) {
	for text, want := range map[string]Spec{
		"{kind: logistic, l2: 0.5}":                          {Kind: Logistic, L2: 0.5},
		"{kind: logistic}":                                   {Kind: Logistic, L2: 1},
		"{kind: mlp, l2: 1.0, hidden: [8], embedding: auto}": {Kind: MLP, L2: 1, Hidden: []int{8}, Embedding: Auto},
		"{kind: mlp, hidden: [64, 32], embedding: 7}":        {Kind: MLP, L2: 10, Hidden: []int{64, 32}, Embedding: "7"},
		"kind: mlp": {Kind: MLP, L2: 10, Hidden: []int{64, 32}, Embedding: Auto},
	} {
		var s Spec
		dec := yaml.NewDecoder(strings.NewReader(text))
		dec.KnownFields(true)
		require.NoError(t, dec.Decode(&s), text)
		require.NoError(t, s.Validate(), text)
		require.Equal(t, want, s.WithDefaults(), text)
	}
}

func TestSpecRefuses(t *testing.T) {
	for text, s := range map[string]Spec{
		"not known":  {Kind: "tree"},
		"between":    {Kind: Logistic, L2: -1},
		"l2":         {Kind: MLP, L2: math.NaN()},
		"neither":    {Kind: Logistic, Hidden: []int{3}},
		"at most 4":  {Kind: MLP, Hidden: []int{1, 1, 1, 1, 1}},
		"0 units":    {Kind: MLP, Hidden: []int{0}},
		"9999 units": {Kind: MLP, Hidden: []int{9999}},
		`"x"`:        {Kind: MLP, Embedding: "x"},
		`"07"`:       {Kind: MLP, Embedding: "07"},
		`"65"`:       {Kind: MLP, Embedding: "65"},
	} {
		require.ErrorContains(t, s.Validate(), text)
	}
}

func TestBlocksCoverTheParametersOnce(t *testing.T) {
	for _, s := range []Spec{{Kind: Logistic}, {Kind: MLP}, {Kind: MLP, Hidden: []int{5}, Embedding: "4"}} {
		n, err := s.Params(shape)
		require.NoError(t, err)
		next := 0
		for _, b := range s.Blocks(shape) {
			require.Equal(t, next, b.Offset, b.Name)
			next += b.Len()
		}
		require.Equal(t, n, next)
		require.Len(t, s.Decayed(shape), n)
		require.False(t, s.Decayed(shape)[n-1], "the last bias is not regularised")
		require.True(t, s.Decayed(shape)[0])
	}
	n, err := Spec{Kind: Logistic}.Params(shape)
	require.NoError(t, err)
	require.Equal(t, 2+33+1, n)
	n, err = Spec{Kind: MLP, Hidden: []int{5}}.Params(shape)
	require.NoError(t, err)
	require.Equal(t, 3*2+30*6+(2+2+6)*5+5+5+1, n)
}

func TestEmbeddingLen(t *testing.T) {
	s := Spec{Kind: MLP}
	for card, want := range map[int]int{1: 1, 2: 2, 4: 2, 5: 3, 9: 3, 255: 16, 256: 16, 1000: 16} {
		require.Equal(t, want, s.EmbeddingLen(card))
	}
	require.Equal(t, 9, Spec{Kind: MLP, Embedding: "9"}.EmbeddingLen(2))
}

func TestShapeRefuses(t *testing.T) {
	for _, s := range []Shape{{}, {Numbers: -1}, {Numbers: MaxColumns + 1}, {Cards: []int{0}}, {Numbers: 1, Cards: []int{MaxParams + 1}}} {
		require.Error(t, s.Validate())
		_, err := Spec{Kind: Logistic}.Params(s)
		require.Error(t, err)
		_, err = Spec{Kind: MLP}.InitialParameters(s, 1)
		require.Error(t, err)
	}
	_, err := Spec{Kind: MLP, Embedding: "64"}.Params(Shape{Cards: []int{MaxParams}})
	require.Error(t, err)
}

// goldenInitial pins the initial parameters: they must be equal on every processor (S59, S61).
const goldenInitial = "adb7a655e43e7fc36192072b8afe93c5aa496e76db147a6d835c2b69a54301ee"

func TestInitialParameters(t *testing.T) {
	s := Spec{Kind: MLP, Hidden: []int{8, 4}}
	params, err := s.InitialParameters(shape, 42)
	require.NoError(t, err)
	var b []byte
	for _, v := range params {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	d := sha256.Sum256(b)
	require.Equal(t, goldenInitial, hex.EncodeToString(d[:]))
	for _, block := range s.Blocks(shape) {
		sum, zero := 0.0, 0
		for _, v := range params[block.Offset : block.Offset+block.Len()] {
			sum += float64(v)
			if v == 0 {
				zero++
			}
		}
		if block.Bias() {
			require.Equal(t, block.Len(), zero)
			continue
		}
		require.Zero(t, zero)
		require.Less(t, math.Abs(sum)/float64(block.Len()), 0.5)
	}
	other, err := s.InitialParameters(shape, 43)
	require.NoError(t, err)
	require.NotEqual(t, params, other)
	linear, err := Spec{Kind: Logistic}.InitialParameters(shape, 42)
	require.NoError(t, err)
	require.Equal(t, make([]float32, 36), linear)
}

func TestLogisticByHand(t *testing.T) {
	params := make([]float32, 36)
	params[0], params[1] = 2, -1 // numbers
	params[2+1], params[2+3+29] = 0.5, 4
	params[35] = 0.25
	m, err := NewModel(Spec{Kind: Logistic}, shape, params)
	require.NoError(t, err)
	out := make([]float64, 2)
	m.Logits(Batch{Rows: 2, X: []float32{1, 3, 0, 0}, C: []int32{1, 29, 0, 0}}, out)
	require.Equal(t, []float64{2 - 3 + 0.5 + 4 + 0.25, 0.25}, out)
}

func TestMLPByHand(t *testing.T) {
	// One number, one category of two slots with vectors of length 1, two hidden units.
	s, shape := Spec{Kind: MLP, Hidden: []int{2}, Embedding: "1"}, Shape{Numbers: 1, Cards: []int{2}}
	params := []float32{3, -3 /* vectors */, 1, 2, 10, 20 /* W: number row, vector row */, 0.5, -100 /* b */, 1, 7 /* output */, 0.125}
	m, err := NewModel(s, shape, params)
	require.NoError(t, err)
	out := make([]float64, 2)
	m.Logits(Batch{Rows: 2, X: []float32{2, 2}, C: []int32{0, 1}}, out)
	require.Equal(t, []float64{(2 + 30 + 0.5) + 0 + 0.125, 0.125}, out)
}

// goldenLogits pins scores: they are equal on every processor, with assembly
// and without.
const goldenLogits = "a5ff5e4c669ba3f95e3c938977f4bba89b9a67cefd050e3164dfe15b4b13e610"

// TestLogitsAreTheSameEverywhere: whatever the kernel, the block of rows and
// the rows beside one.
func TestLogitsAreTheSameEverywhere(t *testing.T) {
	s := Spec{Kind: MLP, Hidden: []int{70, 33, 9}}
	params, err := s.InitialParameters(shape, 5)
	require.NoError(t, err)
	m, err := NewModel(s, shape, params)
	require.NoError(t, err)
	b := Batch{Rows: 2*blockRows + 7}
	for i := range b.Rows {
		b.X = append(b.X, float32(i)/7-9, 1/float32(i+1))
		b.C = append(b.C, int32(i%3), int32(i%30))
	}
	all, one := make([]float64, b.Rows), make([]float64, 1)
	m.Logits(b, all)
	var bytes []byte
	for i, z := range all {
		m.Logits(b.Slice(shape, i, i+1), one)
		require.Equal(t, z, one[0], "row %d", i)
		bytes = binary.LittleEndian.AppendUint64(bytes, math.Float64bits(z))
	}
	d := sha256.Sum256(bytes)
	require.Equal(t, goldenLogits, hex.EncodeToString(d[:]))
}

func TestModelAllocatesNothing(t *testing.T) {
	for _, s := range []Spec{{Kind: Logistic}, {Kind: MLP}} {
		params, err := s.InitialParameters(shape, 1)
		require.NoError(t, err)
		m, err := NewModel(s, shape, params)
		require.NoError(t, err)
		b, out := Batch{Rows: 1, X: []float32{1, 2}, C: []int32{2, 7}}, make([]float64, 1)
		require.Zero(t, testing.AllocsPerRun(100, func() { m.Logits(b, out) }), s.Kind)
		again := []float64{0}
		m.Logits(b, again)
		require.Equal(t, out, again)
	}
}

func TestBatchCheck(t *testing.T) {
	good := Batch{Rows: 1, X: []float32{1, 2}, C: []int32{2, 29}}
	require.NoError(t, good.Check(shape))
	for _, b := range []Batch{
		{Rows: 2, X: good.X, C: good.C},
		{Rows: 1, X: good.X[:1], C: good.C},
		{Rows: -1},
		{Rows: 1, X: good.X, C: []int32{3, 0}},
		{Rows: 1, X: good.X, C: []int32{0, -1}},
	} {
		require.Error(t, b.Check(shape))
	}
	two := Batch{Rows: 2, X: []float32{1, 2, 3, 4}, C: []int32{0, 1, 2, 3}}
	require.Equal(t, Batch{Rows: 1, X: []float32{3, 4}, C: []int32{2, 3}}, two.Slice(shape, 1, 2))
	_, err := NewModel(Spec{Kind: Logistic}, shape, nil)
	require.Error(t, err)
	_, err = NewModel(Spec{Kind: "x"}, shape, nil)
	require.Error(t, err)
}

func TestSigmoidAndLossDoNotOverflow(t *testing.T) {
	require.Equal(t, 0.5, Sigmoid(0))
	require.Equal(t, 1.0, Sigmoid(1e4))
	require.InDelta(t, 0.0, Sigmoid(-1e4), 1e-300)
	require.InDelta(t, math.Log(2), Loss(0, 1), 1e-15)
	require.Equal(t, 1e4, Loss(1e4, 0))
	require.Equal(t, 1e4, Loss(-1e4, 1))
	for _, z := range []float64{-3, 0.7, 5} {
		require.InDelta(t, -math.Log(Sigmoid(z)), Loss(z, 1), 1e-12)
		require.InDelta(t, -math.Log(1-Sigmoid(z)), Loss(z, 0), 1e-12)
	}
}

func BenchmarkLogits(b *testing.B) {
	s, shape := Spec{Kind: MLP, Hidden: []int{128, 64}}, Shape{Numbers: 64}
	params, err := s.InitialParameters(shape, 1)
	require.NoError(b, err)
	m, err := NewModel(s, shape, params)
	require.NoError(b, err)
	const rows = 1024
	batch, out := Batch{Rows: rows, X: make([]float32, rows*shape.Numbers)}, make([]float64, rows)
	for i := range batch.X {
		batch.X[i] = float32(i%13) - 6
	}
	b.Run("batch", func(b *testing.B) {
		for b.Loop() {
			m.Logits(batch, out)
		}
		b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	})
	b.Run("row", func(b *testing.B) {
		one := batch.Slice(shape, 0, 1)
		for b.Loop() {
			m.Logits(one, out)
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	})
}
