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
	"github.com/matomo-scim/bridge/scim/schema"
)

const (
	acmeUser  = "urn:example:acme:2.0:User"
	acmeGroup = "urn:example:acme:2.0:Group"
)

// acme declares an extension of users and one of groups.
func acme(tb testing.TB) func(*scim.Options) {
	tb.Helper()
	users, err := schema.NewUser(&schema.Schema{ID: acmeUser, Name: "AcmeUser", Attributes: []schema.Attribute{
		{Name: "costUnit", Type: schema.String, MultiValued: true, CanonicalValues: []string{"north"}},
		{Name: "badge", Type: schema.Integer, Mutability: schema.Immutable, Required: true},
		{Name: "desk", Type: schema.Complex, SubAttributes: []schema.Attribute{{Name: "building", Type: schema.String}, {Name: "floor", Type: schema.Integer}}},
		{Name: "onSite", Type: schema.Boolean},
	}})
	if err != nil {
		tb.Fatal(err)
	}
	groups, err := schema.NewGroup(&schema.Schema{ID: acmeGroup, Name: "AcmeGroup", Attributes: []schema.Attribute{{Name: "owner", Type: schema.String, CaseExact: true}}})
	if err != nil {
		tb.Fatal(err)
	}
	return func(o *scim.Options) { o.Users, o.Groups = users, groups }
}

// TestExtensions follows attributes that a configuration declares through every endpoint.
func TestExtensions(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := newServer(t, db, acme(t))
		doc := user("ada")
		doc["schemas"] = append(doc["schemas"].([]string), acmeUser)
		doc[strings.ToLower(acmeUser)] = map[string]any{"COSTUNIT": []string{"North"}, "badge": 7, "desk": map[string]any{"building": "A"}, "onSite": "True"}
		a := s.do(t, "okta", http.MethodPost, "/Users", doc).want(t, http.StatusCreated)
		id := a.str("id")
		for path, want := range map[string]string{
			"costUnit": `["North"]`, "badge": "7", "desk.building": `"A"`, "onSite": "true",
		} {
			if got := jsonText(a.get(acmeUser + "|" + path)); got != want {
				t.Errorf("created: %s = %s, want %s", path, got, want)
			}
		}
		if !strings.Contains(jsonText(a.get("schemas")), acmeUser) {
			t.Errorf("schemas %s", jsonText(a.get("schemas")))
		}
		// Filters name it with its URN, as they must, and without, as some do.
		for filter, want := range map[string]string{
			acmeUser + `:costUnit eq "north"`: "1", acmeUser + `:badge gt 6`: "1", acmeUser + `:desk.building sw "B"`: "0", `onSite eq true`: "1",
		} {
			l := s.do(t, "okta", http.MethodGet, "/Users?filter="+url.QueryEscape(filter), nil).want(t, http.StatusOK)
			if got := jsonText(l.get("totalResults")); got != want {
				t.Errorf("filter %s: %s results, want %s", filter, got, want)
			}
		}
		// PATCH reaches into it; the result is validated.
		s.do(t, "okta", http.MethodPatch, "/Users/"+id, patchOp(
			op("add", acmeUser+":costUnit", []string{"South"}), op("replace", acmeUser+":desk.floor", 3), op("remove", acmeUser+":onSite", nil),
		)).want(t, http.StatusOK)
		a = s.do(t, "okta", http.MethodGet, "/Users/"+id, nil)
		if got := jsonText(a.get(acmeUser)); got != "null" {
			t.Fatalf("a dotted path found %s", got)
		}
		if got := jsonText(a.json.(map[string]any)[acmeUser]); got != `{"badge":7,"costUnit":["North","South"],"desk":{"building":"A","floor":3}}` {
			t.Errorf("patched to %s", got)
		}
		for name, tc := range map[string]struct {
			ops      []map[string]any
			scimType string
		}{
			"immutable":     {[]map[string]any{op("replace", acmeUser+":badge", 8)}, "mutability"},
			"wrong type":    {[]map[string]any{op("replace", acmeUser+":badge", "seven")}, "invalidValue"},
			"required":      {[]map[string]any{op("remove", acmeUser+":badge", nil)}, "mutability"},
			"no attribute":  {[]map[string]any{op("replace", acmeUser+":nope", 1)}, "invalidPath"},
			"undone before": {[]map[string]any{op("replace", "title", "x"), op("replace", acmeUser+":badge", 8)}, "mutability"},
		} {
			got := s.do(t, "okta", http.MethodPatch, "/Users/"+id, patchOp(tc.ops...)).want(t, http.StatusBadRequest)
			if got.str("scimType") != tc.scimType || !strings.Contains(got.str("detail"), acmeUser) {
				t.Errorf("%s: %s", name, got.raw)
			}
		}
		// PUT: an immutable value must be the same, an extension without what it requires is none.
		for badge, status := range map[string]int{"7": http.StatusOK, "8": http.StatusBadRequest} {
			doc := fmt.Sprintf(`{"schemas":[%q,%q],"userName":"ada",%q:{"badge":%s}}`, schema.UserURN, acmeUser, acmeUser, badge)
			s.do(t, "okta", http.MethodPut, "/Users/"+id, doc).want(t, status)
		}
		s.do(t, "okta", http.MethodPost, "/Users", fmt.Sprintf(`{"schemas":[%q],"userName":"b",%q:{"onSite":true}}`, schema.UserURN, acmeUser)).want(t, http.StatusBadRequest)
		s.do(t, "okta", http.MethodPost, "/Users", user("b")).want(t, http.StatusCreated)
		// Groups have one of their own.
		g := groupDoc("Analysts")
		g[acmeGroup] = map[string]any{"owner": "Ada"}
		s.do(t, "okta", http.MethodPost, "/Groups", g).want(t, http.StatusCreated)
		l := s.do(t, "okta", http.MethodGet, "/Groups?filter="+url.QueryEscape(acmeGroup+`:owner eq "Ada" and displayName eq "analysts"`), nil)
		if jsonText(l.get("totalResults")) != "1" {
			t.Errorf("groups by owner: %s", l.raw)
		}
	})
}

// TestExtensions_Discovery: what is declared is listed, and nothing else changes.
func TestExtensions_Discovery(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t), acme(t))
	a := s.do(t, "okta", http.MethodGet, "/Schemas/"+acmeUser, nil).want(t, http.StatusOK)
	for path, want := range map[string]string{
		"id": `"` + acmeUser + `"`, "name": `"AcmeUser"`, "attributes.0.name": `"costUnit"`, "attributes.0.canonicalValues": `["north"]`,
		"attributes.1.mutability": `"immutable"`, "attributes.1.required": "true", "attributes.2.subAttributes.1.type": `"integer"`,
	} {
		if got := jsonText(a.get(path)); got != want {
			t.Errorf("%s = %s, want %s", path, got, want)
		}
	}
	if n := len(s.do(t, "okta", http.MethodGet, "/Schemas", nil).list("Resources")); n < 5 {
		t.Errorf("%d schemas", n)
	}
	for name, urn := range map[string]string{"User": acmeUser, "Group": acmeGroup} {
		rt := s.do(t, "okta", http.MethodGet, "/ResourceTypes/"+name, nil).want(t, http.StatusOK)
		if !strings.Contains(jsonText(rt.get("schemaExtensions")), urn) {
			t.Errorf("%s: %s", name, rt.raw)
		}
	}
}

// TestExtensions_Rules: rules see declared and undeclared attributes by their plain names.
func TestExtensions_Rules(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t), acme(t))
	doc := user("ada")
	doc[acmeUser] = map[string]any{"costUnit": []string{"North", "South"}, "badge": 7, "desk": map[string]any{"building": "A"}}
	s.do(t, "okta", http.MethodPost, "/Users", doc).want(t, http.StatusCreated)
	subjects, err := s.dir.SubjectsByUserName(t.Context(), "ada")
	if err != nil || len(subjects) != 1 {
		t.Fatalf("subjects %v, %v", subjects, err)
	}
	people, err := s.dir.People(t.Context(), subjects)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"costunit": `["North","South"]`, "badge": `["7"]`, "desk.building": `["A"]`} {
		if got := jsonText(people[subjects[0]].Attributes[name]); got != want {
			t.Errorf("%s = %s, want %s", name, got, want)
		}
	}
}

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
