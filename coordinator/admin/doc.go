// Package admin keeps the federation's book: members and their invites, the signed roster in all its versions,
// plans and the approvals that members gave them, releases and the approvals that admins gave those. Every change is
// a record in the journal first; the book itself is only what the records add up to.
package admin
