package dataset

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/feature"
)

// TestBadInput: what a table may be like either works or is said by data check.
func TestBadInput(t *testing.T) {
	s, err := feature.ParseSchema([]byte("name: x\nlabel: {column: y, positive: \"1\"}\nsplit: {column: d, train_until: \"2024-06-30\"}\n" +
		"columns:\n  a: {type: number}\n  b: {type: category}\n"))
	require.NoError(t, err)
	table := func(rows int, row func(i int) string) []byte {
		var b bytes.Buffer
		b.WriteString("d,y,a,b\n")
		for i := range rows {
			b.WriteString(row(i) + "\n")
		}
		return b.Bytes()
	}
	for name, c := range map[string]struct {
		text  []byte
		says  []string // of the report
		fails string   // the statistics, where the table has no errors
	}{
		"dates out of range": {
			table(5, func(i int) string {
				return []string{"2024-02-30", "2024-13-01", "0000-00-00", "12024-01-01", "2024-01-01"}[i] + ",1,1,u"
			}),
			[]string{`line 2, column d: "2024-02-30" is not a date YYYY-MM-DD`, "line 3", "line 4", `line 5, column d: "12024-01-01" is not a date`},
			"",
		},
		"all missing": {
			table(60, func(i int) string { return fmt.Sprintf("2024-01-01,%d,,", i%2) }),
			[]string{"column a is empty in every row", "column b is empty in every row", "no errors"},
			"every feature column is constant or empty",
		},
		"constant": {
			table(60, func(i int) string { return fmt.Sprintf("2024-01-01,%d,7,u", i%2) }),
			[]string{"column a holds one value only", "column b holds one value only", "no errors"},
			"every feature column is constant or empty",
		},
		"one column constant": {
			table(60, func(i int) string { return fmt.Sprintf("2024-01-01,%d,%d,u", i%2, i) }),
			[]string{"column b holds one value only", "no errors"},
			"",
		},
		"ten rows": {
			table(10, func(i int) string { return fmt.Sprintf("2024-01-01,%d,%d,u", i%2, i) }),
			[]string{"only 10 labelled training rows", "the whole cohort needs 20", "no errors"},
			"10 labelled training rows in the whole cohort, at least 20 are needed",
		},
		"no training row": {
			table(30, func(i int) string { return fmt.Sprintf("2025-01-01,%d,%d,u", i%2, i) }),
			[]string{"no labelled training row"},
			"0 labelled training rows",
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := file(t, "x.csv", c.text)
			r, err := Check(path, s, Options{})
			require.NoError(t, err)
			var text strings.Builder
			require.NoError(t, r.WriteText(&text))
			for _, want := range c.says {
				require.Contains(t, text.String(), want)
			}
			if len(r.Errors) > 0 {
				return
			}
			tab, err := Open(path, s)
			require.NoError(t, err)
			err = learn(s, tab)
			if c.fails == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.fails)
			}
		})
	}
}

// learn takes the statistics of one table alone, and encodes it.
func learn(s *feature.Schema, t *feature.Table) error {
	st := feature.NewStatistics(s)
	for !st.Done() {
		sum, err := st.Count(t)
		if err == nil {
			err = st.Apply(sum)
		}
		if err != nil {
			return err
		}
	}
	e, err := st.Encoder()
	if err == nil {
		_, err = e.Encode(t, feature.SelectAll)
	}
	return err
}
