// Package reconcile makes Matomo agree with what the identity providers said.
//
// The loop is level-triggered: an event only makes a row of bindings due. A
// pass claims due bindings, reads the truth again (the person from directory,
// the account from Matomo), decides, plans, guards, applies, reads back, and
// ends with one statement that says what was observed. A lost wake-up, a crash
// between two calls or a doubled event costs one more idempotent pass and
// nothing else.
//
//	claim -> people -> decide -> read -> plan -> guards -> intent -> apply -> read back -> observe
//
// What is decided is in package course, which does no I/O; here is when and how
// it is done: engine.go (what it is made of), loop.go (when a pass runs),
// pass.go (one pass up to the guards), enforce.go and intent.go (intent, apply,
// read back), record.go (what is kept), compare.go (drift and new sites) and
// explain.go (the same without writing).
//
// Failures of a target (no answer, a refused token, a lock) belong to its
// breaker and never to a binding's attempts: everything stays due. A binding's
// own failure backs off.
package reconcile
