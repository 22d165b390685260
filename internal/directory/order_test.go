package directory_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/scim/schema"
)

// picture is what a source has said in the end, in its own words.
type picture struct {
	Users  map[string]bool     // active, by userName
	Groups map[string][]string // userNames, by displayName
}

// picture reads it from the store.
func (s store) picture(tb interface{ Fatal(...any) }, source string) picture {
	p := picture{Users: map[string]bool{}, Groups: map[string][]string{}}
	users, err := s.Users(s.tb.Context(), directory.Query{Source: source, Start: 1, Count: 1000, Groups: true})
	if err != nil {
		tb.Fatal(err)
	}
	groups, err := s.Groups(s.tb.Context(), directory.Query{Source: source, Start: 1, Count: 1000})
	if err != nil {
		tb.Fatal(err)
	}
	for _, g := range groups.Items {
		p.Groups[g.DisplayName] = nil
	}
	for _, u := range users.Items {
		p.Users[u.UserName] = u.Active
		for _, g := range u.Groups {
			p.Groups[g.Name] = append(p.Groups[g.Name], u.UserName)
		}
	}
	for _, members := range p.Groups {
		slices.Sort(members)
	}
	return p
}

// TestOrder_OfArrivalDoesNotMatter tells the same facts in random orders: users arrive, groups arrive, groups name
// users by externalId or userName, users are deactivated. Members may be named before their users are there. The
// picture in the end is the same, and so is what a decision would see (invariant I6).
func TestOrder_OfArrivalDoesNotMatter(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		round := 0
		s := newStore(t, db)
		rapid.Check(t, func(rt *rapid.T) {
			round++
			source := fmt.Sprintf("source%d", round) // a namespace of its own for each round
			want := picture{Users: map[string]bool{}, Groups: map[string][]string{}}
			var facts []func() error
			groups := map[string]string{}
			for g := range rapid.IntRange(1, 3).Draw(rt, "groups") {
				name := fmt.Sprintf("group%d", g)
				want.Groups[name] = nil
				made, err := s.CreateGroup(t.Context(), actor(source), schema.Document{"displayName": name}, nil)
				if err != nil {
					rt.Fatal(err)
				}
				groups[name] = made.ID
			}
			for u := range rapid.IntRange(1, 5).Draw(rt, "users") {
				userName, external := fmt.Sprintf("user%d", u), fmt.Sprintf("ext%d", u)
				want.Users[userName] = true
				facts = append(facts, func() error {
					_, err := s.CreateUser(t.Context(), actor(source), doc(userName, "externalId", external))
					return err
				})
				for name := range groups {
					if !rapid.Bool().Draw(rt, "member") {
						continue
					}
					want.Groups[name] = append(want.Groups[name], userName)
					label := rapid.SampledFrom([]string{userName, external}).Draw(rt, "label")
					facts = append(facts, func() error {
						_, _, err := s.UpdateGroup(t.Context(), actor(source), groups[name], nil, nil, []directory.MemberOp{{Kind: directory.Add, Values: []string{label}}})
						return err
					})
				}
			}
			for _, i := range rapid.Permutation(indexes(len(facts))).Draw(rt, "order") {
				if err := facts[i](); err != nil {
					rt.Fatal(err)
				}
			}
			for _, members := range want.Groups {
				slices.Sort(members)
			}
			if diff := cmp.Diff(want, s.picture(rt, source)); diff != "" {
				rt.Fatalf("picture (-want +got):\n%s", diff)
			}
		})
	})
}

// indexes are the numbers below n.
func indexes(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// world is the model of TestLife: what a source should have, with the ids that the store gave.
type world struct {
	ids, subjects map[string]string          // of users, by userName
	active        map[string]bool            // by userName
	groups        map[string]string          // ids, by displayName
	members       map[string]map[string]bool // userNames, by displayName
	left          map[string]string          // subjects of the deleted, by externalId
}

// picture is the model in the source's words.
func (w world) picture() picture {
	p := picture{Users: maps.Clone(w.active), Groups: map[string][]string{}}
	for name, members := range w.members {
		p.Groups[name] = nil
		for m := range members {
			p.Groups[name] = append(p.Groups[name], m)
		}
		slices.Sort(p.Groups[name])
	}
	return p
}

// TestLife runs random lives of a directory against a model: names are unique while they are used and free
// afterwards, memberships survive deactivation and not deletion, and who comes back is who left.
func TestLife(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		round := 0
		s := newStore(t, db)
		rapid.Check(t, func(rt *rapid.T) {
			round++
			by := actor(fmt.Sprintf("source%d", round))
			w := world{
				ids: map[string]string{}, subjects: map[string]string{}, active: map[string]bool{},
				groups: map[string]string{}, members: map[string]map[string]bool{}, left: map[string]string{},
			}
			user := rapid.SampledFrom([]string{"a", "b", "c"})
			group := rapid.SampledFrom([]string{"G", "H"})
			check := func(err error, ok bool, conflict bool) bool {
				switch {
				case ok && err != nil, !ok && conflict && !unique(err), !ok && !conflict && !errors.Is(err, directory.ErrNotFound):
					rt.Fatalf("ok %v, conflict %v: %v", ok, conflict, err)
				}
				return ok
			}
			rt.Repeat(map[string]func(*rapid.T){
				"": func(rt *rapid.T) {
					if diff := cmp.Diff(w.picture(), s.picture(rt, by.Source)); diff != "" {
						rt.Fatalf("picture (-want +got):\n%s", diff)
					}
				},
				"create user": func(rt *rapid.T) {
					name := user.Draw(rt, "user")
					u, err := s.CreateUser(t.Context(), by, doc(name, "externalId", "x"+name))
					if check(err, w.ids[name] == "", true) {
						if gone := w.left["x"+name]; gone != "" && gone != u.Subject {
							rt.Fatalf("%s came back as another person", name)
						}
						w.ids[name], w.subjects[name], w.active[name] = u.ID, u.Subject, true
						delete(w.left, "x"+name)
					}
				},
				"activate": func(rt *rapid.T) {
					name, active := user.Draw(rt, "user"), rapid.Bool().Draw(rt, "active")
					_, _, err := s.UpdateUser(t.Context(), by, w.ids[name], nil, func(_ directory.User, d schema.Document) (schema.Document, error) {
						d["active"] = active
						return d, nil
					})
					if check(err, w.ids[name] != "", false) {
						w.active[name] = active
					}
				},
				"delete user": func(rt *rapid.T) {
					name := user.Draw(rt, "user")
					if check(s.DeleteUser(t.Context(), by, w.ids[name], nil), w.ids[name] != "", false) {
						w.left["x"+name] = w.subjects[name]
						for _, m := range w.members {
							delete(m, name)
						}
						delete(w.ids, name)
						delete(w.active, name)
					}
				},
				"create group": func(rt *rapid.T) {
					name := group.Draw(rt, "group")
					g, err := s.CreateGroup(t.Context(), by, schema.Document{"displayName": name}, nil)
					if check(err, w.groups[name] == "", true) {
						w.groups[name], w.members[name] = g.ID, map[string]bool{}
					}
				},
				"delete group": func(rt *rapid.T) {
					name := group.Draw(rt, "group")
					if check(s.DeleteGroup(t.Context(), by, w.groups[name], nil), w.groups[name] != "", false) {
						delete(w.groups, name)
						delete(w.members, name)
					}
				},
				"member": func(rt *rapid.T) {
					name, who, kind := group.Draw(rt, "group"), user.Draw(rt, "user"), rapid.SampledFrom([]directory.MemberOpKind{directory.Add, directory.Remove}).Draw(rt, "kind")
					if w.ids[who] == "" {
						return // who is not there yet is the other test's subject
					}
					_, _, err := s.UpdateGroup(t.Context(), by, w.groups[name], nil, nil, []directory.MemberOp{{Kind: kind, Values: []string{w.ids[who]}}})
					if check(err, w.groups[name] != "", false) {
						if delete(w.members[name], who); kind == directory.Add {
							w.members[name][who] = true
						}
					}
				},
			})
		})
	})
}
