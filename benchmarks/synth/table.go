package synth

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"math"
	"strconv"
)

// columns are the columns of a national table, in order.
const columns = "application_id,lodged_on,sex,age_band,nationality_group,residence_region,template_family," +
	"doc_age_years,validity_left_months,mrz_failures,chip_auth,optical_score,template_distance,sltd_hit," +
	"support_check,bank_consistency,employer_match,insurance_check,artefact_reuse,channel,purpose," +
	"post_workload,season,prior_visas,prior_refusals,prior_overstay,examined,fraud_found"

// Rows yields the rows of one state's table, truth included.
func Rows(preset, state string, rows int, seed uint64) (iter.Seq[Row], error) {
	p, err := PresetNamed(preset)
	if err != nil {
		return nil, err
	}
	if len(state) != 2 || state[0] < 'A' || state[0] > 'Z' || state[1] < 'A' || state[1] > 'Z' {
		return nil, fmt.Errorf("state %q is not a code of two capital letters", state)
	}
	if rows < 0 {
		return nil, fmt.Errorf("%d rows", rows)
	}
	return func(yield func(Row) bool) {
		c := newCountry(p, state)
		s := c.solve(state)
		r := newRandom(seed, state)
		first := mix(seed^fnv(state)) &^ (1<<32 - 1)
		for i := range rows {
			d := c.draw(r)
			c.decide(r, &d, s)
			d.ID = mix(first | uint64(i)) // a bijection: unique in the table
			if !yield(d) {
				return
			}
		}
	}, nil
}

// Generate writes one state's table as CSV with a header. The same arguments
// give the same bytes on one processor architecture; between architectures a
// rare value may differ where a logarithm is rounded differently.
func Generate(w io.Writer, preset, state string, rows int, seed uint64) error {
	return write(w, columns, preset, state, rows, seed, appendRow)
}

// GenerateTruth writes what no national table holds: for each row of Generate
// its application_id, true_probability and true_fraud.
func GenerateTruth(w io.Writer, preset, state string, rows int, seed uint64) error {
	return write(w, "application_id,true_probability,true_fraud", preset, state, rows, seed, func(b []byte, d *Row) []byte {
		b = appendID(b, d.ID)
		b = strconv.AppendFloat(append(b, ','), d.Probability, 'g', -1, 64)
		return appendBool(append(b, ','), d.Fraud)
	})
}

// GenerateAll writes the tables of several states as one, with the further
// column member, in the order of states.
func GenerateAll(w io.Writer, preset string, states []string, sizes []int, seed uint64) error {
	if len(states) != len(sizes) {
		return fmt.Errorf("%d states, %d sizes", len(states), len(sizes))
	}
	header := columns + ",member"
	for i, state := range states {
		err := write(w, header, preset, state, sizes[i], seed, func(b []byte, d *Row) []byte {
			b = append(appendRow(b, d), ',')
			return append(b, state...)
		})
		if err != nil {
			return err
		}
		header = ""
	}
	return nil
}

func write(w io.Writer, header, preset, state string, rows int, seed uint64, line func([]byte, *Row) []byte) error {
	all, err := Rows(preset, state, rows, seed)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 1<<16)
	if header != "" {
		_, _ = out.WriteString(header + "\n") // bufio reports it at Flush
	}
	var b []byte
	for d := range all {
		b = append(line(b[:0], &d), '\n')
		if _, err := out.Write(b); err != nil {
			return fmt.Errorf("write table of %s: %w", state, err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write table of %s: %w", state, err)
	}
	return nil
}

func appendRow(b []byte, d *Row) []byte {
	text := func(s string) { b = append(append(b, ','), s...) }
	count := func(n int) { b = strconv.AppendInt(append(b, ','), int64(n), 10) }
	decimal := func(x float64, decimals int) {
		b = append(b, ',')
		if !math.IsNaN(x) {
			b = strconv.AppendFloat(b, x, 'f', decimals, 64)
		}
	}
	flag := func(v bool) { b = appendBool(append(b, ','), v) }

	b = appendID(b, d.ID)
	b = appendDate(append(b, ','), d)
	text(sexes[d.Sex])
	text(ages[d.Age])
	text("N" + string(rune('1'+d.Group)))
	text("R" + string(rune('1'+d.Region)))
	text(familyName(d.Family))
	decimal(d.DocAge, 1)
	decimal(d.ValidityLeft, 0)
	count(d.MRZFailures)
	text(chips[d.Chip])
	decimal(d.Optical, 0)
	decimal(d.TemplateDistance, 2)
	flag(d.SLTD)
	text(supports[d.Support])
	decimal(d.Bank, 2)
	text(employers[d.Employer])
	text(insurances[d.Insurance])
	count(d.Reuse)
	text(channels[d.Channel])
	text(purposes[d.Purpose])
	decimal(d.Workload, 1)
	text(seasons[d.Season])
	count(d.PriorVisas)
	count(d.PriorRefusals)
	flag(d.PriorOverstay)
	flag(d.Examined)
	if d.Found < 0 {
		return append(b, ',')
	}
	count(d.Found)
	return b
}

func familyName(family int) string {
	return "T" + string(rune('0'+(family+1)/10)) + string(rune('0'+(family+1)%10))
}

// appendID writes the pseudonymous file number: 16 hexadecimal digits.
func appendID(b []byte, id uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, digits[id>>shift&15])
	}
	return b
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, '1')
	}
	return append(b, '0')
}

// appendDate writes the day of filing as YYYY-MM-DD.
func appendDate(b []byte, d *Row) []byte {
	month := (d.Month-1)%12 + 1
	b = strconv.AppendInt(b, int64(2024+(d.Month-1)/12), 10)
	b = append(b, '-', byte('0'+month/10), byte('0'+month%10))
	return append(b, '-', byte('0'+d.Day/10), byte('0'+d.Day%10))
}
