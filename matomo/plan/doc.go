// Package plan turns what a person should have on a Matomo instance, and what
// their account has, into ordered steps.
//
// It thinks and does nothing else: no I/O, no clock, no chance, no state. A
// plan is data that can be shown, held back by a guard, audited and applied
// later. Person plans joiners, movers and come-backs, Leaver the phases of a
// leaver; VerifyPerson and VerifyGone judge what was read back afterwards. The
// tables in their comments are the contract.
package plan
