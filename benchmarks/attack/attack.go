// Package attack asks of a way to train models what an outsider could learn from
// one of them about who was in its training rows: membership inference by loss
// (Yeom et al. 2018) and by shadow models (LiRA, Carlini et al. 2022).
//
// It knows no model and no table. Who owns the rows gives it a function that
// trains on some of them and says how sure the model is of each one's label.
package attack

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
)

// Train trains a model on the records whose place in member is true and returns,
// for every record, the log-odds ln(p/(1−p)) that the model gives to the
// record's own label. seed is another for each model.
type Train func(ctx context.Context, member []bool, seed uint64) ([]float64, error)

// Config says how much is computed.
type Config struct {
	// Models is how many are trained, an even number of at least 6. They come in
	// pairs: a random half of the records trains the one, the other half the
	// other. Each model is attacked with all models outside its pair as shadows,
	// so that every record is in just as many shadows as not.
	Models    int
	Seed      uint64 // of halves, models and resamples
	Resamples int    // of the bootstrap; 0 means 400
	Trained   func(models int)
}

const defaultResamples = 400

// Estimate is a figure and its 95 % interval.
type Estimate struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Figures are what an attack achieves. A model that tells nothing has AUC ½,
// advantage 0 and, at each rate of false positives, that rate of true ones.
type Figures struct {
	AUC Estimate `json:"auc"`
	// Advantage is TPR − FPR at the threshold that is best on one half of the
	// records, judged on the other, so that chance alone gives 0.
	Advantage Estimate `json:"advantage"`
	TPRAt01   Estimate `json:"tpr_at_fpr_0_1_percent"`
	TPRAt1    Estimate `json:"tpr_at_fpr_1_percent"`
}

// Report is the outcome over all attacked models.
type Report struct {
	Records      int     `json:"records"`
	Models       int     `json:"models"`
	MembersLoss  float64 `json:"members_loss"` // mean log loss of a model's training rows
	OthersLoss   float64 `json:"others_loss"`  // and of the others
	Loss         Figures `json:"loss"`         // Yeom et al.: the less a record's loss, the likelier it is a member
	LiRAOffline  Figures `json:"lira_offline"` // Carlini et al.: against shadows without the record
	LiRAOnline   Figures `json:"lira_online"`  // and against those with it as well
	Observations int     `json:"observations"` // records times models
}

// fewestRecords leave each figure something to be taken from.
const fewestRecords = 20

// Run trains the models and attacks each. The same configuration gives the same
// report. It returns the error of train, or of a context that ended.
func Run(ctx context.Context, train Train, records int, cfg Config) (*Report, error) {
	if records < fewestRecords {
		return nil, fmt.Errorf("attack: %d records, at least %d", records, fewestRecords)
	}
	if cfg.Models < 6 || cfg.Models%2 != 0 {
		return nil, fmt.Errorf("attack: %d models, want an even number of at least 6", cfg.Models)
	}
	if cfg.Resamples < 0 {
		return nil, errors.New("attack: fewer than no resamples")
	}
	o := observed{records: records}
	for m := range cfg.Models {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		member := o.half(m, cfg.Seed)
		sure, err := train(ctx, member, cfg.Seed+uint64(m)+1)
		if err != nil {
			return nil, fmt.Errorf("attack: model %d: %w", m+1, err)
		}
		if err := checkSure(sure, records); err != nil {
			return nil, fmt.Errorf("attack: model %d: %w", m+1, err)
		}
		o.member, o.sure = append(o.member, member), append(o.sure, sure)
		if cfg.Trained != nil {
			cfg.Trained(m + 1)
		}
	}
	return o.report(cfg), nil
}

func checkSure(sure []float64, records int) error {
	if len(sure) != records {
		return fmt.Errorf("%d log-odds for %d records", len(sure), records)
	}
	for i, s := range sure {
		if s-s != 0 {
			return fmt.Errorf("log-odds of record %d are %v", i, s)
		}
	}
	return nil
}

// observed is what all models say of all records.
type observed struct {
	records int
	member  [][]bool
	sure    [][]float64
}

// half draws the members of a model, or takes those that its pair left.
func (o *observed) half(model int, seed uint64) []bool {
	out := make([]bool, o.records)
	if model%2 == 1 {
		for i, in := range o.member[model-1] {
			out[i] = !in
		}
		return out
	}
	for at, record := range rand.New(rand.NewPCG(seed, uint64(model))).Perm(o.records) {
		out[record] = at < o.records/2
	}
	return out
}
