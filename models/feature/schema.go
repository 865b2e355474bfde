// Package feature describes a national table and turns it into numbers: the
// schema, the table read under it, the statistics that a federation sums, and
// the encoder those sums build. Training and scoring use the same code.
//
// The package is pure: it opens no file, reads no clock and draws no
// randomness. What two parties must agree on (statistics, encoder, digests) is
// computed in float64 with + − × ÷ √ only, each product rounded on its own, in
// a fixed order (secagg S61).
package feature

import (
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
)

// Limits of a schema. They bound what a plan from outside can make a node do.
const (
	MaxSchemaBytes  = 1 << 20 // size of a schema file
	MaxColumns      = 4096    // declared columns
	MaxValues       = 4096    // listed values of one category
	MaxNameBytes    = 128     // a column's or schema's name
	MaxValueBytes   = 64      // a category's value that can be listed or learnt
	MaxCommentBytes = 1024    // unit, missing, contested, why
)

// Type is what a column holds.
type Type string

// The types of a column.
const (
	TypeNumber   Type = "number"   // float32, may be missing
	TypeBoolean  Type = "boolean"  // 0, 1, true or false; encoded as a category of two values
	TypeCategory Type = "category" // text, values listed or learnt
	TypeDate     Type = "date"     // YYYY-MM-DD, only for the split column
	TypeText     Type = "text"     // only for id, label and ignored columns
)

// Role is what a column is used for.
type Role string

// The roles of a column. A group is evaluated and never becomes a feature.
const (
	RoleFeature Role = "feature"
	RoleGroup   Role = "group"
	RoleLabel   Role = "label"
	RoleID      Role = "id"
	RoleSplit   Role = "split"
	RoleIgnore  Role = "ignore"
)

// Moment is when a value becomes known. The moments are ordered.
type Moment string

// The moments, earliest first. An empty moment counts as Intake.
const (
	Intake      Moment = "intake"
	Examination Moment = "examination"
	Decision    Moment = "decision"
)

var moments = []Moment{Intake, Examination, Decision}

// order returns the place of m in time, or -1 for an unknown moment.
func (m Moment) order() int {
	if m == "" {
		return 0
	}
	return slices.Index(moments, m)
}

// What happens to a row whose label is empty.
const (
	EmptyError = "error" // the default: an empty label is an error of the table
	EmptySkip  = "skip"  // neither trained nor tallied
)

// Label names the column to be predicted. A row is positive if its text equals
// Positive; where both are numbers they are compared as numbers, so that "1.0"
// is "1". A label of KindCount has no positive value but a number of its own,
// and alone has the fields after Kind.
type Label struct {
	Column   string `json:"column"`
	Positive string `json:"positive"`
	Empty    string `json:"empty,omitempty"`    // EmptyError (default) or EmptySkip
	Kind     string `json:"kind,omitempty"`     // empty or KindCount
	Max      int64  `json:"max,omitempty"`      // the most that one row may count
	MinCell  int64  `json:"min_cell,omitempty"` // a label or baseline from 1 to below it is an error of the table
	Exposure string `json:"exposure,omitempty"` // column: expected counts are in proportion to it
	Baseline string `json:"baseline,omitempty"` // column: a forecast that the model must beat
}

// SplitRule divides rows into training and test rows: by date (a row on or
// before TrainUntil trains) or by value (a row that holds Test is a test row).
// Exactly one of the two is set.
type SplitRule struct {
	Column     string `json:"column"`
	TrainUntil string `json:"train_until,omitempty"` // YYYY-MM-DD
	Test       string `json:"test,omitempty"`
}

// Column declares one column. The zero Role is RoleFeature.
type Column struct {
	Name      string      `json:"name"`
	Type      Type        `json:"type"`
	Role      Role        `json:"role,omitempty"`
	Unit      string      `json:"unit,omitempty"`
	Range     *[2]float64 `json:"range,omitempty"` // inclusive; a value outside is an error of the table
	Values    []string    `json:"values,omitempty"`
	Missing   string      `json:"missing,omitempty"` // what an empty field means
	ProxyOf   string      `json:"proxy_of,omitempty"`
	Contested string      `json:"contested,omitempty"`
	Why       string      `json:"why,omitempty"`
	KnownAt   Moment      `json:"known_at,omitempty"`
}

// IsFeature reports whether the column feeds the model.
func (c Column) IsFeature() bool { return c.Role == "" || c.Role == RoleFeature }

// Schema is the shape of a national table, the same in every Member State. A
// column of the file that it does not name is ignored. The order of Columns is
// that of the schema file and decides the order of everything derived.
type Schema struct {
	Name    string     `json:"name"`
	Version int        `json:"version,omitempty"`
	Unit    string     `json:"unit,omitempty"`
	ID      string     `json:"id,omitempty"`
	Split   *SplitRule `json:"split,omitempty"`
	Label   Label      `json:"label"`
	KnownAt Moment     `json:"known_at,omitempty"`
	Columns []Column   `json:"columns"`
}

// Column returns the declared column of that name.
func (s *Schema) Column(name string) (Column, bool) {
	for _, c := range s.Columns {
		if c.Name == name {
			return c, true
		}
	}
	return Column{}, false
}

// Features returns the feature columns in schema order.
func (s *Schema) Features() []Column { return s.with(Column.IsFeature) }

// Groups returns the group columns in schema order.
func (s *Schema) Groups() []Column {
	return s.with(func(c Column) bool { return c.Role == RoleGroup })
}

func (s *Schema) with(keep func(Column) bool) []Column {
	var out []Column
	for _, c := range s.Columns {
		if keep(c) {
			out = append(out, c)
		}
	}
	return out
}

// Digest is the SHA-256 of the canonical JSON.
func (s *Schema) Digest() [32]byte {
	return sha256.Sum256(s.Canonical())
}

// Validate checks the schema as a whole and returns the first thing wrong.
func (s *Schema) Validate() error {
	if err := checkName("schema name", s.Name); err != nil {
		return err
	}
	if s.Version < 0 {
		return fmt.Errorf("schema %s: version %d is negative", s.Name, s.Version)
	}
	if err := checkText("unit", s.Unit); err != nil {
		return err
	}
	if s.KnownAt.order() < 0 {
		return fmt.Errorf("schema %s: known_at: unknown moment %q; the moments are intake, examination, decision", s.Name, s.KnownAt)
	}
	if len(s.Columns) > MaxColumns {
		return fmt.Errorf("schema %s: %d columns, at most %d", s.Name, len(s.Columns), MaxColumns)
	}
	seen := make(map[string]bool, len(s.Columns))
	for _, c := range s.Columns {
		if seen[c.Name] {
			return fmt.Errorf("column %s is declared twice", c.Name)
		}
		seen[c.Name] = true
		if err := s.checkColumn(c); err != nil {
			return err
		}
	}
	if err := s.checkRoles(); err != nil {
		return err
	}
	if len(s.Features()) == 0 {
		return fmt.Errorf("schema %s: no feature column", s.Name)
	}
	return nil
}

// checkRoles checks label, id and split against each other and the columns.
func (s *Schema) checkRoles() error {
	if err := checkName("label column", s.Label.Column); err != nil {
		return err
	}
	if err := s.Label.check(); err != nil {
		return err
	}
	if err := s.checkLabelColumns(); err != nil {
		return err
	}
	if e := s.Label.Empty; e != "" && e != EmptyError && e != EmptySkip {
		return fmt.Errorf("label: empty: %q is neither skip nor error", e)
	}
	single := []struct {
		role Role
		name string
	}{{RoleLabel, s.Label.Column}, {RoleID, s.ID}}
	if s.Split != nil {
		single = append(single, struct {
			role Role
			name string
		}{RoleSplit, s.Split.Column})
		if err := s.Split.check(); err != nil {
			return err
		}
	}
	for i, a := range single {
		if a.name != "" {
			if err := checkName(string(a.role)+" column", a.name); err != nil {
				return err
			}
		}
		for _, b := range single[:i] {
			if a.name != "" && a.name == b.name {
				return fmt.Errorf("column %s is both %s and %s", a.name, b.role, a.role)
			}
		}
		if c, ok := s.Column(a.name); ok && a.name != "" && c.Role != a.role {
			return fmt.Errorf("column %s is the %s column and may not have role %s", a.name, a.role, roleName(c.Role))
		}
	}
	for _, c := range s.Columns {
		if c.Role == RoleSplit && (s.Split == nil || s.Split.Column != c.Name) ||
			c.Role == RoleID && s.ID != c.Name || c.Role == RoleLabel && s.Label.Column != c.Name {
			return fmt.Errorf("column %s has role %s, but the schema names another", c.Name, c.Role)
		}
		if _, ok := s.Column(c.ProxyOf); c.ProxyOf != "" && !ok {
			return fmt.Errorf("column %s: proxy_of names %s, which is not declared", c.Name, c.ProxyOf)
		}
	}
	return nil
}

func (r SplitRule) check() error {
	switch {
	case r.Column == "":
		return fmt.Errorf("split: no column")
	case (r.TrainUntil == "") == (r.Test == ""):
		return fmt.Errorf("split: exactly one of train_until and test must be given")
	case r.TrainUntil != "" && !isDate(r.TrainUntil):
		return fmt.Errorf("split: train_until %q is not a date YYYY-MM-DD", r.TrainUntil)
	case r.Test != "":
		return checkValue("split test", r.Test)
	}
	return nil
}

func (s *Schema) checkColumn(c Column) error {
	if err := checkName("column name", c.Name); err != nil {
		return err
	}
	for _, t := range []struct{ key, text string }{
		{"unit", c.Unit}, {"missing", c.Missing}, {"contested", c.Contested}, {"why", c.Why}, {"proxy_of", c.ProxyOf},
	} {
		if err := checkText(t.key, t.text); err != nil {
			return fmt.Errorf("column %s: %w", c.Name, err)
		}
	}
	if c.KnownAt.order() < 0 {
		return fmt.Errorf("column %s: known_at: unknown moment %q; the moments are intake, examination, decision", c.Name, c.KnownAt)
	}
	if err := c.checkType(); err != nil {
		return err
	}
	used := c.IsFeature() || c.Role == RoleGroup
	if used && c.KnownAt.order() > s.KnownAt.order() {
		return fmt.Errorf("column %s is known at %s, later than %s: it may only be ignored or the label", c.Name, c.KnownAt, momentName(s.KnownAt))
	}
	return nil
}

func (c Column) checkType() error {
	switch c.Type {
	case TypeNumber, TypeBoolean, TypeCategory, TypeDate, TypeText:
	case "":
		return fmt.Errorf("column %s: no type", c.Name)
	default:
		return fmt.Errorf("column %s: unknown type %q; the types are number, boolean, category, date, text", c.Name, c.Type)
	}
	switch c.Role {
	case "", RoleFeature:
		if c.Type == TypeDate || c.Type == TypeText {
			return fmt.Errorf("column %s: a %s cannot be a feature", c.Name, c.Type)
		}
	case RoleGroup:
		if c.Type != TypeCategory && c.Type != TypeBoolean {
			return fmt.Errorf("column %s: a group must be a category or boolean, not a %s", c.Name, c.Type)
		}
	case RoleLabel, RoleID, RoleSplit, RoleIgnore:
	default:
		return fmt.Errorf("column %s: unknown role %q; the roles are feature, group, label, id, split, ignore", c.Name, c.Role)
	}
	return c.checkDomain()
}

// checkDomain checks the declared range and values.
func (c Column) checkDomain() error {
	if r := c.Range; r != nil {
		if c.Type != TypeNumber {
			return fmt.Errorf("column %s: range is for numbers, not a %s", c.Name, c.Type)
		}
		lo, hi := r[0], r[1]
		if !(math.Abs(lo) <= math.MaxFloat32 && math.Abs(hi) <= math.MaxFloat32) || float32(lo) >= float32(hi) {
			return fmt.Errorf("column %s: range [%v, %v] is empty or not finite", c.Name, lo, hi)
		}
	}
	if len(c.Values) > 0 && c.Type != TypeCategory {
		return fmt.Errorf("column %s: values are for categories, not a %s", c.Name, c.Type)
	}
	if len(c.Values) > MaxValues {
		return fmt.Errorf("column %s: %d values, at most %d", c.Name, len(c.Values), MaxValues)
	}
	seen := make(map[string]bool, len(c.Values))
	for _, v := range c.Values {
		if err := checkValue("value", v); err != nil {
			return fmt.Errorf("column %s: %w", c.Name, err)
		}
		if seen[v] {
			return fmt.Errorf("column %s: value %q is listed twice", c.Name, v)
		}
		seen[v] = true
	}
	return nil
}

func roleName(r Role) Role {
	if r == "" {
		return RoleFeature
	}
	return r
}

func momentName(m Moment) Moment {
	if m == "" {
		return Intake
	}
	return m
}
