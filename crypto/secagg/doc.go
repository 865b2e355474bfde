// Package secagg is the secure aggregation protocol koinon/secagg/v1, and v2 for
// cohorts of more than 64: members mask their vectors so that the coordinator
// learns one sum over at least the threshold of members and nothing else.
// Sentences S1…S73 of docs/protocol.md and V1…V22 of docs/protocol-v2.md are cited where they are implemented.
//
// Client is one member in one batch, Server the coordinator in one batch. Both
// are pure: they draw no randomness, read no clock and do no I/O, so the same
// inputs give the same bytes. A driver brings frames in, stores what
// ClientOutput.Store lists, and only then sends.
//
//	phase      coordinator → member             member → coordinator
//	Advertise  spec, first sum                  advert
//	Reveal     adverts                          reveal (v2 only)
//	Share      adverts, in v2 reveals           share, rows, bundles, leaves
//	Mask       shares, rows, bundles; then sum  mask, chunk hashes, chunks
//	Agree      survivors, masks                 agree
//	Unmask     certificate                      unmask
//	Publish    result, openings
//
// Every arrow is a packet: a list of frames. Frames are kept and forwarded as
// received, never rebuilt (S19). A client that meets a failed check leaves: its
// secrets are wiped and it waits for the next batch.
//
// A batch is one Advertise and Share for spec.sums sums, each of which takes Mask
// to Publish with seeds of its own (S37). After a sum is closed or aborted the
// server's Next announces the following one to Eligible; a client in state waiting
// first hears from its driver, by Expect, what it must be.
package secagg
