package feature

import (
	"errors"
	"fmt"
	"slices"
)

// Columns is a table laid open, for a store that keeps it and gives it back
// without reading its source again. The slices are the table's own and must not
// be changed.
type Columns struct {
	Rows     int
	Numbers  map[string][]float32 // one value a row, NaN for missing
	Codes    map[string][]int32   // one code a row into Names of the column, or Missing
	Names    map[string][]string
	Label    []int8
	Split    []Split
	Origin   []int32
	IDText   []byte // identifiers one after the other
	IDEnds   []uint64
	Negative []string // see Table.NegativeLabels
	Unread   []string
}

// Columns lays a table open.
func (t *Table) Columns() Columns {
	c := Columns{
		Rows: t.rows, Numbers: t.numbers, Codes: map[string][]int32{}, Names: map[string][]string{},
		Label: t.label, Split: t.split, Origin: t.origin, Negative: t.others, Unread: t.unread,
	}
	for name, v := range t.texts {
		c.Codes[name], c.Names[name] = v.codes, v.names
	}
	if t.ids != nil {
		c.IDText, c.IDEnds = t.ids.text, t.ids.ends
	}
	return c
}

// NewTable makes a table of columns that were read under the schema, not for
// scoring. It refuses columns that do not fit the schema or each other; values
// of numbers are taken as they are.
func NewTable(s *Schema, c Columns) (*Table, error) {
	if err := c.check(s); err != nil {
		return nil, fmt.Errorf("columns: %w", err)
	}
	t := &Table{
		schema: s, rows: c.Rows, numbers: c.Numbers, texts: make(map[string]coded, len(c.Codes)),
		label: c.Label, split: c.Split, origin: c.Origin, others: c.Negative, unread: c.Unread,
	}
	for name, codes := range c.Codes {
		t.texts[name] = coded{codes, c.Names[name]}
	}
	if s.ID != "" {
		t.ids = &identifiers{c.IDText, c.IDEnds}
	}
	return t, nil
}

func (c *Columns) check(s *Schema) error {
	for _, column := range s.Columns {
		if !column.IsFeature() && column.Role != RoleGroup {
			continue
		}
		if column.Type == TypeNumber {
			if len(c.Numbers[column.Name]) != c.Rows {
				return fmt.Errorf("column %s has %d rows of %d", column.Name, len(c.Numbers[column.Name]), c.Rows)
			}
		} else if err := c.checkCodes(column); err != nil {
			return fmt.Errorf("column %s: %w", column.Name, err)
		}
	}
	if len(c.Label) != c.Rows || len(c.Split) != c.Rows || len(c.Origin) != c.Rows {
		return errors.New("labels or split of another number of rows")
	}
	for i, y := range c.Label {
		if y < Unlabelled || y > 1 || c.Split[i] > Test || c.Origin[i] < 0 {
			return fmt.Errorf("row %d with an impossible label, side or number", i)
		}
	}
	if s.ID == "" {
		return nil
	}
	if len(c.IDEnds) != c.Rows || !slices.IsSorted(c.IDEnds) || c.Rows > 0 && c.IDEnds[c.Rows-1] != uint64(len(c.IDText)) {
		return errors.New("identifiers do not fit")
	}
	return nil
}

func (c *Columns) checkCodes(column Column) error {
	codes, names := c.Codes[column.Name], c.Names[column.Name]
	if len(codes) != c.Rows {
		return fmt.Errorf("has %d rows of %d", len(codes), c.Rows)
	}
	listed := column.Values
	if column.Type == TypeBoolean {
		listed = []string{"0", "1"}
	}
	if len(listed) > 0 && !slices.Equal(listed, names) {
		return errors.New("names are not those of the schema")
	}
	for i, code := range codes {
		if code < Missing || int(code) >= len(names) {
			return fmt.Errorf("row %d with an unknown code", i)
		}
	}
	return nil
}
