// Package link is a node's only door to the outside: the gRPC client that speaks to the coordinator over mutual
// TLS 1.3. It dials out and never listens, reconnects by itself, and carries the packets of the round protocol,
// the chunks of masked vectors, closed sums and the few calls around them.
//
// Whatever leaves passes one place, the codec: every message is handed to Config.Record, as the bytes that leave,
// before it leaves, and stays when Record refuses it. So the egress record is complete by construction, also for
// a call that is added later.
package link
