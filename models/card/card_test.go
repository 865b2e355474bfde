package card_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/card"
	"github.com/koinon-eu/koinon/models/release/canonical"
)

func ptr[T any](v T) *T { return &v }

func record() *card.Record {
	return &card.Record{
		Format: card.Format, Name: "document-risk-1", Federation: "demo", Created: "2026-11-24T08:00:00Z", Code: "v0.1.0",
		Provider: "EU agency", Contact: "models@agency.example",
		Purpose: card.Purpose{
			Code: "document-risk", Unit: "document", Target: "document found to be false", Use: "order of examination",
			Profiling: ptr(false), AnnexIII: []string{"7(c)"}, Article63: "none", Article5: map[string]string{"5(1)(d)": "documents, not persons"},
			Regime: "GDPR", LegalBasis: "Regulation X", Deployers: []string{"DE", "FR"}, ValidUntil: "2027-12-31", Lawpack: "eu-2026-07-27",
		},
		Oversight: card.Oversight{Verifiers: ptr(1), ReasonRequired: ptr(true), ExaminationShare: ptr(0.05)},
		Plan:      card.Plan{Name: "document-risk", Digest: strings.Repeat("ab", 32), Members: []string{"DE", "FR", "IT"}, Rounds: ptr(60), Algorithm: "fedadam, rate 0.1"},
		Data: card.Data{
			Schema: "document-risk", Rows: ptr(int64(48000)), Positives: ptr(int64(480)),
			Features: []card.Feature{{Name: "document_age_days", Type: "number", Unit: "days"}, {Name: "a|b<script>", Type: "category", Why: "line\nbreak"}},
			Groups:   []card.Group{{Name: "sex", Values: []string{"F", "M"}}},
		},
		Model: card.Model{Architecture: "logistic", Parameters: ptr(41)},
		Figures: []card.Figure{
			{Name: "AUROC", Value: ptr(0.8125), Pointer: "/overall/auroc", Low: ptr(0.79), LowPointer: "/overall/interval/0", High: ptr(0.83), HighPointer: "/overall/interval/1"},
			{Name: "FPR", Group: "sex = F", Value: ptr(0.05), Pointer: "/groups/sex/F~1x/fpr"},
			{Name: "FNR", Group: "sex = F", Pointer: "/groups/sex/F~1x/fnr"},
		},
		Gates:  []card.Gate{{Metric: "auroc", Wanted: "at least 0.7 (lower bound)", Result: "pass"}},
		Bands:  []card.Band{{Name: "high", From: 0.3, Means: "examine first"}},
		Limits: []string{"no row from after 2026"},
	}
}

const sheet = `{"overall":{"auroc":0.8125,"interval":[0.79,0.83]},"groups":{"sex":{"F/x":{"fpr":0.05,"fnr":null}}}}`

func TestJSON(t *testing.T) {
	r := record()
	b, err := r.Marshal()
	require.NoError(t, err)
	back, err := card.Parse(b)
	require.NoError(t, err)
	require.Equal(t, r, back)
	_, err = card.Parse(append(b, '\n'))
	require.ErrorIs(t, err, canonical.ErrForm)
	_, err = card.Parse([]byte(`{"format":"koinon/card/v2","name":"x"}`))
	require.ErrorContains(t, err, "format")
	_, err = (&card.Record{Format: card.Format}).Marshal()
	require.ErrorContains(t, err, "no name")
	r.Figures[0].Pointer = ""
	_, err = r.Marshal()
	require.ErrorContains(t, err, "report")
}

func TestMarkdown(t *testing.T) {
	for name, r := range map[string]*card.Record{"full": record(), "empty": {Format: card.Format, Name: "bare"}} {
		t.Run(name, func(t *testing.T) {
			got := r.Markdown()
			golden := filepath.Join("testdata", name+".md")
			if os.Getenv("KOINON_UPDATE") != "" {
				require.NoError(t, os.WriteFile(golden, got, 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), string(got))
		})
	}
	text := string(record().Markdown())
	require.Contains(t, text, `a\|b\<script\>`)
	require.Contains(t, text, "line break")
	require.NotContains(t, text, "<script>")
}

// TestEmptyRecordClaimsNothing: of a record without facts, every fact is shown
// as not recorded.
func TestEmptyRecordClaimsNothing(t *testing.T) {
	text := string((&card.Record{Format: card.Format, Name: "bare"}).Markdown())
	for _, line := range strings.Split(text, "\n") {
		if name, value, ok := strings.Cut(line, ":**"); ok {
			require.Equal(t, "not recorded", strings.TrimSpace(value), name)
		}
	}
}

// TestEveryFactIsShown sets one text at a time and looks for it in the card.
func TestEveryFactIsShown(t *testing.T) {
	const mark = "unmistakable"
	var visit func(v reflect.Value, path string, show func() string)
	visit = func(v reflect.Value, path string, show func() string) {
		switch v.Kind() {
		case reflect.String:
			if path == ".Format" || strings.HasSuffix(path, "Pointer") && path != ".Figures[].Pointer" {
				return
			}
			v.SetString(mark)
			require.Contains(t, show(), mark, path)
			v.SetString("")
		case reflect.Struct:
			for i := range v.NumField() {
				visit(v.Field(i), path+"."+v.Type().Field(i).Name, show)
			}
		case reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			visit(v.Index(0), path+"[]", show)
			v.SetZero()
		case reflect.Map:
			v.Set(reflect.ValueOf(map[string]string{"k": mark}))
			require.Contains(t, show(), mark, path)
			v.SetZero()
		case reflect.Pointer:
			before := show()
			v.Set(reflect.New(v.Type().Elem()))
			if !strings.Contains(path, "Figures") {
				require.NotEqual(t, before, show(), path)
			}
			v.SetZero()
		}
	}
	r := card.Record{Format: card.Format}
	visit(reflect.ValueOf(&r).Elem(), "", func() string { return string(r.Markdown()) })
}

func TestCheckReport(t *testing.T) {
	require.NoError(t, record().CheckReport([]byte(sheet)))
	for name, c := range map[string]struct{ old, new, want string }{
		"last bit":  {"0.8125,", "0.81250000000000011,", "AUROC"},
		"interval":  {"0.83]", "0.84]", "AUROC"},
		"absent":    {`"auroc":0.8125,`, ``, "no number"},
		"not null":  {`"fnr":null`, `"fnr":0.1`, "FNR sex = F"},
		"a text":    {"0.8125", `"0.8125"`, "no number"},
		"no report": {sheet, "", "report"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, sheet, c.old)
			err := record().CheckReport([]byte(strings.Replace(sheet, c.old, c.new, 1)))
			require.ErrorContains(t, err, c.want)
		})
	}
	require.Equal(t, "/a~1b/~0/0", card.Pointer("a/b", "~", "0"))
}

func FuzzParse(f *testing.F) {
	b, err := record().Marshal()
	require.NoError(f, err)
	f.Add(b)
	f.Add([]byte(`{"format":"koinon/card/v1","name":"x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := card.Parse(data)
		if err != nil {
			return
		}
		again, err := r.Marshal()
		require.NoError(t, err)
		require.Equal(t, data, again)
		r.Markdown()
	})
}
