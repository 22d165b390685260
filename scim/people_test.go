package scim_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/scim"
)

// Who is meant, and who may sign in: members that nobody has, labels that two have, what is said about a member, and an
// active that is taken away.

// TestStrictMembers: a source may have members refused that nobody has; the answer names them and nothing is stored.
func TestStrictMembers(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		dir := directory.New(db, bindings.New(db), directory.Options{
			Sources: []directory.Source{{Name: "okta", Lifecycle: true}, {Name: "entra", Lifecycle: true, StrictMembers: true}},
		})
		s := newServer(t, db, func(o *scim.Options) { o.Directory = dir })
		ada := s.createUser(t, "entra", "ada")
		refused := func(what string, a answer) {
			t.Helper()
			a.want(t, http.StatusBadRequest)
			if a.str("scimType") != "invalidValue" || !strings.Contains(a.str("detail"), `"nobody"`) || strings.Contains(a.str("detail"), ada) {
				t.Errorf("%s: %s", what, a.raw)
			}
		}
		refused("POST", s.do(t, "entra", http.MethodPost, "/Groups", groupDoc("Analysts", ada, "nobody")))
		group := s.createGroup(t, "entra", "Analysts", ada)
		refused("PUT", s.do(t, "entra", http.MethodPut, "/Groups/"+group, groupDoc("Renamed", "nobody")))
		refused("PATCH add", s.do(t, "entra", http.MethodPatch, "/Groups/"+group, patchOp(op("replace", "displayName", "Renamed"), op("add", "members", values("nobody")))))
		// A replace that named somebody unknown must not have emptied the group first.
		refused("PATCH replace", s.do(t, "entra", http.MethodPatch, "/Groups/"+group, patchOp(op("replace", "members", values("nobody")))))
		a := s.do(t, "entra", http.MethodGet, "/Groups/"+group, nil)
		if a.str("displayName") != "Analysts" || len(a.list("members")) != 1 || a.str("meta.version") != `W/"1"` {
			t.Errorf("group %s", a.raw)
		}
		// Removing who is not there is no error, and by userName is as good as by id.
		s.do(t, "entra", http.MethodPatch, "/Groups/"+group, patchOp(op("remove", `members[value eq "nobody"]`, nil), op("add", "members", values("ADA")))).want(t, http.StatusNoContent)
		// Many unknown ones do not make an endless answer.
		var many []string
		for i := range 500 {
			many = append(many, fmt.Sprintf("%03d%s", i, strings.Repeat("x", 500)))
		}
		a = s.do(t, "entra", http.MethodPost, "/Groups", groupDoc("Many", many...)).want(t, http.StatusBadRequest)
		if len(a.raw) > 4096 || !strings.Contains(a.str("detail"), "and 480 more") {
			t.Errorf("%d bytes: %s", len(a.raw), a.raw)
		}
		// The other source has not asked for it.
		s.createGroup(t, "okta", "Analysts", "nobody")
	})
}

// TestSharedExternalIDs: in the profile entra a second holder of a label keeps it to show, and is neither found nor
// recognised by it, until the first one is gone.
func TestSharedExternalIDs(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := newServer(t, db)
		first := s.createUser(t, "entra", "first", "externalId", "same")
		second := s.createUser(t, "entra", "second", "externalId", "same")
		found := func(what, want string) {
			t.Helper()
			a := s.do(t, "entra", http.MethodGet, "/Users?filter=externalId+eq+%22same%22", nil).want(t, http.StatusOK)
			equal(t, what, a.names("userName"), []string{want})
		}
		found("created", "first")
		equal(t, "shown", s.do(t, "entra", http.MethodGet, "/Users/"+second, nil).get("externalId"), "same")
		// As a member the label means the first one.
		equal(t, "members", s.members(t, "entra", s.createGroup(t, "entra", "Analysts", "same")), []string{first})
		// A change of the second that leaves the label alone takes nothing from the first.
		s.do(t, "entra", http.MethodPut, "/Users/"+second, user("second", "externalId", "same", "title", "x", "active", true)).want(t, http.StatusOK)
		found("changed", "first")
		s.do(t, "entra", http.MethodDelete, "/Users/"+first, nil).want(t, http.StatusNoContent)
		s.do(t, "entra", http.MethodPatch, "/Users/"+second, patchOp(op("replace", "title", "y"))).want(t, http.StatusNoContent)
		found("the first is gone", "second")
		// Groups as well; other sources refuse.
		for i, name := range []string{"A", "B"} {
			g := groupDoc(name)
			g["externalId"] = "group"
			s.do(t, "entra", http.MethodPost, "/Groups", g).want(t, http.StatusCreated)
			s.do(t, "okta", http.MethodPost, "/Groups", g).want(t, []int{http.StatusCreated, http.StatusConflict}[i])
		}
		l := s.do(t, "entra", http.MethodGet, "/Groups?filter=externalId+eq+%22group%22", nil)
		equal(t, "groups", l.names("displayName"), []string{"A"})
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

// TestUsers_RemoveActive: to remove the attribute says nothing about the person. Nobody leaves by it, and no leaver comes
// back, now or with a later change.
func TestUsers_RemoveActive(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := newServer(t, db)
		for _, active := range []bool{true, false} {
			name := fmt.Sprintf("active %t", active)
			path := "/Users/" + s.do(t, "okta", http.MethodPost, "/Users", user(name, "active", active)).want(t, http.StatusCreated).str("id")
			is := func(what string, shown any) {
				t.Helper()
				equal(t, what+": shown", s.do(t, "okta", http.MethodGet, path, nil).want(t, http.StatusOK).get("active"), shown)
				l := s.do(t, "okta", http.MethodGet, "/Users?filter="+url.QueryEscape(fmt.Sprintf("userName eq %q and active eq %t", name, active)), nil)
				equal(t, what+": found", l.get("totalResults"), 1)
			}
			for i, o := range []map[string]any{op("remove", "active", nil), {"op": "replace", "path": "active", "value": nil}, op("replace", "title", "x")} {
				s.do(t, "okta", http.MethodPatch, path, patchOp(o)).want(t, http.StatusOK)
				is(fmt.Sprintf("%s, step %d", name, i), nil)
			}
			s.do(t, "okta", http.MethodPut, path, user(name)).want(t, http.StatusOK)
			is(name+" after a PUT without it", active)
		}
	})
}
