package artifact

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
)

const schemaText = `
name: toy
id: file
label: {column: y, positive: "1"}
columns:
  a: {type: number}
  b: {type: number}
  c: {type: category}
  g: {type: category, role: group}
`

// table makes 600 rows; b is missing now and then.
func table(t testing.TB) *feature.Table {
	schema, err := feature.ParseSchema([]byte(schemaText))
	require.NoError(t, err)
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	b.WriteString("file,y,a,b,c,g\n")
	for i := range 600 {
		number := ""
		if i%5 > 0 {
			number = fmt.Sprint(r.IntN(100))
		}
		fmt.Fprintf(&b, "F%d,%d,%d,%s,c%d,g%d\n", i, r.IntN(2), r.IntN(50), number, min(r.IntN(6), 3), r.IntN(2))
	}
	out, err := feature.ReadCSV(strings.NewReader(b.String()), schema, feature.Limits{})
	require.NoError(t, err)
	return out
}

// model builds an encoder from one table and random parameters.
func model(t testing.TB, kind string) *Model {
	rows := table(t)
	statistics := feature.NewStatistics(rows.Schema())
	for !statistics.Done() {
		sum, err := statistics.Count(rows)
		require.NoError(t, err)
		require.NoError(t, statistics.Apply(sum))
	}
	encoder, err := statistics.Encoder()
	require.NoError(t, err)
	m := &Model{
		Header: Header{
			Name: "toy 1", Purpose: "order of examination, never a reason for refusal <&>", Plan: strings.Repeat("ab", 32),
			Architecture: arch.Spec{Kind: kind}.WithDefaults(), Threshold: 0.4, Bands: BandsAt(0.4, 0.7),
		},
		Encoder: encoder,
	}
	n, err := m.Header.Architecture.Params(m.Shape())
	require.NoError(t, err)
	r := rand.New(rand.NewPCG(3, 4))
	for range n {
		m.Params = append(m.Params, float32(r.NormFloat64()/3))
	}
	return m
}

func TestRoundTrip(t *testing.T) {
	for _, kind := range []string{arch.Logistic, arch.MLP} {
		m := model(t, kind)
		b, err := m.Marshal()
		require.NoError(t, err)
		again, err := Parse(b)
		require.NoError(t, err)
		require.Equal(t, m.Header, again.Header)
		require.Equal(t, m.Params, again.Params)
		first, err := m.Digest()
		require.NoError(t, err)
		second, err := again.Digest()
		require.NoError(t, err)
		require.Equal(t, first, second)
	}
}

// TestParseRefuses: truncation at every byte, additions, and any changed byte
// that is still parsed gives another digest.
func TestParseRefuses(t *testing.T) {
	good, err := model(t, arch.Logistic).Marshal()
	require.NoError(t, err)
	for i := 0; i < len(good); i += 7 {
		_, err := Parse(good[:i])
		require.ErrorIs(t, err, ErrForm)
	}
	_, err = Parse(append(bytes.Clone(good), 0))
	require.ErrorIs(t, err, ErrForm)
	for name, change := range map[string]func(b []byte) []byte{
		"version":       func(b []byte) []byte { b[7]++; return b },
		"header length": func(b []byte) []byte { binary.LittleEndian.PutUint32(b[8:], math.MaxUint32); return b },
		"NaN":           func(b []byte) []byte { copy(b[len(b)-4:], []byte{0, 0, 0xc0, 0x7f}); return b },
		"space":         func(b []byte) []byte { return bytes.Replace(b, []byte(`"name":"toy 1"`), []byte(`"name": "toy1"`), 1) },
		"unknown key":   func(b []byte) []byte { return bytes.Replace(b, []byte(`"purpose"`), []byte(`"purposE"`), 1) },
		"hidden":        func(b []byte) []byte { return bytes.Replace(b, []byte(`"logistic"`), []byte(`"logistix"`), 1) },
		"plan":          func(b []byte) []byte { return bytes.Replace(b, []byte("abab"), []byte("ABAB"), 1) },
	} {
		_, err := Parse(change(bytes.Clone(good)))
		require.ErrorIs(t, err, ErrForm, name)
	}
}

func TestValidateRefuses(t *testing.T) {
	for name, change := range map[string]func(*Model){
		"encoder":    func(m *Model) { m.Encoder = nil },
		"parameters": func(m *Model) { m.Params = m.Params[1:] },
		"finite":     func(m *Model) { m.Params[0] = float32(math.Inf(1)) },
		"plan":       func(m *Model) { m.Header.Plan = "x" },
		"name":       func(m *Model) { m.Header.Name = "" },
		"purpose":    func(m *Model) { m.Header.Purpose = strings.Repeat("x", maxText+1) },
		"threshold":  func(m *Model) { m.Header.Threshold = math.NaN() },
		"bands":      func(m *Model) { m.Header.Bands = nil },
		"band 1":     func(m *Model) { m.Header.Bands[1].From = 0 },
		"band 2":     func(m *Model) { m.Header.Bands[2].From = 1.5 },
		"first from": func(m *Model) { m.Header.Bands[0].From = 0.1 },
		"kind":       func(m *Model) { m.Header.Architecture.Kind = "tree" },
	} {
		m := model(t, arch.Logistic)
		change(m)
		require.ErrorContains(t, m.Validate(), name)
		_, err := m.Marshal()
		require.Error(t, err, name)
		_, err = m.Digest()
		require.Error(t, err, name)
		_, err = m.NewScorer()
		require.Error(t, err, name)
	}
}

func TestBands(t *testing.T) {
	require.Equal(t, []Band{{"low", 0}, {"raised", 0.2}, {"high", 0.5}}, BandsAt(0.2, 0.5))
	require.Equal(t, []Band{{"low", 0}, {"high", 0.5}}, BandsAt(0.5, 0.5))
	require.Equal(t, []Band{{"low", 0}, {"raised", 0.2}}, BandsAt(0.2, math.Inf(1)))
	require.Equal(t, []Band{{"low", 0}}, BandsAt(math.Inf(1), math.Inf(1)))
	require.Equal(t, []Band{{"low", 0}}, BandsAt(0, 0))
	h := Header{Bands: BandsAt(0.2, 0.5)}
	for p, want := range map[float64]string{0: "low", 0.19: "low", 0.2: "raised", 0.5: "high", 1: "high"} {
		require.Equal(t, want, h.Band(p))
	}
}

func TestScore(t *testing.T) {
	for _, kind := range []string{arch.Logistic, arch.MLP} {
		m, rows := model(t, kind), table(t)
		s, err := m.NewScorer()
		require.NoError(t, err)
		advice, err := s.Score(rows, 2)
		require.NoError(t, err)
		require.Len(t, advice, 600)
		for i, a := range advice {
			require.Equal(t, i, a.Row)
			require.Equal(t, fmt.Sprintf("F%d", i), a.ID)
			require.Equal(t, m.Header.Band(a.Score), a.Band)
			require.Equal(t, a.Score >= 0.4, a.Flagged)
			require.LessOrEqual(t, len(a.Factors), 2)
			for k := 1; k < len(a.Factors); k++ {
				require.GreaterOrEqual(t, math.Abs(a.Factors[k-1].Effect), math.Abs(a.Factors[k].Effect))
			}
		}
		none, err := s.Score(rows, 0)
		require.NoError(t, err)
		require.Empty(t, none[0].Factors)
		require.Error(t, s.Logits(&feature.Matrix{Rows: 1}, make([]float64, 1)))
		require.Error(t, s.Logits(&feature.Matrix{Rows: 1}, nil))
	}
}

// TestExplainLogisticByHand: for a linear model the effects add up to the
// logit less that of the reference row, and the strongest come first.
func TestExplainLogisticByHand(t *testing.T) {
	m, rows := model(t, arch.Logistic), table(t)
	s, err := m.NewScorer()
	require.NoError(t, err)
	encoded, err := m.Encoder.Encode(rows, feature.SelectAll)
	require.NoError(t, err)
	logits, reference := make([]float64, encoded.Rows), make([]float64, 1)
	require.NoError(t, s.Logits(encoded, logits))
	require.NoError(t, s.Logits(m.Encoder.ReferenceRow(), reference))
	for i := range encoded.Rows {
		all := s.Explain(encoded, i, 99, nil)
		sum := reference[0]
		for _, f := range all {
			sum += f.Effect
		}
		require.InDelta(t, logits[i], sum, 1e-9)
		one := s.Explain(encoded, i, 1, []Factor{{Column: "kept"}})
		require.Equal(t, "kept", one[0].Column)
		require.Equal(t, all[:1], one[1:])
	}
	require.Empty(t, s.Explain(m.Encoder.ReferenceRow(), 0, 3, nil))
}

func TestExplainAllocatesNothing(t *testing.T) {
	m, rows := model(t, arch.MLP), table(t)
	s, err := m.NewScorer()
	require.NoError(t, err)
	encoded, err := m.Encoder.Encode(rows, feature.SelectAll)
	require.NoError(t, err)
	dst := make([]Factor, 0, 3)
	require.Zero(t, testing.AllocsPerRun(50, func() { s.Explain(encoded, 7, 3, dst) }))
}

// FuzzParse: no bytes panic, and what is accepted is canonical and scores.
func FuzzParse(f *testing.F) {
	for _, kind := range []string{arch.Logistic, arch.MLP} {
		b, err := model(f, kind).Marshal()
		require.NoError(f, err)
		f.Add(b)
	}
	b, err := forest(f).Marshal()
	require.NoError(f, err)
	f.Add(b)
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			return
		}
		again, err := m.Marshal()
		require.NoError(t, err)
		require.Equal(t, b, again)
		s, err := m.NewScorer()
		require.NoError(t, err)
		if m.Ensemble == nil {
			require.NoError(t, s.Logits(m.Encoder.ReferenceRow(), make([]float64, 1)))
		}
	})
}
