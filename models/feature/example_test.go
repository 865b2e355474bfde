package feature_test

import (
	"fmt"
	"strings"

	"github.com/koinon-eu/koinon/models/feature"
)

// Two members learn an encoder from sums and encode their own rows.
func ExampleStatistics() {
	schema, _ := feature.ParseSchema([]byte("name: visa\nlabel: {column: fraud, positive: 1}\n" +
		"columns:\n  age: {type: number, range: [0, 10]}\n  model: {type: category}\n"))
	de, _ := feature.ReadCSV(strings.NewReader("age,model,fraud\n"+strings.Repeat("2,P,0\n5,O,1\n", 30)), schema, feature.Limits{})
	fr, _ := feature.ReadCSV(strings.NewReader("age,model,fraud\n"+strings.Repeat("3,P,0\n4,rare,0\n", 15)), schema, feature.Limits{})
	machine := feature.NewStatistics(schema)
	for !machine.Done() {
		sum := make([]int64, machine.Words())
		for _, table := range []*feature.Table{de, fr} {
			vector, _ := machine.Count(table) // masked in a real round
			for i, word := range vector {
				sum[i] += word
			}
		}
		if err := machine.Apply(sum); err != nil {
			fmt.Println(err)
			return
		}
	}
	encoder, _ := machine.Encoder()
	matrix, _ := encoder.Encode(de, feature.SelectTrain)
	fmt.Println(machine.Rows(), machine.Positives(), encoder.Category[0].Values, matrix.Rows, matrix.Numbers, matrix.Cards)
	// Output: 90 30 [O P] 60 1 [4]
}
