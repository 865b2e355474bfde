package arch

import "fmt"

// Shape is the width of the encoder: how many numbers a row has, and for each
// category how many slots (learnt values, unknown and missing included).
type Shape struct {
	Numbers int
	Cards   []int
}

// Slots returns the number of category slots over all categories.
func (s Shape) Slots() int {
	n := 0
	for _, c := range s.Cards {
		n += c
	}
	return n
}

// Validate refuses a shape that no encoder makes.
func (s Shape) Validate() error {
	if s.Numbers < 0 || s.Numbers > MaxColumns || len(s.Cards) > MaxColumns {
		return fmt.Errorf("shape: %d numbers and %d categories, at most %d of each", s.Numbers, len(s.Cards), MaxColumns)
	}
	for i, c := range s.Cards {
		if c < 1 || c > MaxParams {
			return fmt.Errorf("shape: category %d has %d slots", i, c)
		}
	}
	if s.Numbers+len(s.Cards) == 0 {
		return fmt.Errorf("shape: no feature")
	}
	return nil
}

// Block is one named run of parameters: a Rows×Cols matrix, row-major.
type Block struct {
	Name       string
	Offset     int
	Rows, Cols int
	// Fan is the number of inputs a unit of this block sums; 0 for a bias,
	// which starts at zero and is not regularised.
	Fan int
	// Embedding marks category vectors, of which a row touches one each.
	Embedding bool
}

// Len returns the number of parameters in the block.
func (b Block) Len() int { return b.Rows * b.Cols }

// Bias reports whether the block is a bias.
func (b Block) Bias() bool { return b.Fan == 0 && !b.Embedding }

// Blocks lists the parameters in their order.
//
//	logistic, linear: number weights, one weight per category slot, bias
//	trees:    none
//	mlp:      per category its vectors (slots × length), then per layer a
//	          weight matrix (inputs × units) and a bias; the first layer's
//	          inputs are the numbers, then the categories' vectors in order
func (s Spec) Blocks(shape Shape) []Block {
	var blocks []Block
	next := 0
	add := func(b Block) {
		b.Offset = next
		next += b.Len()
		blocks = append(blocks, b)
	}
	if s.Kind == Trees {
		return nil
	}
	if s.Flat() {
		fan := shape.Numbers + len(shape.Cards)
		add(Block{Name: "numbers", Rows: shape.Numbers, Cols: 1, Fan: fan})
		add(Block{Name: "categories", Rows: shape.Slots(), Cols: 1, Fan: fan})
		add(Block{Name: "bias", Rows: 1, Cols: 1})
		return blocks
	}
	s = s.WithDefaults()
	width := shape.Numbers
	for i, card := range shape.Cards {
		length := s.EmbeddingLen(card)
		add(Block{Name: fmt.Sprintf("embedding %d", i), Rows: card, Cols: length, Embedding: true})
		width += length
	}
	for i, units := range append(s.Hidden, 1) {
		name := fmt.Sprintf("layer %d", i)
		add(Block{Name: name, Rows: width, Cols: units, Fan: width})
		add(Block{Name: name + " bias", Rows: units, Cols: 1})
		width = units
	}
	return blocks
}

// Params returns the number of parameters, or an error when there are more
// than a node accepts.
func (s Spec) Params(shape Shape) (int, error) {
	if err := shape.Validate(); err != nil {
		return 0, err
	}
	n := int64(0)
	for _, b := range s.Blocks(shape) {
		n += int64(b.Rows) * int64(b.Cols)
		if n > MaxParams {
			return 0, fmt.Errorf("architecture: more than %d parameters", MaxParams)
		}
	}
	return int(n), nil
}

// Input returns the width of the first dense layer: numbers and category vectors.
func (s Spec) Input(shape Shape) int {
	n := shape.Numbers
	for _, card := range shape.Cards {
		n += s.EmbeddingLen(card)
	}
	return n
}

// Decayed reports for each parameter whether l2 applies to it: to all but biases.
func (s Spec) Decayed(shape Shape) []bool {
	var decayed []bool
	for _, b := range s.Blocks(shape) {
		for range b.Len() {
			decayed = append(decayed, !b.Bias())
		}
	}
	return decayed
}
