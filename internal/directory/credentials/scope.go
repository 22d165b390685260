package credentials

import (
	"errors"
	"fmt"
	"strings"
)

// Scopes is a set of what a credential may do. The zero value may do nothing: what
// is not stored, or not understood, is refused (a set that was left out by mistake
// must not mean everything).
type Scopes uint8

// The scopes. Writing groups needs users to be readable, because a client looks up
// the members that it adds.
const (
	// ScopeUsers reads and writes users.
	ScopeUsers Scopes = 1 << iota
	// ScopeGroups reads and writes groups, and reads users.
	ScopeGroups
	// ScopeRead reads everything and writes nothing.
	ScopeRead

	// AllScopes reads and writes everything.
	AllScopes = ScopeUsers | ScopeGroups | ScopeRead
)

// scopeWords are the scopes as people and the database write them, in this order.
var scopeWords = []struct {
	scope Scopes
	word  string
}{{ScopeUsers, "users"}, {ScopeGroups, "groups"}, {ScopeRead, "read"}}

// everything is what the database holds for a credential from before there were
// scopes.
const everything = "scim"

// ParseScopes reads scopes as people write them, each once or more. An empty list
// is an error, as is a word that is none.
func ParseScopes(words []string) (Scopes, error) {
	var out Scopes
	for _, word := range words {
		scope := scopeOf(word)
		if scope == 0 {
			return 0, fmt.Errorf("%q is no scope; the scopes are users, groups and read", word)
		}
		out |= scope
	}
	if out == 0 {
		return 0, errors.New("no scope is named; the scopes are users, groups and read")
	}
	return out, nil
}

// scopeOf is the scope of a word; 0 when it is none.
func scopeOf(word string) Scopes {
	for _, s := range scopeWords {
		if s.word == word {
			return s.scope
		}
	}
	return 0
}

// Words are the scopes of the set, in a fixed order.
func (s Scopes) Words() []string {
	var out []string
	for _, w := range scopeWords {
		if s&w.scope != 0 {
			out = append(out, w.word)
		}
	}
	return out
}

// String is the set with a blank between the words, as the database keeps it.
func (s Scopes) String() string { return strings.Join(s.Words(), " ") }

// storedScopes reads what the database holds. A word that a newer release wrote
// allows nothing here.
func storedScopes(text string) Scopes {
	if text == everything {
		return AllScopes
	}
	var out Scopes
	for word := range strings.FieldsSeq(text) {
		out |= scopeOf(word)
	}
	return out
}

// Resources that scopes tell apart. Every other one needs what both need.
const (
	// Users are the resources under /Users.
	Users = "users"
	// Groups are the resources under /Groups.
	Groups = "groups"
	// Discovery describes the server and holds nobody's data.
	Discovery = "discovery"
	// Bulk is a list of operations, each of which is asked about by itself.
	Bulk = "bulk"
)

// Allows says whether the set is enough to read, or to write, resources of a kind.
// Discovery is for everybody with a credential. A kind that is not known here is
// allowed to whoever may do the same with users and with groups, so that a new
// endpoint starts closed.
func (s Scopes) Allows(resource string, write bool) bool {
	switch {
	case resource == Discovery:
		return !write
	case resource == Bulk:
		return s&(ScopeUsers|ScopeGroups) != 0
	case resource == Users && write:
		return s&ScopeUsers != 0
	case resource == Users:
		return s != 0
	case resource == Groups && write:
		return s&ScopeGroups != 0
	case resource == Groups:
		return s&(ScopeGroups|ScopeRead) != 0
	}
	return s.Allows(Users, write) && s.Allows(Groups, write)
}
