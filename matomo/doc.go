// Package matomo reads and writes one Matomo instance over its HTTP API, and
// plans the changes between the two.
//
// The way of a change is
//
//	snapshot, err := client.ReadAccounts(ctx, logins, matomo.Read{})   // or ReadInstance
//	plan := matomo.PlanPerson(want, account, policy)                   // or PlanLeaver; pure
//	results := client.Apply(ctx, []matomo.Plan{plan})
//	snapshot, err = client.ReadAccounts(ctx, logins, matomo.Read{})    // what is true now
//
// Planning is pure and lives in package plan; its words are repeated here, so
// that a caller needs this package only. Everything that talks HTTP is a method
// of Client. A read is complete or an
// error: nothing here ever reports an access as absent because an answer was.
//
// The rules that every method keeps come from measurements of Matomo 5.1.2 and
// 4.16.1: module, method, format and filter_limit travel in the URL, everything
// secret in the POST body with the token first; lists are asked for without
// Matomo's silent cut at 100; logins are compared without regard to case and
// accents and sent in the spelling of getUsers; a wrong token or password is
// used once and then never again until it changes, because twenty of them lock
// the bridge's address out.
package matomo
