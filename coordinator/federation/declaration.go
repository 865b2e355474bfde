package federation

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Declaration says what a plan's model is for and under which law, in the words that Regulation (EU) 2024/1689
// asks for. It is part of the plan, so members approve it with the plan's digest. A false declaration cannot be
// told from its text: schema, unit and features are enforced, and the signatories answer for the rest.
type Declaration struct {
	PurposeCode    string            `json:"purpose_code" yaml:"purpose_code"`
	Unit           string            `json:"unit" yaml:"unit"` // document, application, object, aggregate, person
	Target         string            `json:"target" yaml:"target"`
	Use            string            `json:"use" yaml:"use"`
	Profiling      bool              `json:"profiling" yaml:"profiling"`
	AnnexIII       []string          `json:"annex_iii,omitempty" yaml:"annex_iii"`
	Art63          string            `json:"art6_3" yaml:"art6_3"` // "none" or the letter relied on
	Art5           map[string]string `json:"art5,omitempty" yaml:"art5"`
	Regime         string            `json:"regime" yaml:"regime"` // GDPR, LED, EUDPR
	LegalBasis     string            `json:"legal_basis" yaml:"legal_basis"`
	Roles          Roles             `json:"roles" yaml:"roles"`
	AffectedGroups []string          `json:"affected_groups,omitempty" yaml:"affected_groups"`
	Features       FeatureRules      `json:"features" yaml:"features"`
	DecisionRole   string            `json:"decision_role" yaml:"decision_role"` // always advisory
	Oversight      Oversight         `json:"oversight" yaml:"oversight"`
	References     map[string]string `json:"references,omitempty" yaml:"references"`
	Datasets       map[string]string `json:"datasets,omitempty" yaml:"datasets"`
	ValidUntil     string            `json:"valid_until" yaml:"valid_until"` // YYYY-MM-DD
	Lawpack        string            `json:"lawpack" yaml:"lawpack"`         // which reading of the law the checks are
	Signatures     []string          `json:"signatures,omitempty" yaml:"signatures"`
}

// Roles names who provides the system and who deploys it (Art. 3(3) and 3(4)).
type Roles struct {
	Provider  string   `json:"provider" yaml:"provider"`
	Deployers []string `json:"deployers,omitempty" yaml:"deployers"`
}

// FeatureRules lists columns that may not be features, and contested proxies that were looked at.
type FeatureRules struct {
	Deny            []string `json:"deny,omitempty" yaml:"deny"`
	ProxiesReviewed []string `json:"proxies_reviewed,omitempty" yaml:"proxies_reviewed"`
}

// Oversight says who stands between a score and a decision (Art. 14).
type Oversight struct {
	Verifiers              int     `json:"verifiers" yaml:"verifiers"`
	ReasonRequired         bool    `json:"reason_required" yaml:"reason_required"`
	RandomExaminationShare float64 `json:"random_examination_share" yaml:"random_examination_share"`
}

// Lawpack is the version of the rules in this file.
const Lawpack = "eu-2026-07-27"

// ErrLaw is wrapped by every refusal of a plan on legal grounds.
var ErrLaw = errors.New("refused")

// allowedPurposes are the uses this platform trains models for, each with the units it may score.
var allowedPurposes = map[string][]string{
	"document-risk":            {"document", "application"},
	"document-risk-technical":  {"document", "application"},
	"identity-consistency":     {"application"},
	"supporting-document-risk": {"document"},
	"irregular-travel-trends":  {"aggregate"},
	"workload-routing":         {"application"},
	"counter-smuggling-objects": {
		"object",
	},
}

// refusedPurposes are uses somebody will ask for, with the answer.
var refusedPurposes = map[string]string{
	"search-and-rescue":         "drift is a physical model (currents, wind, leeway), not a table; dispatch priority is high-risk (Annex III 5(d)) and detection of persons is 7(d); this platform trains neither. Use a drift model outside; share its validated files as a signed artefact if needed",
	"credibility":               "credibility of a person's account is not scored here, whatever the law allows",
	"lie-detection":             "lie detection is not offered (Annex III 7(a))",
	"person-risk":               "a person's risk is not scored: close to Art. 5(1)(d), high-risk under Annex III 7(b), and switched off without a legal citation",
	"biometric-categorisation":  "categorising people by biometric data is prohibited (Art. 5(1)(g))",
	"social-scoring":            "social scoring is prohibited (Art. 5(1)(c))",
	"individual-crime-forecast": "predicting a person's offence from a profile is prohibited (Art. 5(1)(d))",
}

// Validate checks that the declaration says what it must say, without regard to the day.
func (d *Declaration) Validate() error {
	if why, refused := refusedPurposes[d.PurposeCode]; refused {
		return fmt.Errorf("%w: purpose %s: %s", ErrLaw, d.PurposeCode, why)
	}
	units, known := allowedPurposes[d.PurposeCode]
	if !known {
		return fmt.Errorf("%w: purpose %.60q is not known, and an unknown purpose is never allowed", ErrLaw, d.PurposeCode)
	}
	if !slices.Contains(units, d.Unit) {
		return fmt.Errorf("%w: purpose %s may score %v, not unit %.40q", ErrLaw, d.PurposeCode, units, d.Unit)
	}
	if d.DecisionRole != "advisory" {
		return fmt.Errorf("%w: decision_role must be advisory: a score advises, a human decides", ErrLaw)
	}
	if d.Profiling && d.Art63 != "none" {
		return fmt.Errorf("%w: profiling closes the exemption of Art. 6(3): art6_3 must be none", ErrLaw)
	}
	if d.Art63 != "none" && !slices.Contains([]string{"a", "b", "c", "d"}, d.Art63) {
		return fmt.Errorf("%w: art6_3 %.20q: want none, a, b, c or d", ErrLaw, d.Art63)
	}
	for _, article := range []string{"5(1)(c)", "5(1)(d)", "5(1)(g)"} {
		if d.Art5[article] == "" && d.Unit != "aggregate" && d.Unit != "object" {
			return fmt.Errorf("%w: art5 has no answer for %s", ErrLaw, article)
		}
	}
	if d.Oversight.Verifiers < 1 {
		return fmt.Errorf("%w: oversight.verifiers must be at least 1", ErrLaw)
	}
	if d.PurposeCode == "identity-consistency" && d.Oversight.Verifiers < 2 {
		return fmt.Errorf("%w: identity-consistency needs two verifiers (Art. 14)", ErrLaw)
	}
	if d.Lawpack != Lawpack {
		return fmt.Errorf("%w: lawpack %.40q, this version knows %s", ErrLaw, d.Lawpack, Lawpack)
	}
	for name, value := range map[string]string{"target": d.Target, "use": d.Use, "regime": d.Regime, "legal_basis": d.LegalBasis, "roles.provider": d.Roles.Provider} {
		if value == "" {
			return fmt.Errorf("%w: declaration lacks %s", ErrLaw, name)
		}
	}
	if _, err := time.Parse(time.DateOnly, d.ValidUntil); err != nil {
		return fmt.Errorf("%w: valid_until %.20q: want YYYY-MM-DD", ErrLaw, d.ValidUntil)
	}
	return nil
}

// checkDay refuses a declaration that has run out; today is YYYY-MM-DD, so that the package reads no clock.
func (d *Declaration) checkDay(today string) error {
	if today > d.ValidUntil {
		return fmt.Errorf("%w: the declaration was valid until %s", ErrLaw, d.ValidUntil)
	}
	return nil
}
