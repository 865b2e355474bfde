package federation

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/koinon-eu/koinon/crypto/secagg"
)

// evidenceMagic begins every file of evidence; a line of JSON follows, then the proof.
const evidenceMagic = "koinon evidence 1\n"

// Limits of a file of evidence. The largest proof is that of a false sum: a chunk of 64 members and the openings.
const (
	MaxProofBytes    = 24 << 20
	maxEvidenceHead  = 4 << 10
	MaxEvidenceBytes = int64(len(evidenceMagic) + maxEvidenceHead + MaxProofBytes)
	maxReasonBytes   = 500
)

// Evidence is what somebody keeps about a fault of a member or of the coordinator, as a file that can be handed on. Only
// Proof proves anything, by itself; everything else is the word of the keeper.
type Evidence struct {
	Federation string    `json:"federation"`
	Keeper     string    `json:"keeper"` // member, or "coordinator"
	Time       time.Time `json:"time"`   // when it was found, UTC, whole seconds
	Plan       Digest    `json:"plan"`
	Run        string    `json:"run"` // 32 hexadecimal digits
	Round      uint32    `json:"round"`
	Reason     string    `json:"reason"` // what was found, in words
	Proof      []byte    `json:"-"`      // evidence of S68; empty: nothing that others could check
}

// Encode returns the file. A reason that is too long is cut, and holds no control characters, which could speak to the
// terminal of whoever reads it.
func (e Evidence) Encode() ([]byte, error) {
	if id, err := hex.DecodeString(e.Run); err != nil || len(id) != 16 || e.Run != hex.EncodeToString(id) {
		return nil, fmt.Errorf("%w: evidence of run %.40q", ErrMalformed, e.Run)
	}
	if !ValidName(e.Federation) || !ValidName(e.Keeper) {
		return nil, fmt.Errorf("%w: evidence of federation %.40q kept by %.40q", ErrMalformed, e.Federation, e.Keeper)
	}
	e.Reason = printable(e.Reason)
	e.Time = e.Time.UTC().Truncate(time.Second)
	head, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	if len(e.Proof) > MaxProofBytes || len(head) >= maxEvidenceHead {
		return nil, fmt.Errorf("evidence: %d bytes of proof, at most %d", len(e.Proof), MaxProofBytes)
	}
	b := append([]byte(evidenceMagic), head...)
	return append(append(b, '\n'), e.Proof...), nil
}

func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	for len(s) > maxReasonBytes {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}

// DecodeEvidence reads a file of evidence. ErrMalformed when its bytes are not what Encode makes; the proof is not
// looked into.
func DecodeEvidence(b []byte) (Evidence, error) {
	rest, ok := bytes.CutPrefix(b, []byte(evidenceMagic))
	head, proof, whole := bytes.Cut(rest, []byte("\n"))
	if !ok || !whole || int64(len(b)) > MaxEvidenceBytes || len(proof) > MaxProofBytes {
		return Evidence{}, fmt.Errorf("%w: not a file of evidence", ErrMalformed)
	}
	var e Evidence
	if err := decodeCanonical(head, maxEvidenceHead, &e); err != nil {
		return Evidence{}, fmt.Errorf("evidence: %w", err)
	}
	e.Proof = proof
	if again, err := e.Encode(); err != nil || !bytes.Equal(again, b) {
		return Evidence{}, fmt.Errorf("%w: evidence is not in its canonical encoding", ErrMalformed)
	}
	return e, nil
}

// Verdict is what evidence proves before a roster.
type Verdict struct {
	Kind       string `json:"kind"`  // in words; empty: no proof at all
	Names      string `json:"names"` // whom it is against; empty when that cannot be told
	Proven     bool   `json:"proven"`
	Why        string `json:"why"` // what it proves, or why it does not
	Federation Digest `json:"federation"`
	Plan       Digest `json:"plan"`
	Run        string `json:"run"`
	Round      uint32 `json:"round"`
	Signatures int    `json:"signatures"` // that the roster's keys made
	Wrong      int    `json:"wrong_signatures"`
	SameRoster bool   `json:"same_roster"` // the batch ran under this very roster
	Recompute  bool   `json:"recompute"`   // who has the model before this round can say more
	Vectors    bool   `json:"vectors"`     // the file holds parts of masked vectors or of a sum
}

// CoordinatorName is how a verdict and a file of evidence name the coordinator.
const CoordinatorName = "coordinator"

// Judge says what a proof proves to somebody who has this roster (S68). What only a recomputation shows is not proven
// here: see Verdict.Recompute.
func Judge(r *Roster, proof []byte) Verdict {
	if len(proof) == 0 {
		return Verdict{Why: "there is no proof in it, only what its keeper found"}
	}
	roster := r.SecAgg()
	in, err := secagg.InspectEvidence(roster, proof)
	if err != nil {
		return Verdict{Why: err.Error()}
	}
	v := Verdict{
		Kind: kindWords(in.Kind), Federation: in.Spec.Federation, Plan: in.Spec.Plan, Run: fmt.Sprintf("%x", in.Spec.Run),
		Round: in.Round, Signatures: in.Signed.Valid, Wrong: in.Signed.Wrong,
		SameRoster: Digest(in.Spec.Roster) == r.Digest(), Vectors: in.Vectors,
	}
	if v.Federation != r.ID {
		v.Why = "it is of another federation than the roster"
		return v
	}
	blame, _, err := secagg.CheckEvidence(roster, proof)
	if err == nil {
		v.Kind, v.Names, v.Why = kindWords(blame.Kind), nameOf(r, blame.Member), meaning(blame.Kind)
		v.Proven = blame.Kind != secagg.BlameComplaint // proven to the coordinator alone (1')
		return v
	}
	v.Why = err.Error()
	if in.Kind == secagg.BlameModel {
		if _, unread := secagg.ReadModelClaim(roster, proof); unread == nil {
			v.Recompute, v.Names = true, CoordinatorName
			v.Why = "that the announced model is another one than follows from the sum shows only to who has the model before this round and computes again"
		}
	}
	return v
}

func nameOf(r *Roster, index uint8) string {
	if index == 0 {
		return CoordinatorName
	}
	return r.Name(index)
}

// kindWords names a kind of evidence (S68).
func kindWords(kind uint8) string {
	switch kind {
	case secagg.BlameBundle:
		return "bad-bundle"
	case secagg.BlameShare:
		return "wrong-share"
	case secagg.BlameDealing:
		return "bad-dealing"
	case secagg.BlameEquivocation:
		return "two-messages"
	case secagg.BlameSum:
		return "false-sum"
	case secagg.BlameModel:
		return "false-model"
	case secagg.BlameComplaint:
		return "false-complaint"
	}
	return fmt.Sprintf("kind-%d", kind)
}

// EvidenceKind names the kind of a proof, "reason" for one that is empty.
func EvidenceKind(proof []byte) string {
	if len(proof) == 0 {
		return "reason"
	}
	return kindWords(proof[0])
}

// meaning says what proven evidence of a kind shows.
func meaning(kind uint8) string {
	switch kind {
	case secagg.BlameBundle:
		return "it sealed something else for another member than it had signed for"
	case secagg.BlameShare:
		return "it gave a share that is not the one committed to"
	case secagg.BlameDealing:
		return "its shares do not give the seed that it committed to"
	case secagg.BlameEquivocation:
		return "it signed two different messages where one is allowed"
	case secagg.BlameSum:
		return "the sum it signed is not the sum of the uploads"
	case secagg.BlameModel:
		return "what it announced does not follow from the sum it signed"
	}
	return "it complained about a bundle that is right, which convinces only who saw the bundle arrive"
}
