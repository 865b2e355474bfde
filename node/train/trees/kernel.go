package trees

// tables are the histograms of one block: for each lane a word a cell.
type tables [lanes][256]uint64

// The kernels add the word of each row to its cell in every lane in use. A cell
// is one byte, so that no index needs a check, and the lanes are independent,
// so that the adds overlap. words are those of a block: of consecutive rows in
// the first form, picked by rows in the second; v has a word for each row.

func (t *tables) addAll(n int, words, v []uint64) {
	switch n {
	case 1:
		t.all1(words, v)
	case 2:
		t.all2(words, v)
	case 3:
		t.all3(words, v)
	case 4:
		t.all4(words, v)
	case 5:
		t.all5(words, v)
	case 6:
		t.all6(words, v)
	case 7:
		t.all7(words, v)
	case 8:
		t.all8(words, v)
	}
}

func (t *tables) addRows(n int, rows []uint32, words, v []uint64) {
	switch n {
	case 1:
		t.rows1(rows, words, v)
	case 2:
		t.rows2(rows, words, v)
	case 3:
		t.rows3(rows, words, v)
	case 4:
		t.rows4(rows, words, v)
	case 5:
		t.rows5(rows, words, v)
	case 6:
		t.rows6(rows, words, v)
	case 7:
		t.rows7(rows, words, v)
	case 8:
		t.rows8(rows, words, v)
	}
}

func (t *tables) all1(words, v []uint64) {
	v = v[:len(words)]
	for i, w := range words {
		x := v[i]
		t[0][uint8(w)] += x
	}
}

func (t *tables) rows1(rows []uint32, words, v []uint64) {
	v = v[:len(rows)]
	for i, r := range rows {
		w, x := words[r], v[i]
		t[0][uint8(w)] += x
	}
}

func (t *tables) all2(words, v []uint64) {
	v = v[:len(words)]
	for i, w := range words {
		x := v[i]
		t[0][uint8(w)] += x
		t[1][uint8(w>>8)] += x
	}
}

func (t *tables) rows2(rows []uint32, words, v []uint64) {
	v = v[:len(rows)]
	for i, r := range rows {
		w, x := words[r], v[i]
		t[0][uint8(w)] += x
		t[1][uint8(w>>8)] += x
	}
}

func (t *tables) all3(words, v []uint64) {
	v = v[:len(words)]
	for i, w := range words {
		x := v[i]
		t[0][uint8(w)] += x
		t[1][uint8(w>>8)] += x
		t[2][uint8(w>>16)] += x
	}
}

func (t *tables) rows3(rows []uint32, words, v []uint64) {
	v = v[:len(rows)]
	for i, r := range rows {
		w, x := words[r], v[i]
		t[0][uint8(w)] += x
		t[1][uint8(w>>8)] += x
		t[2][uint8(w>>16)] += x
	}
}

func (t *tables) all4(words, v []uint64) {
	v = v[:len(words)]
	for i, w := range words {
		x := v[i]
		t[0][uint8(w)] += x
		t[1][uint8(w>>8)] += x
		t[2][uint8(w>>16)] += x
		t[3][uint8(w>>24)] += x
	}
}

func (t *tables) rows4(rows []uint32, words, v []uint64) {
	v = v[:len(rows)]
	for i, r := range rows {
		w, x := words[r], v[i]
		t[0][uint8(w)] += x
		t[1][uint8(w>>8)] += x
		t[2][uint8(w>>16)] += x
		t[3][uint8(w>>24)] += x
	}
}

func (t *tables) all5(words, v []uint64) {
	v = v[:len(words)]
	for i, w := range words {
		x := v[i]
		t[0][uint8(w)] += x
		t[1][uint8(w>>8)] += x
		t[2][uint8(w>>16)] += x
		t[3][uint8(w>>24)] += x
		t[4][uint8(w>>32)] += x
	}
}

func (t *tables) rows5(rows []uint32, words, v []uint64) {
	v = v[:len(rows)]
	for i, r := range rows {
		w, x := words[r], v[i]
		t[0][uint8(w)] += x
		t[1][uint8(w>>8)] += x
		t[2][uint8(w>>16)] += x
		t[3][uint8(w>>24)] += x
		t[4][uint8(w>>32)] += x
	}
}

func (t *tables) all6(words, v []uint64) {
	v = v[:len(words)]
	for i, w := range words {
		x := v[i]
		t[0][uint8(w)] += x
		t[1][uint8(w>>8)] += x
		t[2][uint8(w>>16)] += x
		t[3][uint8(w>>24)] += x
		t[4][uint8(w>>32)] += x
		t[5][uint8(w>>40)] += x
	}
}

func (t *tables) rows6(rows []uint32, words, v []uint64) {
	v = v[:len(rows)]
	for i, r := range rows {
		w, x := words[r], v[i]
		t[0][uint8(w)] += x
		t[1][uint8(w>>8)] += x
		t[2][uint8(w>>16)] += x
		t[3][uint8(w>>24)] += x
		t[4][uint8(w>>32)] += x
		t[5][uint8(w>>40)] += x
	}
}

func (t *tables) all7(words, v []uint64) {
	v = v[:len(words)]
	for i, w := range words {
		x := v[i]
		t[0][uint8(w)] += x
		t[1][uint8(w>>8)] += x
		t[2][uint8(w>>16)] += x
		t[3][uint8(w>>24)] += x
		t[4][uint8(w>>32)] += x
		t[5][uint8(w>>40)] += x
		t[6][uint8(w>>48)] += x
	}
}

func (t *tables) rows7(rows []uint32, words, v []uint64) {
	v = v[:len(rows)]
	for i, r := range rows {
		w, x := words[r], v[i]
		t[0][uint8(w)] += x
		t[1][uint8(w>>8)] += x
		t[2][uint8(w>>16)] += x
		t[3][uint8(w>>24)] += x
		t[4][uint8(w>>32)] += x
		t[5][uint8(w>>40)] += x
		t[6][uint8(w>>48)] += x
	}
}

func (t *tables) all8(words, v []uint64) {
	v = v[:len(words)]
	for i, w := range words {
		x := v[i]
		t[0][uint8(w)] += x
		t[1][uint8(w>>8)] += x
		t[2][uint8(w>>16)] += x
		t[3][uint8(w>>24)] += x
		t[4][uint8(w>>32)] += x
		t[5][uint8(w>>40)] += x
		t[6][uint8(w>>48)] += x
		t[7][uint8(w>>56)] += x
	}
}

func (t *tables) rows8(rows []uint32, words, v []uint64) {
	v = v[:len(rows)]
	for i, r := range rows {
		w, x := words[r], v[i]
		t[0][uint8(w)] += x
		t[1][uint8(w>>8)] += x
		t[2][uint8(w>>16)] += x
		t[3][uint8(w>>24)] += x
		t[4][uint8(w>>32)] += x
		t[5][uint8(w>>40)] += x
		t[6][uint8(w>>48)] += x
		t[7][uint8(w>>56)] += x
	}
}
