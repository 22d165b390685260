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
// The files follow that line: engine.go (what it is made of), loop.go (when a
// pass runs), pass.go (one pass), person.go and leaver.go (what one binding
// needs), guard.go (what may hold it back), enforce.go (intent, apply, read
// back), conclude.go (what is recorded), compare.go (drift and new sites),
// preview.go and explain.go (the same without writing).
//
// Failures of a target (no answer, a refused token, a lock) belong to its
// breaker and never to a binding's attempts: everything stays due. A binding's
// own failure backs off.
package reconcile
