package matomotest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A snapshot is taken before and after; Changes is what a test expects in words.
// So a test can say that nothing else happened, not only that something did.

// Snapshot is what the user management holds at one moment, by login: for tests
// that compare before and after. It has no secrets.
type Snapshot struct {
	People map[string]Person
	Sites  []int
}

// Person is one account in a Snapshot.
type Person struct {
	Email           string
	Superuser       bool
	Invite          string    // "", "pending" or "expired"
	PasswordChanged time.Time // of the last change
	Access          []string  // "1:view", sorted; a row in another spelling as "1:view (ALICE)"
	Tokens          []int     // IDs of those that are alive
}

// Snapshot takes a snapshot.
func (s *Server) Snapshot() Snapshot {
	s.api.Lock()
	defer s.api.Unlock()
	snap := Snapshot{People: map[string]Person{}, Sites: slices.Clone(s.api.SiteIDs())}
	for _, a := range s.api.Accounts() {
		u := export(a)
		p := Person{Email: u.Email, Superuser: u.Superuser, Invite: u.Invite, PasswordChanged: u.PasswordChanged}
		for _, r := range a.Rows {
			text := fmt.Sprintf("%d:%s", r.Site, r.Access)
			if r.Login != a.Login {
				text += " (" + r.Login + ")"
			}
			p.Access = append(p.Access, text)
		}
		slices.Sort(p.Access)
		for _, t := range a.Tokens {
			if t.Alive() {
				p.Tokens = append(p.Tokens, t.ID)
			}
		}
		snap.People[a.Login] = p
	}
	return snap
}

// Changes says in sorted lines what is different in a later snapshot, such as
// "alice: + 1:view", "bob: superuser", "carol: deleted". No difference is no
// line.
func (a Snapshot) Changes(later Snapshot) []string {
	var lines []string
	for login, was := range a.People {
		is, there := later.People[login]
		if !there {
			lines = append(lines, login+": deleted")
			continue
		}
		lines = append(lines, was.changes(login, is)...)
	}
	for login, is := range later.People {
		if _, there := a.People[login]; !there {
			lines = append(lines, login+": added")
			lines = append(lines, Person{Email: is.Email, PasswordChanged: is.PasswordChanged}.changes(login, is)...)
		}
	}
	if !slices.Equal(a.Sites, later.Sites) {
		lines = append(lines, fmt.Sprintf("sites: %v", later.Sites))
	}
	slices.Sort(lines)
	return lines
}

// changes says what is different about one person.
// Lines are sorted by the caller; each begins with the login.
func (p Person) changes(login string, is Person) []string {
	var lines []string
	say := func(changed bool, text string) {
		if changed {
			lines = append(lines, login+": "+text)
		}
	}
	say(p.Email != is.Email, "e-mail "+is.Email)
	say(p.Superuser && !is.Superuser, "no superuser")
	say(!p.Superuser && is.Superuser, "superuser")
	say(p.Invite != is.Invite, strings.TrimSpace("invitation "+is.Invite))
	say(!p.PasswordChanged.Equal(is.PasswordChanged), "password")
	before, after := count(p.Access), count(is.Access)
	for _, text := range slices.Sorted(maps.Keys(before)) {
		say(before[text] > after[text], "- "+text)
	}
	for _, text := range slices.Sorted(maps.Keys(after)) {
		say(after[text] > before[text], "+ "+text)
	}
	for _, id := range p.Tokens {
		say(!slices.Contains(is.Tokens, id), fmt.Sprintf("- token %d", id))
	}
	for _, id := range is.Tokens {
		say(!slices.Contains(p.Tokens, id), fmt.Sprintf("+ token %d", id))
	}
	return lines
}

// count counts equal texts: the access table may hold a row twice (trap 7).
func count(list []string) map[string]int {
	n := map[string]int{}
	for _, text := range list {
		n[text]++
	}
	return n
}
