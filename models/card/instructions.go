package card

import (
	"fmt"
	"strings"
)

// instructions writes the instructions for use under the letters of
// Art. 13(3). Sentences are made of recorded facts; where one is missing, the
// sentence says so.
func (r *Record) instructions(p *page) {
	p.head(2, "Instructions for use")
	p.para("The letters are those of Article 13(3) of Regulation (EU) 2024/1689.")

	p.head(3, "(a) Provider")
	p.facts([]fact{{"Name", r.Provider}, {"Contact", r.Contact}})

	p.head(3, "(b)(i) Intended purpose")
	p.para(fmt.Sprintf("The model scores one %s at a time to estimate: %s. Use: %s.",
		text(orUnit(r.Purpose.Unit)), text(or(r.Purpose.Target)), text(or(r.Purpose.Use))))
	p.items("Not for", r.Excluded)

	p.head(3, "(b)(ii) Accuracy, robustness, cybersecurity")
	p.figures(r.Figures, func(f Figure) bool { return f.Group == "" })
	p.items("Tests of robustness and cybersecurity", r.Tests)

	p.head(3, "(b)(iii) Circumstances that may lead to risks")
	p.items("Limits", r.Limits)
	p.items("Risks", r.Risks)

	p.head(3, "(b)(iv) Explanation of its output")
	p.para("Each advisory names the columns that moved the score most, found by setting one column at a time to its reference value. They explain the model, not the case.")

	p.head(3, "(b)(v) Performance for groups of persons")
	p.figures(r.Figures, func(f Figure) bool { return f.Group != "" })

	p.head(3, "(b)(vi) Input data")
	names := make([]string, 0, len(r.Data.Features))
	for _, f := range r.Data.Features {
		names = append(names, f.Name+" ("+f.Type+")")
	}
	p.facts([]fact{{"Schema", r.Data.Schema}, {"Columns", strings.Join(names, ", ")}})
	p.para("A value never seen in training counts as unknown, an empty field as missing.")

	p.head(3, "(b)(vii) Reading the output")
	bands := make([]string, 0, len(r.Bands))
	for _, b := range r.Bands {
		bands = append(bands, fmt.Sprintf("%s from %s: %s", b.Name, short(b.From), or(b.Means)))
	}
	p.items("Score bands", bands)

	p.head(3, "(c) Changes determined in advance")
	p.para("None: a retrained model is a new release with a statement, approvals and a card of its own.")

	p.head(3, "(d) Human oversight")
	p.para(notice)
	share := ""
	if s := r.Oversight.ExaminationShare; s != nil {
		share = short(*s*100) + " %"
	}
	p.facts([]fact{
		{"People who verify a case", number(r.Oversight.Verifiers)},
		{"A reason must be given", yesNo(r.Oversight.ReasonRequired)},
		{"Cases examined whatever their score", share},
	})

	p.head(3, "(e) Resources, lifetime, maintenance")
	p.para("Scoring needs the koinon program and no network. Verify the release before each use; the program does so itself.")
	p.facts([]fact{{"Declaration valid until", r.Purpose.ValidUntil}, {"Program version", r.Code}})

	p.head(3, "(f) Logs")
	p.para("The program prints one advisory for each row and keeps no log. The deployer logs advisory, decision, reason and person, and keeps the log as the law requires.")
}

func orUnit(unit string) string {
	if unit == "" {
		return "unit (" + absent + ")"
	}
	return unit
}
