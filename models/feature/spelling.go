package feature

// spelled are the ways in which programs print a boolean, besides 0 and 1.
var spelled = [2][]string{{"false", "False", "FALSE"}, {"true", "True", "TRUE"}}

// Spellings lists, for a program that looks categories up as texts, every text
// that stands for a value of a column of C, and which of Category.Values each
// stands for. The reader of a table also takes other case and space around a
// boolean; a category has no other spelling.
func (e *Encoder) Spellings(category int) (texts []string, values []int) {
	c := &e.Category[category]
	column, _ := e.Schema.Column(c.Column)
	for i, v := range c.Values {
		texts, values = append(texts, v), append(values, i)
		if column.Type != TypeBoolean {
			continue
		}
		for _, word := range spelled[i] {
			texts, values = append(texts, word), append(values, i)
		}
	}
	return texts, values
}
