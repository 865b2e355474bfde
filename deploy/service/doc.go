// Package service is what every long-running Koinon program stands on: strict
// configuration, logs, metrics, health, goroutines that end together, files
// that are whole or absent, and a lock on the state directory. It knows
// nothing of federations.
package service
