package feature

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const small = `name: visa
label: {column: fraud, positive: "1", empty: skip}
columns:
  zeta:  {type: number, range: [0, 10]}
  alpha: {type: category}
  hit:   {type: boolean}
  kind:  {type: category, values: [a, b, 3]}
  sex:   {type: category, role: group, values: [f, m]}
  land:  {type: category, role: group}
`

func TestParseSchemaKeepsOrder(t *testing.T) {
	s, err := ParseSchema([]byte(small))
	require.NoError(t, err)
	var names []string
	for _, c := range s.Columns {
		names = append(names, c.Name)
	}
	require.Equal(t, []string{"zeta", "alpha", "hit", "kind", "sex", "land"}, names)
	require.Len(t, s.Features(), 4)
	require.Len(t, s.Groups(), 2)
	require.Equal(t, []string{"a", "b", "3"}, s.Columns[3].Values)

	back, err := ParseSchemaJSON(s.Canonical())
	require.NoError(t, err)
	require.Equal(t, s, back)
	require.Equal(t, s.Digest(), back.Digest())
}

func TestCanonicalWritesDefaultsOut(t *testing.T) {
	a := &Schema{Name: "x", Label: Label{Column: "y", Positive: "1"}, Columns: []Column{{Name: "a", Type: TypeNumber}}}
	b := &Schema{
		Name: "x", KnownAt: Intake, Label: Label{Column: "y", Positive: "1", Empty: EmptyError},
		Columns: []Column{{Name: "a", Type: TypeNumber, Role: RoleFeature}},
	}
	require.Equal(t, string(a.Canonical()), string(b.Canonical()))
	require.Empty(t, a.Columns[0].Role, "Canonical must not change its receiver")
	_, err := ParseSchemaJSON([]byte(strings.ReplaceAll(string(a.Canonical()), `,"role":"feature"`, "")))
	require.ErrorContains(t, err, "not canonical")
	_, err = ParseSchemaJSON(append(a.Canonical(), '\n'))
	require.ErrorContains(t, err, "not canonical")
}

func TestParseSchemaRefuses(t *testing.T) {
	col := func(c string) string {
		return "name: x\nlabel: {column: y, positive: 1}\ncolumns:\n  a: " + c + "\n"
	}
	for name, c := range map[string]struct{ yaml, want string }{
		"empty":             {"", "empty"},
		"comment only":      {"# nothing\n", "empty"},
		"two documents":     {small + "---\nname: y\n", "more than one document"},
		"broken tail":       {small + "---\n{", "more than one document"},
		"not yaml":          {"name: [", "schema"},
		"list":              {"- a", "line 1: schema: expected keys"},
		"unknown key":       {small + "extra: 1\n", "line 10: schema: unknown key \"extra\""},
		"duplicate key":     {small + "name: y\n", "line 10: schema: key \"name\" is already on line 1"},
		"duplicate column":  {small + "  zeta: {type: number}\n", "line 10: columns: key \"zeta\" is already on line 4"},
		"unknown in column": {col("{type: number, colour: red}"), "line 4: column a: unknown key"},
		"null":              {col("{type: }"), "line 4: value is empty"},
		"alias":             {"name: &n x\nunit: *n\n", "line 2: expected a value, found an alias"},
		"merge":             {col("{<<: {type: number}}"), "tag !!merge"},
		"binary":            {col("{type: !!binary aGk=}"), "tag !!binary"},
		"type":              {col("{type: numbre}"), "unknown type \"numbre\""},
		"no type":           {col("{role: group}"), "no type"},
		"role":              {col("{type: number, role: features}"), "unknown role"},
		"group number":      {col("{type: number, role: group}"), "a group must be"},
		"date feature":      {col("{type: date}"), "a date cannot be a feature"},
		"range text":        {col("{type: number, range: [0, nan]}"), "is not a number"},
		"range inf":         {col("{type: number, range: [0, 1e999]}"), "is not a number"},
		"range empty":       {col("{type: number, range: [3, 3]}"), "empty"},
		"range three":       {col("{type: number, range: [3, 4, 5]}"), "two ends"},
		"range of category": {col("{type: category, range: [3, 4]}"), "range is for numbers"},
		"values of number":  {col("{type: number, values: [3, 4]}"), "values are for categories"},
		"value twice":       {col("{type: category, values: [3, 3]}"), "listed twice"},
		"value long":        {col("{type: category, values: [" + strings.Repeat("x", 65) + "]}"), "65 bytes"},
		"known later":       {col("{type: number, known_at: examination}"), "later than intake"},
		"unknown moment":    {col("{type: number, known_at: sometime}"), "unknown moment"},
		"proxy of nothing":  {col("{type: number, proxy_of: b}"), "proxy_of names b"},
		"label as feature":  {strings.ReplaceAll(col("{type: number}"), "  a:", "  y:"), "is the label column"},
		"no feature":        {col("{type: number, role: ignore}"), "no feature"},
		"second id":         {col("{type: text, role: id}"), "names another"},
		"split both":        {col("{type: number}") + "split: {column: s, test: x, train_until: 2025-01-01}\n", "exactly one"},
		"split date":        {col("{type: number}") + "split: {column: s, train_until: 2025-02-29}\n", "not a date"},
		"split is label":    {col("{type: number}") + "split: {column: y, test: x}\n", "both label and split"},
		"label empty":       {strings.Replace(small, "skip", "drop", 1), "neither skip nor error"},
		"control character": {col(`{type: number, unit: "a\tb"}`), "cannot be printed"},
		"too large":         {"#" + strings.Repeat("x", MaxSchemaBytes), "at most"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseSchema([]byte(c.yaml))
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestKnownLaterMayBeIgnoredOrAllowedBySchema(t *testing.T) {
	const later = "name: x\nlabel: {column: y, positive: 1}\nknown_at: examination\ncolumns:\n" +
		"  a: {type: number, known_at: examination}\n  b: {type: boolean, role: ignore, known_at: decision}\n"
	_, err := ParseSchema([]byte(later))
	require.NoError(t, err)
}

func TestIsDate(t *testing.T) {
	for _, s := range []string{"2024-02-29", "2025-12-31", "2000-02-29"} {
		require.True(t, isDate(s), s)
	}
	for _, s := range []string{"", "2023-02-29", "2025-13-01", "2025-00-01", "2025-1-1", "2025-04-31", "1900-02-29", "20250101xx", "2025-01-0x"} {
		require.False(t, isDate(s), s)
	}
}

func FuzzParseSchema(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte("name: x\nlabel: {column: y, positive: 1}\ncolumns: {a: {type: number, range: [-1, 1e3]}}"))
	f.Add([]byte("a: &a [*a]\n---\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseSchema(b)
		if err != nil {
			return
		}
		back, err := ParseSchemaJSON(s.Canonical())
		require.NoError(t, err)
		require.Equal(t, s.Digest(), back.Digest())
	})
}

func FuzzParseSchemaJSON(f *testing.F) {
	s, err := ParseSchema([]byte(small))
	require.NoError(f, err)
	f.Add(s.Canonical())
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := ParseSchemaJSON(b); err == nil {
			require.Equal(t, string(b), string(s.Canonical()))
		}
	})
}
