// Package cli is how every Koinon program talks to the person who runs it:
// one way to parse commands, three exit codes, errors as "error: …" followed
// by "hint: …", JSON, tables and progress. It knows nothing of federations.
package cli
