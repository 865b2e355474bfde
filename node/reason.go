package node

import (
	"context"
	"errors"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/update"
	"github.com/koinon-eu/koinon/node/link"
	"github.com/koinon-eu/koinon/node/participant"
)

// public lists the errors whose words may leave this node: they name a check, never a value.
var public = []error{
	participant.ErrNotApproved, participant.ErrDeadline,
	secagg.ErrSignature, secagg.ErrRoster, secagg.ErrPlan, secagg.ErrThreshold, secagg.ErrStale, secagg.ErrTranscript,
	secagg.ErrNoData, secagg.ErrTooFew, secagg.ErrAltered, secagg.ErrModel, secagg.ErrBundle, secagg.ErrNotSurvivor,
	secagg.ErrSpotCheck, secagg.ErrBudget, secagg.ErrReused, secagg.ErrUpload, secagg.ErrSurvivors,
	secagg.ErrStepReleased, secagg.ErrCertificate, secagg.ErrResult, secagg.ErrEquivocation, secagg.ErrSender,
	secagg.ErrFormat, secagg.ErrPolicy, errNotServed, update.ErrNotFinite, update.ErrWeight, update.ErrRange,
}

// publicReason says why this node leaves a round, in words that hold no data: those of a sentinel, or none.
func publicReason(err error) string {
	for _, e := range public {
		if errors.Is(err, e) {
			return e.Error()
		}
	}
	if remote := (*link.RemoteError)(nil); errors.As(err, &remote) {
		return "coordinator did not answer as expected"
	}
	if errors.Is(err, context.Canceled) {
		return "node is stopping"
	}
	return "internal fault; the reason stays in this node's log"
}
