// Package rpc serves the coordinator's gRPC services: Enrolment to callers that have no certificate yet, Federation to
// members' nodes and Admin to admins. On every call it takes the caller's identity from TLS and nowhere else (S12),
// bounds what a caller may send and queue, and turns errors into codes in one place.
package rpc
