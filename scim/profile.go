package scim

import "github.com/matomo-scim/bridge/scim/schema"

// A profile is the dialect of one source. generic and entra take what identity
// providers really send and count each oddity; strict refuses it, for those who test
// their client. They differ in answers too: Okta reads the body of a user's PATCH,
// Entra prefers none at all.

// Profile says how to treat the clients of a source.
type Profile string

// The profiles. They differ in what a PATCH answers when the client asked for
// nothing, and in tolerance.
const (
	// Generic forgives what identity providers get wrong; a PATCH of a user
	// answers 200 with the user, of a group 204.
	Generic Profile = "generic"
	// Entra forgives the same; a PATCH answers 204.
	Entra Profile = "entra"
	// Strict takes the RFC to the letter; a PATCH answers 200 with the resource.
	Strict Profile = "strict"
)

// valid says whether p is one of the profiles.
func (p Profile) valid() bool { return p == Generic || p == Entra || p == Strict }

// mode is how bodies, filters and patches are read.
func (p Profile) mode() schema.Mode { return schema.Mode{Strict: p == Strict} }

// answersUser says whether a PATCH of a user is answered with the user.
func (p Profile) answersUser() bool { return p != Entra }

// answersGroup says whether a PATCH of a group is answered with the group.
func (p Profile) answersGroup() bool { return p == Strict }
