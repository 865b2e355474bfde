package main

import (
	"encoding/hex"
	"fmt"
	"path/filepath"
	"time"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/node"
)

// stoppedRun is a run that this node takes no part in until its operator approves the plan again (S56).
type stoppedRun struct {
	Run      string    `json:"run"`
	Round    uint32    `json:"round"` // the first that was not taken over
	Reason   string    `json:"reason"`
	Stopped  time.Time `json:"stopped"`
	Evidence string    `json:"evidence,omitempty"` // file, from the state directory
}

func stoppedRuns(d node.Dir, plan federation.Digest) ([]stoppedRun, error) {
	runs, err := d.Runs(plan)
	if err != nil {
		return nil, err
	}
	var out []stoppedRun
	for _, r := range runs {
		if r.Stopped == "" {
			continue
		}
		s := stoppedRun{Run: hex.EncodeToString(r.ID[:]), Round: r.Closed + 1, Reason: r.Stopped, Stopped: r.StoppedAt}
		if r.Evidence != "" {
			s.Evidence = filepath.Join("evidence", r.Evidence)
		}
		out = append(out, s)
	}
	return out, nil
}

// stops is doctor's line about runs that this node has stopped; of the newest when there are several.
func stops(d node.Dir) finding {
	const hint = "compare with the other operators before anyone approves the plan again"
	plans, err := d.Plans()
	if err != nil {
		return fail("runs", hint, err)
	}
	count, newest, name := 0, stoppedRun{}, ""
	for _, p := range plans {
		list, err := stoppedRuns(d, p.Digest())
		if err != nil {
			return fail("runs", "restore runs/ from a backup", err)
		}
		for _, s := range list {
			if count++; s.Stopped.After(newest.Stopped) {
				newest, name = s, p.Name
			}
		}
	}
	if count == 0 {
		return ok("runs", "none was stopped here")
	}
	check := hint
	if newest.Evidence != "" {
		check = fmt.Sprintf("koinon-node evidence check %s; %s", filepath.Base(newest.Evidence), hint)
	}
	return warn("runs", check, "%d stopped here; plan %s, round %d: %s", count, name, newest.Round, newest.Reason)
}
