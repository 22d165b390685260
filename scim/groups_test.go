package scim_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
)

// group is a document of a group with members.
func group(name string, members ...string) map[string]any {
	return map[string]any{"schemas": []string{groupURN}, "displayName": name, "members": values(members...)}
}

// members returns the sorted member ids of a group.
func (s *server) members(tb testing.TB, source, id string) []string {
	tb.Helper()
	var ids []string
	for _, m := range s.do(tb, source, http.MethodGet, "/Groups/"+id, nil).want(tb, http.StatusOK).list("members") {
		ids = append(ids, answer{json: m}.str("value"))
	}
	slices.Sort(ids)
	return ids
}

// wantMembers fails the test when the group has other members.
func (s *server) wantMembers(tb testing.TB, id string, want ...string) {
	tb.Helper()
	if got := s.members(tb, "okta", id); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		tb.Fatalf("members %v, want %v", got, want)
	}
}

func TestGroups_CreateAndRead(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := newServer(t, db)
		ada := s.do(t, "okta", http.MethodPost, "/Users", user("ada", "displayName", "Ada King")).str("id")
		a := s.do(t, "okta", http.MethodPost, "/Groups", group("Analysts", ada)).want(t, http.StatusCreated)
		id := a.str("id")
		for path, want := range map[string]any{ // C17
			"displayName": "Analysts", "meta.resourceType": "Group", "members.0.value": ada, "members.0.type": "User",
			"members.0.display": "Ada King", "members.0.$ref": "http://scim.example/scim/v2/Users/" + ada,
		} {
			if got := lookup(a.json, path); got != want {
				t.Errorf("%s = %v, want %v", path, got, want)
			}
		}
		if b := s.do(t, "okta", http.MethodGet, "/Groups/"+id, nil).want(t, http.StatusOK); b.raw != a.raw || b.header.Get("ETag") != `W/"1"` {
			t.Errorf("POST answered\n%s\nGET answers\n%s", a.raw, b.raw)
		}
		for query, names := range map[string][]string{
			"excludedAttributes=members":      {"displayName", "id", "meta", "schemas"},
			"attributes=displayName":          {"displayName", "id", "schemas"},
			"attributes=members.value":        {"id", "members", "schemas"},
			"attributes=id":                   {"id", "schemas"},
			"excludedAttributes=members.type": {"displayName", "id", "members", "meta", "schemas"},
		} {
			b := s.do(t, "okta", http.MethodGet, "/Groups/"+id+"?"+query, nil).want(t, http.StatusOK)
			doc, _ := b.json.(map[string]any)
			if got := slices.Sorted(maps.Keys(doc)); !slices.Equal(got, names) {
				t.Errorf("%s: %v, want %v", query, got, names)
			}
			if query == "attributes=members.value" && (b.get("members.0.type") != nil || b.str("members.0.value") != ada) {
				t.Errorf("%s: %s", query, b.raw)
			}
		}
	})
}

func TestGroups_Refused(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t))
	id := s.createGroup(t, "okta", "Analysts")
	s.do(t, "okta", http.MethodPatch, "/Groups/"+id, patchOp(op("add", "externalId", "g1"))).want(t, http.StatusNoContent)
	other := s.createGroup(t, "okta", "Others")
	for name, c := range map[string]struct {
		method, path string
		body         any
		status       int
		scimType     string
	}{
		"same name":                 {http.MethodPost, "/Groups", group("Analysts"), 409, "uniqueness"},
		"same name in another case": {http.MethodPost, "/Groups", group("ANALYSTS"), 409, "uniqueness"},
		"no name (C20)":             {http.MethodPost, "/Groups", map[string]any{"schemas": []string{groupURN}}, 400, "invalidValue"},
		"blank name":                {http.MethodPost, "/Groups", group(" "), 400, "invalidValue"},
		"member without value":      {http.MethodPost, "/Groups", map[string]any{"schemas": []string{groupURN}, "displayName": "x", "members": []any{map[string]any{"display": "x"}}}, 400, "invalidValue"},
		"rename onto another":       {http.MethodPatch, "/Groups/" + other, patchOp(op("replace", "displayName", "analysts")), 409, "uniqueness"},
		"externalId of another":     {http.MethodPatch, "/Groups/" + other, patchOp(op("add", "externalId", "g1")), 409, "uniqueness"},
		"name removed":              {http.MethodPatch, "/Groups/" + other, patchOp(op("remove", "displayName", nil)), 400, ""},
		"members by display":        {http.MethodPatch, "/Groups/" + other, patchOp(op("remove", `members[display eq "x"]`, nil)), 400, "invalidPath"},
		"not there":                 {http.MethodGet, "/Groups/00000000-0000-7000-8000-000000000000", nil, 404, ""},
		"PUT not there":             {http.MethodPut, "/Groups/00000000-0000-7000-8000-000000000000", group("x"), 404, ""},
		"DELETE not there":          {http.MethodDelete, "/Groups/00000000-0000-7000-8000-000000000000", nil, 404, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.do(t, "okta", c.method, c.path, c.body).want(t, c.status)
			if c.scimType != "" && a.str("scimType") != c.scimType {
				t.Errorf("scimType %q, want %q", a.str("scimType"), c.scimType)
			}
		})
	}
}

func TestGroups_MemberOperations(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := newServer(t, db)
		var u []string
		for i := range 5 {
			u = append(u, s.createUser(t, "okta", fmt.Sprintf("user%d", i)))
		}
		id := s.createGroup(t, "okta", "Analysts")
		step := func(name string, want []string, ops ...map[string]any) {
			t.Helper()
			s.do(t, "okta", http.MethodPatch, "/Groups/"+id, patchOp(ops...)).want(t, http.StatusNoContent)
			t.Log(name)
			s.wantMembers(t, id, want...)
		}
		step("add one", u[:1], op("add", "members", values(u[0])))
		step("add it again (PA04)", u[:1], op("add", "members", values(u[0])))
		step("add several, one of them twice", u[:3], op("add", "members", values(u[1], u[2], u[1])))
		step("Add as an object", u[:4], op("Add", "members", map[string]string{"value": u[3]}))
		step("path-less add", u[:5], op("add", "", map[string]any{"members": values(u[4])}))
		step("remove by filter (PA33)", u[1:5], op("remove", `members[value eq "`+u[0]+`"]`, nil))
		step("remove by value array (PA35)", u[3:5], op("Remove", "members", values(u[1], u[2])))
		step("remove who is gone", u[3:5], op("remove", "members", values(u[1])))
		step("replace", u[:2], op("replace", "members", values(u[0], u[1])))
		step("path-less replace leaves nothing else", u[1:2], op("replace", "", map[string]any{"members": values(u[1])}))
		step("several operations in order", u[2:4], op("add", "members", values(u[0])), op("remove", "members", nil), op("add", "members", values(u[2], u[3])))
		step("by type", nil, op("remove", `members[type eq "User"]`, nil))
		step("replace again", u[:2], op("replace", "members", values(u[0], u[1])))
		step("replace by nothing", nil, op("replace", "members", []any{}))
		step("remove all of nobody (PA34)", nil, op("remove", "members", nil))

		before := s.do(t, "okta", http.MethodGet, "/Groups/"+id, nil)
		s.do(t, "okta", http.MethodPatch, "/Groups/"+id, patchOp(op("add", "members", values(u[0])), op("replace", "displayName", ""))).want(t, http.StatusBadRequest)
		if after := s.do(t, "okta", http.MethodGet, "/Groups/"+id, nil); after.raw != before.raw {
			t.Errorf("a refused PATCH left traces: %s", after.raw)
		}
		step("head and members at once", u[:1], op("replace", "displayName", "Renamed"), op("add", "members", values(u[0])))
		if got := s.do(t, "okta", http.MethodGet, "/Groups/"+id, nil).str("displayName"); got != "Renamed" {
			t.Errorf("displayName %q", got)
		}
	})
}

// TestGroups_MembersThatAreNobody sends lists whose members name nobody, as a client does whose ids did not resolve. They
// are refused: a list of nulls is not the empty list, and emptying the group for it would take everybody's access.
func TestGroups_MembersThatAreNobody(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t))
	ada, bob := s.createUser(t, "okta", "ada"), s.createUser(t, "okta", "bob")
	id := s.createGroup(t, "okta", "Analysts", ada, bob)
	for _, members := range [][]any{
		{nil},
		{map[string]any{}},
		{map[string]any{"value": nil}},
		{map[string]any{"$ref": nil, "value": nil}},
		{""},
		{map[string]any{"value": ada}, map[string]any{"value": nil}},
	} {
		for name, send := range map[string]func() answer{
			"POST": func() answer {
				return s.do(t, "okta", http.MethodPost, "/Groups", map[string]any{"schemas": []string{groupURN}, "displayName": "x", "members": members})
			},
			"PUT": func() answer {
				return s.do(t, "okta", http.MethodPut, "/Groups/"+id, map[string]any{"schemas": []string{groupURN}, "displayName": "Analysts", "members": members})
			},
			"replace": func() answer {
				return s.do(t, "okta", http.MethodPatch, "/Groups/"+id, patchOp(op("replace", "members", members)))
			},
			"replace without path": func() answer {
				return s.do(t, "okta", http.MethodPatch, "/Groups/"+id, patchOp(op("replace", "", map[string]any{"members": members})))
			},
			"add": func() answer {
				return s.do(t, "okta", http.MethodPatch, "/Groups/"+id, patchOp(op("add", "members", members)))
			},
			"remove": func() answer {
				return s.do(t, "okta", http.MethodPatch, "/Groups/"+id, patchOp(op("remove", "members", members)))
			},
		} {
			if a := send(); a.status != http.StatusBadRequest || a.str("scimType") != "invalidValue" || !strings.HasPrefix(a.str("detail"), "members.value: ") {
				t.Errorf("%s %v: %d %s", name, members, a.status, a.raw)
			}
		}
	}
	s.wantMembers(t, id, ada, bob)
}

// TestGroups_VersionMovesWithMembers checks that a version changes with the members, and with them only when they do.
func TestGroups_VersionMovesWithMembers(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := newServer(t, db)
		ada, bob := s.createUser(t, "okta", "ada"), s.createUser(t, "okta", "bob")
		id := s.createGroup(t, "okta", "Analysts", ada)
		for _, c := range []struct {
			op    map[string]any
			moves bool
		}{
			{op("add", "members", values(ada)), false},
			{op("add", "members", values(bob)), true},
			{op("remove", "members", values("nobody-of-this-name")), false},
			{op("replace", "members", values(ada, bob)), false},
			{op("remove", "members", values(bob)), true},
			{op("replace", "", map[string]any{"id": id, "displayName": "Analysts"}), false},
			{op("replace", "displayName", "analysts"), true},
		} {
			before := s.do(t, "okta", http.MethodGet, "/Groups/"+id, nil)
			s.do(t, "okta", http.MethodPatch, "/Groups/"+id, patchOp(c.op)).want(t, http.StatusNoContent)
			after := s.do(t, "okta", http.MethodGet, "/Groups/"+id, nil)
			if moved := before.str("meta.version") != after.str("meta.version"); moved != c.moves {
				t.Errorf("%v: version moved %v, want %v", c.op, moved, c.moves)
			}
			if moved := before.str("meta.lastModified") != after.str("meta.lastModified"); moved != c.moves {
				t.Errorf("%v: lastModified moved %v, want %v", c.op, moved, c.moves)
			}
		}
	})
}

func TestGroups_Put(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := newServer(t, db)
		ada, bob := s.createUser(t, "okta", "ada"), s.createUser(t, "okta", "bob")
		id := s.createGroup(t, "okta", "Analysts", ada)
		a := s.do(t, "okta", http.MethodPut, "/Groups/"+id, group("Analysts", bob)).want(t, http.StatusOK) // U06, own name
		if len(a.list("members")) != 1 || a.str("members.0.value") != bob {
			t.Errorf("answer %s", a.raw)
		}
		s.wantMembers(t, id, bob)
		s.do(t, "okta", http.MethodPut, "/Groups/"+id, map[string]any{"schemas": []string{groupURN}, "displayName": "Analysts"}).want(t, http.StatusOK)
		s.wantMembers(t, id)
	})
}

// TestGroups_PendingMembers follows a member that is named before its user arrives.
func TestGroups_PendingMembers(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := newServer(t, db)
		ada := s.createUser(t, "okta", "ada")
		id := s.createGroup(t, "okta", "Analysts")
		before := s.do(t, "okta", http.MethodGet, "/Groups/"+id, nil)
		s.do(t, "okta", http.MethodPatch, "/Groups/"+id, patchOp(op("add", "members", values("00u-later", "Bob@example.org")))).want(t, http.StatusNoContent)
		if after := s.do(t, "okta", http.MethodGet, "/Groups/"+id, nil); after.raw != before.raw {
			t.Errorf("a pending member shows: %s", after.raw)
		}
		s.createUser(t, "other", "eve", "externalId", "00u-later") // another source: not meant
		s.wantMembers(t, id)

		one := s.do(t, "okta", http.MethodPost, "/Users", user("carol", "externalId", "00u-later")).want(t, http.StatusCreated)
		if one.str("groups.0.value") != id {
			t.Errorf("the new user does not show its group: %s", one.raw)
		}
		two := s.createUser(t, "okta", "bob@EXAMPLE.org")
		s.wantMembers(t, id, one.str("id"), two)

		// The other way round gives the same: a label of a user who is there is understood at once.
		s.do(t, "okta", http.MethodPatch, "/Groups/"+id, patchOp(op("add", "members", values("ADA")))).want(t, http.StatusNoContent)
		s.wantMembers(t, id, one.str("id"), two, ada)
		s.do(t, "okta", http.MethodPatch, "/Groups/"+id, patchOp(op("remove", "members", values("ada", "00u-later")))).want(t, http.StatusNoContent)
		s.wantMembers(t, id, two)

		// A pending value that is removed again does not come back; one that is replaced neither.
		s.do(t, "okta", http.MethodPatch, "/Groups/"+id, patchOp(op("add", "members", values("dan", "fay")))).want(t, http.StatusNoContent)
		s.do(t, "okta", http.MethodPatch, "/Groups/"+id, patchOp(op("remove", "members", values("dan")))).want(t, http.StatusNoContent)
		s.createUser(t, "okta", "dan")
		s.do(t, "okta", http.MethodPatch, "/Groups/"+id, patchOp(op("replace", "members", values(two)))).want(t, http.StatusNoContent)
		s.createUser(t, "okta", "fay")
		s.wantMembers(t, id, two)

		// Renaming a user to what is waited for is an arrival too.
		s.do(t, "okta", http.MethodPatch, "/Groups/"+id, patchOp(op("add", "members", values("gil")))).want(t, http.StatusNoContent)
		s.do(t, "okta", http.MethodPatch, "/Users/"+ada, patchOp(op("replace", "userName", "gil"))).want(t, http.StatusOK)
		s.wantMembers(t, id, two, ada)
	})
}

func TestGroups_GroupAsMember(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := newServer(t, db)
		inner := s.createGroup(t, "okta", "Inner")
		outer := s.createGroup(t, "okta", "Outer", inner)
		a := s.do(t, "okta", http.MethodGet, "/Groups/"+outer, nil)
		if a.str("members.0.value") != inner || a.str("members.0.type") != "Group" || !strings.HasSuffix(a.str("members.0.$ref"), "/Groups/"+inner) {
			t.Errorf("members %v", a.get("members"))
		}
		s.do(t, "okta", http.MethodPatch, "/Groups/"+outer, patchOp(op("add", "members", values(outer)))).want(t, http.StatusNoContent)
		s.wantMembers(t, outer, inner) // not itself
		s.do(t, "okta", http.MethodDelete, "/Groups/"+inner, nil).want(t, http.StatusNoContent)
		s.wantMembers(t, outer)
	})
}

func TestGroups_MembershipsSurviveDeactivation(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t))
	ada := s.createUser(t, "entra", "ada")
	id := s.createGroup(t, "entra", "Analysts", ada)
	s.do(t, "entra", http.MethodPatch, "/Users/"+ada, patchOp(op("Replace", "active", "False"))).want(t, http.StatusNoContent)
	if got := s.members(t, "entra", id); len(got) != 1 {
		t.Errorf("members %v while inactive", got)
	}
	s.do(t, "entra", http.MethodPatch, "/Users/"+ada, patchOp(op("Replace", "active", "True"))).want(t, http.StatusNoContent)
	if got := s.members(t, "entra", id); len(got) != 1 {
		t.Errorf("members %v after coming back", got)
	}
}

// TestGroups_ConcurrentPatches has 50 writers change one group, while its members are deactivated, and one group
// after the other is deleted: nothing is lost (PA42), and nobody waits for ever.
func TestGroups_ConcurrentPatches(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		const writers = 50
		s := newServer(t, db)
		addTarget(t, db)
		var ids [writers]string
		for i := range ids {
			ids[i] = s.createUser(t, "okta", fmt.Sprintf("user%d", i))
		}
		id, side := s.createGroup(t, "okta", "Analysts"), s.createGroup(t, "okta", "Side", ids[:]...)
		fails := make(chan string, 4*writers)
		try := func(method, path string, body any, status int) {
			if a := s.do(t, "okta", method, path, body); a.status != status {
				fails <- fmt.Sprintf("%s %s: %d %s", method, path, a.status, a.raw)
			}
		}
		var wg sync.WaitGroup
		for i := range ids {
			wg.Go(func() {
				neighbour := ids[(i+1)%writers]
				try(http.MethodPatch, "/Groups/"+id, patchOp(op("add", "members", values(ids[i], neighbour))), http.StatusNoContent)
				try(http.MethodPatch, "/Users/"+ids[i], patchOp(op("replace", "active", i%2 == 0)), http.StatusOK)
				try(http.MethodPatch, "/Groups/"+side, patchOp(op("remove", "members", values(ids[i]))), http.StatusNoContent)
				try(http.MethodPatch, "/Groups/"+id, patchOp(op("replace", "externalId", ids[i])), http.StatusNoContent)
			})
		}
		wg.Wait()
		close(fails)
		for f := range fails {
			t.Error(f)
		}
		s.wantMembers(t, id, ids[:]...)
		s.wantMembers(t, side)
		if v := s.do(t, "okta", http.MethodGet, "/Groups/"+side, nil).str("meta.version"); v != fmt.Sprintf(`W/"%d"`, writers+1) {
			t.Errorf("version %s after %d removals", v, writers)
		}
	})
}

// TestGroups_ConcurrentDeletes deletes users while they are added to groups: no membership of a deleted user stays.
func TestGroups_ConcurrentDeletes(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := newServer(t, db)
		const n = 20
		a, b := s.createGroup(t, "okta", "A"), s.createGroup(t, "okta", "B")
		var ids []string
		for i := range n {
			ids = append(ids, s.createUser(t, "okta", fmt.Sprintf("user%d", i)))
		}
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				s.do(t, "okta", http.MethodPatch, "/Groups/"+a, patchOp(op("add", "members", values(ids[i]))))
				s.do(t, "okta", http.MethodPatch, "/Groups/"+b, patchOp(op("add", "members", values(ids...))))
			})
			wg.Go(func() { s.do(t, "okta", http.MethodDelete, "/Users/"+ids[i], nil) })
		}
		wg.Wait()
		s.wantMembers(t, a)
		s.wantMembers(t, b)
	})
}

// TestGroups_Large reads and changes a group whose members fill several pages of the store and several chunks of the
// answer.
func TestGroups_Large(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := newServer(t, db)
		ids := seed(t, db, 4500)
		id := s.createGroup(t, "okta", "Everybody")
		fill(t, db, id, ids)
		s.wantMembers(t, id, ids...)
		list := s.do(t, "okta", http.MethodGet, "/Groups", nil).want(t, http.StatusOK)
		if n := len(list.list("Resources.0.members")); n != len(ids) {
			t.Errorf("the list shows %d members", n)
		}
		s.do(t, "okta", http.MethodPatch, "/Groups/"+id, patchOp(op("replace", "members", values(ids[1000:]...)))).want(t, http.StatusNoContent)
		s.wantMembers(t, id, ids[1000:]...)
		s.do(t, "okta", http.MethodPatch, "/Groups/"+id, patchOp(op("remove", "members", nil))).want(t, http.StatusNoContent)
		s.wantMembers(t, id)
	})
}

// TestMemberLabels: what a client says about a member is immutable, and comes back as it was.
func TestMemberLabels(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := newServer(t, db)
		ada, bob := s.createUser(t, "okta", "ada"), s.createUser(t, "okta", "bob")
		called := func(id, name string) object { return object{"value": id, "displayName": name} }
		doc := groupDoc("Analysts")
		doc["members"] = []any{called(ada, "The Countess")}
		path := "/Groups/" + s.do(t, "okta", http.MethodPost, "/Groups", doc).want(t, http.StatusCreated).str("id")
		labels := func(what string, want object) {
			t.Helper()
			got := object{}
			for _, m := range s.do(t, "okta", http.MethodGet, path, nil).want(t, http.StatusOK).list("members") {
				one := answer{json: m}
				got[one.str("display")+" "+one.str("type")] = one.get("displayName")
			}
			equal(t, what, got, want)
		}
		labels("POST", object{"ada User": "The Countess"})
		s.do(t, "okta", http.MethodPatch, path, patchOp(op("add", "members", []any{called(ada, "again"), called(bob, "new User")}))).want(t, http.StatusNoContent)
		labels("who is there stays as he is", object{"ada User": "The Countess", "bob User": "new User"})
		s.do(t, "okta", http.MethodPatch, path, patchOp(op("remove", "members", values(ada)), op("add", "members", values(ada)))).want(t, http.StatusNoContent)
		labels("removed and added", object{"ada User": nil, "bob User": "new User"})
		doc["members"] = []any{called(ada, "x"), called(bob, "y")}
		s.do(t, "okta", http.MethodPut, path, doc).want(t, http.StatusOK)
		labels("PUT", object{"ada User": nil, "bob User": "new User"})
		a := s.do(t, "okta", http.MethodGet, path+"?attributes=members", nil).want(t, http.StatusOK)
		if !strings.Contains(a.raw, `"displayName":"new User"`) {
			t.Errorf("projection: %s", a.raw)
		}
		cleo := s.createUser(t, "okta", "cleo")
		s.do(t, "okta", http.MethodPatch, path, patchOp(op("replace", "members", []any{object{"value": cleo, "display": "C.", "type": "Person"}}))).want(t, http.StatusNoContent)
		labels("display and type", object{"C. Person": nil})
		equal(t, "found by what it is", s.do(t, "okta", http.MethodGet, "/Groups?filter=members.value+eq+%22"+cleo+"%22", nil).get("totalResults"), 1)
		doc["displayName"] = "Strict"
		s.do(t, "strict", http.MethodPost, "/Groups", doc).want(t, http.StatusBadRequest)
	})
}
