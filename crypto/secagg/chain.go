package secagg

import "encoding/binary"

// StepDigest returns σ, which names a step of a plan by what it computes (§5).
func StepDigest(federation, plan [32]byte, s Sum) [32]byte {
	return hash("step", federation[:], plan[:], []byte{s.Kind}, binary.BigEndian.AppendUint32(nil, s.Step), s.Query[:], s.State[:], s.Model[:])
}

// LockName returns τ, the place of a step in a plan: kind, and its number among
// the steps of that kind, from 1. One survivor set is released for it (S33). τ
// holds no state and no query: those follow from fresh keys and from what other
// members send, so a second run of the plan could change them and with them the
// name of a step that was released before.
func LockName(federation, plan [32]byte, kind uint8, number uint32) [32]byte {
	return hash("lock", federation[:], plan[:], []byte{kind}, binary.BigEndian.AppendUint32(nil, number))
}

// InitialState returns state_0 (S58).
func InitialState(plan, model [32]byte) [32]byte { return hash("state", plan[:], model[:]) }

// NextState returns the state after a sum (S58); computed is the digest of what
// was computed from it.
func NextState(state, sigma, h3, sumRoot, computed [32]byte) [32]byte {
	return hash("state", state[:], sigma[:], h3[:], sumRoot[:], computed[:])
}

// chain is H over a digest, a set and the signed frames of its members,
// ascending: h1, h2 and h3 (§5).
func chain(tag string, before [32]byte, members Set, frames map[uint8]Frame) [32]byte {
	parts := [][]byte{before[:], members[:]}
	for _, i := range members.Members() {
		f := frames[i]
		parts = append(parts, append(append([]byte(nil), f.Body...), f.Signature...))
	}
	return hash(tag, parts...)
}

// transcript returns g_k, which salts every mask (S23).
func transcript(h2 [32]byte, k uint16, eligible Set, sum, prev [32]byte) [32]byte {
	return hash("g", h2[:], u16(k), eligible[:], sum[:], prev[:])
}
