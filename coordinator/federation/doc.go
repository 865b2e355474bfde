// Package federation holds the nouns that both sides of a federation share: the roster of members, the plan
// that says what is trained, the declaration that says why, a member's approval of a plan, and the policy
// with which a node decides for itself.
//
// Everything that is signed or named by a digest has one canonical encoding here, and every decoder refuses
// bytes whose re-encoding differs. The package is pure: it reads no clock, no randomness and no file.
package federation
