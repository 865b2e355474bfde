package rpc

import (
	"context"
	"errors"
	"log/slog"

	"github.com/koinon-eu/koinon/coordinator/admin"
	"github.com/koinon-eu/koinon/coordinator/journal"
	"github.com/koinon-eu/koinon/crypto/identity"
	"github.com/koinon-eu/koinon/crypto/secagg"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Errors of a driver that callers branch on.
var (
	ErrNotFound = errors.New("no such run, round or part")
	ErrBusy     = errors.New("too many requests at once")
	ErrGone     = errors.New("no longer served")
	ErrState    = errors.New("not in this state")
)

// table maps sentinels to codes: the only place that does. The first match decides.
var table = []struct {
	err  error
	code codes.Code
}{
	{admin.ErrSpent, codes.PermissionDenied},
	{admin.ErrUnknown, codes.NotFound},
	{admin.ErrExists, codes.AlreadyExists},
	{admin.ErrForbidden, codes.PermissionDenied},
	{admin.ErrInvalid, codes.InvalidArgument},
	{identity.ErrRequest, codes.InvalidArgument},
	{identity.ErrNoCertificate, codes.Unauthenticated},
	{identity.ErrExpired, codes.Unauthenticated},
	{identity.ErrForeign, codes.Unauthenticated},
	{identity.ErrFederation, codes.PermissionDenied},
	{identity.ErrIdentity, codes.Unauthenticated},
	{identity.ErrKind, codes.PermissionDenied},
	{ErrNotFound, codes.NotFound},
	{ErrBusy, codes.ResourceExhausted},
	{ErrGone, codes.NotFound},
	{ErrState, codes.FailedPrecondition},
	{secagg.ErrStale, codes.FailedPrecondition},
	{secagg.ErrLeft, codes.FailedPrecondition},
	{secagg.ErrSender, codes.PermissionDenied},
	{secagg.ErrBlamed, codes.PermissionDenied},
	{secagg.ErrPlan, codes.PermissionDenied},
	{secagg.ErrUpload, codes.FailedPrecondition},
	{secagg.ErrReused, codes.FailedPrecondition},
	{secagg.ErrEquivocation, codes.FailedPrecondition},
	{secagg.ErrSignature, codes.InvalidArgument},
	{secagg.ErrTranscript, codes.InvalidArgument},
	{secagg.ErrAltered, codes.InvalidArgument},
	{secagg.ErrNotSurvivor, codes.FailedPrecondition},
	{secagg.ErrFormat, codes.InvalidArgument},
	{secagg.ErrRange, codes.InvalidArgument},
	{secagg.ErrBundle, codes.InvalidArgument},
	{journal.ErrClosed, codes.Unavailable},
	{journal.ErrFull, codes.Unavailable},
	{context.Canceled, codes.Canceled},
	{context.DeadlineExceeded, codes.DeadlineExceeded},
}

// text returns what a caller may read of an error: its words when it wraps a known sentinel, else "internal".
func text(err error) string {
	if s, ok := status.FromError(err); ok {
		return s.Message()
	}
	for _, row := range table {
		if errors.Is(err, row.err) {
			return err.Error()
		}
	}
	return "internal"
}

// toStatus turns an error into what goes over the wire. An error without a known sentinel becomes "internal"; its
// detail is only in the log.
func toStatus(log *slog.Logger, method string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	for _, row := range table {
		if errors.Is(err, row.err) {
			return status.Error(row.code, err.Error())
		}
	}
	log.Error("call failed", "method", method, "error", err)
	return status.Error(codes.Internal, "internal")
}

// invalid is an argument that is malformed.
func invalid(err error) error { return status.Error(codes.InvalidArgument, err.Error()) }
