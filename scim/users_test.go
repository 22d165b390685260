package scim_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/scim"
)

const (
	userURN       = "urn:ietf:params:scim:schemas:core:2.0:User"
	groupURN      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	enterpriseURN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
)

// user is a document of a user with more attributes: name, value, name, value.
func user(userName string, more ...any) map[string]any {
	doc := map[string]any{"schemas": []string{userURN}, "userName": userName}
	for i := 0; i+1 < len(more); i += 2 {
		name, _ := more[i].(string)
		doc[name] = more[i+1]
	}
	return doc
}

// Names in the tests below refer to the checklist of RFC 7643 and RFC 7644 behaviours: C01 and so on.

func TestUsers_Create(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := newServer(t, db)
		a := s.do(t, "okta", http.MethodPost, "/Users", user("Ada@example.org", "id", "mine", "meta", map[string]any{"created": "0001-01-01T00:00:00Z"},
			"groups", []any{}, "password", "x9Kq2!vTz0Lm", "emails", []any{map[string]any{"value": "ada@example.org", "type": "own-type"}},
			"photos", []any{}, "title", nil, enterpriseURN, map[string]any{"department": "Engines"}, "favouriteColour", "blue")).want(t, http.StatusCreated)
		id := a.str("id")
		for path, want := range map[string]any{
			"userName": "Ada@example.org", "active": true, "meta.resourceType": "User", "meta.version": `W/"1"`,
			"meta.location": "http://scim.example/scim/v2/Users/" + id, "emails.0.type": "own-type", enterpriseURN + "|department": "Engines",
			"password": nil, "title": nil, "photos": nil, "groups": nil, "favouriteColour": "blue",
		} {
			if got := lookup(a.json, path); got != want {
				t.Errorf("%s = %v, want %v", path, got, want)
			}
		}
		if id == "mine" || id == "" || strings.Contains(id, "bulkId") { // C03
			t.Errorf("id %q", id)
		}
		if strings.HasPrefix(a.str("meta.created"), "0001") {
			t.Error("meta of the client was kept")
		}
		if got := a.list("schemas"); !slices.Contains(got, any(enterpriseURN)) { // C15
			t.Errorf("schemas %v", got)
		}
		if got := a.header.Get("Location"); got != a.str("meta.location") { // C02
			t.Errorf("Location %q", got)
		}
		if got := a.header.Get("ETag"); got != `W/"1"` { // E02
			t.Errorf("ETag %q", got)
		}
		again := s.do(t, "okta", http.MethodGet, "/Users/"+id, nil).want(t, http.StatusOK)
		if again.raw != a.raw {
			t.Errorf("what POST answered\n%s\nis not what GET answers\n%s", a.raw, again.raw)
		}
	})
}

func TestUsers_CreateRefused(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t))
	s.createUser(t, "okta", "ada@example.org", "externalId", "00u1")
	deep := strings.Repeat(`{"a":`, 2000) + "1" + strings.Repeat("}", 2000)
	for name, c := range map[string]struct {
		body     any
		status   int
		scimType string
		detail   string
	}{
		"C04 same userName":       {user("ada@example.org"), 409, "uniqueness", "ada@example.org"},
		"C05 in another case":     {user("ADA@example.org"), 409, "uniqueness", "userName"},
		"same externalId":         {user("bob@example.org", "externalId", "00u1"), 409, "uniqueness", "externalId"},
		"C06 no userName":         {user("", "displayName", "Ada"), 400, "invalidValue", "userName"},
		"C08 malformed":           {`{"schemas":[`, 400, "invalidSyntax", ""},
		"no body":                 {"", 400, "invalidSyntax", ""},
		"a list":                  {"[]", 400, "invalidSyntax", ""},
		"twice the same key":      {`{"schemas":["` + userURN + `"],"userName":"a","userName":"b"}`, 400, "invalidSyntax", ""},
		"C12 wrong type":          {user("bob", "name", 17), 400, "invalidValue", "name"},
		"C12 userName not text":   {`{"schemas":["` + userURN + `"],"userName":17}`, 400, "invalidValue", "userName"},
		"active that is no bool":  {user("bob", "active", "perhaps"), 400, "invalidValue", "active"},
		"M06 nested deep":         {`{"schemas":["` + userURN + `"],"userName":"x","a":` + deep + `}`, 400, "invalidSyntax", ""},
		"NUL":                     {`{"schemas":["` + userURN + `"],"userName":"a\u0000b"}`, 400, "invalidSyntax", ""},
		"invalid UTF-8":           {"{\"schemas\":[\"" + userURN + "\"],\"userName\":\"\xff\"}", 400, "invalidSyntax", ""},
		"an externalId of 4 kB":   {user("bob", "externalId", strings.Repeat("ä", 2048)), 400, "invalidValue", "externalId: a text of 4096 bytes; at most 1024"},
		"a body of more than 1 M": {user("big", "title", strings.Repeat("x", 1<<20)), 413, "tooMany", "1048576"},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.do(t, "okta", http.MethodPost, "/Users", c.body).want(t, c.status)
			if a.str("scimType") != c.scimType || !strings.Contains(a.str("detail"), c.detail) {
				t.Errorf("scimType %q, detail %q; want %q and %q in it", a.str("scimType"), a.str("detail"), c.scimType, c.detail)
			}
		})
	}
	if n := jsonText(s.do(t, "okta", http.MethodGet, "/Users?count=0", nil).get("totalResults")); n != "1" {
		t.Errorf("%s users after nothing but refusals, want 1", n)
	}
}

func TestUsers_TolerantBodies(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t))
	for name, body := range map[string]any{
		"names in any case (C11)": map[string]any{"SCHEMAS": []string{userURN}, "USERNAME": "case", "DisplayName": "x"},
		"no schemas":              map[string]any{"userName": "bare"},
		"string boolean":          user("string", "active", "False"),
		"emails as one object":    user("one", "emails", map[string]any{"value": "one@example.org"}),
		"numbers as externalId":   user("numeric", "externalId", "1"),
		"empty externalId":        user("none", "externalId", ""),
		"long externalId":         user("long", "externalId", strings.Repeat("ä", 512)),
		"a 900 kB title":          user("large", "title", strings.Repeat("x", 900_000)),
		"unknown schema":          user("unknown", "schemas", []string{userURN, "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/User"}),
	} {
		t.Run(name, func(t *testing.T) {
			a := s.do(t, "okta", http.MethodPost, "/Users", body, "Content-Type", "application/json; charset=utf-8").want(t, http.StatusCreated)
			b := s.do(t, "okta", http.MethodGet, "/Users/"+a.str("id"), nil, "Accept", "application/json").want(t, http.StatusOK)
			if a.raw != b.raw {
				t.Errorf("POST answered\n%.300s\nGET answers\n%.300s", a.raw, b.raw)
			}
		})
	}
	if got := s.do(t, "okta", http.MethodGet, `/Users?filter=userName+eq+"string"`, nil).get("Resources.0.active"); got != false {
		t.Errorf("active %v, want false", got)
	}
}

func TestUsers_Put(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := newServer(t, db)
		created := s.do(t, "okta", http.MethodPost, "/Users", user("ada", "title", "Countess", "emails", []any{map[string]any{"value": "a@b.c"}})).want(t, http.StatusCreated)
		id := created.str("id")
		s.createUser(t, "okta", "bob")

		a := s.do(t, "okta", http.MethodPut, "/Users/"+id, user("ada", "displayName", "Ada", "id", "other", "meta", map[string]any{"created": "x"})).want(t, http.StatusOK)
		if a.get("title") != nil || a.get("emails") != nil || a.str("displayName") != "Ada" { // U01
			t.Errorf("PUT did not replace: %s", a.raw)
		}
		if a.str("id") != id || a.str("meta.created") != created.str("meta.created") { // U02
			t.Errorf("read-only attributes changed: %s", a.raw)
		}
		if a.str("meta.version") != `W/"2"` || a.str("meta.lastModified") <= created.str("meta.lastModified") {
			t.Errorf("version %s, lastModified %s", a.str("meta.version"), a.str("meta.lastModified"))
		}
		same := s.do(t, "okta", http.MethodPut, "/Users/"+id, user("ada", "displayName", "Ada")).want(t, http.StatusOK)
		if same.raw != a.raw {
			t.Error("a PUT that changes nothing changed something")
		}
		s.do(t, "okta", http.MethodPut, "/Users/"+id, user("ADA", "displayName", "Ada")).want(t, http.StatusOK) // U05, own name
		s.do(t, "okta", http.MethodPut, "/Users/"+id, user("BOB")).want(t, http.StatusConflict)                 // U05
		s.do(t, "okta", http.MethodPut, "/Users/"+id, map[string]any{"schemas": []string{userURN}}).want(t, http.StatusBadRequest)
		s.do(t, "okta", http.MethodPut, "/Users/00000000-0000-7000-8000-000000000000", user("x")).want(t, http.StatusNotFound) // U03
	})
}

// TestUsers_PutWithoutActive checks that a client which leaves out what is false never brings a leaver back.
func TestUsers_PutWithoutActive(t *testing.T) {
	for _, source := range []string{"okta", "entra", "strict"} {
		s := newServer(t, databasetest.SQLite(t))
		id := s.do(t, source, http.MethodPost, "/Users", user("ada", "active", false)).want(t, http.StatusCreated).str("id")
		if a := s.do(t, source, http.MethodPut, "/Users/"+id, user("ada", "title", "Countess")).want(t, http.StatusOK); a.get("active") != false {
			t.Errorf("%s: active %v after a PUT that did not say", source, a.get("active"))
		}
		if n := value(t, s, "scim_bridge_compat_fixups_total", "idp", source, "kind", "put_without_active"); n != 1 {
			t.Errorf("%s: %v fixups counted, want 1", source, n)
		}
		if a := s.do(t, source, http.MethodPut, "/Users/"+id, user("ada", "active", true)).want(t, http.StatusOK); a.get("active") != true {
			t.Errorf("%s: active %v after a PUT that said true", source, a.get("active"))
		}
	}
}

func TestUsers_Patch(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := newServer(t, db)
		created := s.do(t, "okta", http.MethodPost, "/Users", user("ada", "name", map[string]any{"givenName": "Ada", "familyName": "King"},
			"emails", []any{map[string]any{"value": "a@x.net", "type": "work", "primary": true}})).want(t, http.StatusCreated)
		path := "/Users/" + created.str("id")
		s.createUser(t, "okta", "bob")

		for _, c := range []struct {
			name string
			ops  []map[string]any
			at   string
			want any
		}{
			{"PA01", []map[string]any{op("add", "title", "Countess")}, "title", "Countess"},
			{"PA02", []map[string]any{op("add", "", map[string]any{"nickName": "A"})}, "nickName", "A"},
			{"PA03", []map[string]any{op("add", "emails", []any{map[string]any{"value": "b@x.net", "type": "home"}})}, "emails.1.value", "b@x.net"},
			{"PA14", []map[string]any{op("replace", "name", map[string]any{"familyName": "Lovelace"})}, "name.givenName", "Ada"},
			{"PA17", []map[string]any{op("replace", `emails[type eq "work"].value`, "c@x.net")}, "emails.0.value", "c@x.net"},
			{"PA20", []map[string]any{op("add", `phoneNumbers[type eq "work"].value`, "555")}, "phoneNumbers.0.type", "work"},
			{"PA26", []map[string]any{op("add", enterpriseURN+":department", "Engines")}, enterpriseURN + "|department", "Engines"},
			{"PA37", []map[string]any{op("Replace", "active", "False")}, "active", false},
			{"PA38", []map[string]any{op("replace", "", map[string]any{"name.familyName": "King", "active": true})}, "name.familyName", "King"},
			{"PA39", []map[string]any{{"op": "replace", "path": "title", "value": nil}}, "title", nil},
			{"PA07", []map[string]any{op("remove", "nickName", nil)}, "nickName", nil},
		} {
			a := s.do(t, "okta", http.MethodPatch, path, patchOp(c.ops...)).want(t, http.StatusOK)
			if got := lookup(a.json, c.at); got != c.want {
				t.Errorf("%s: %s = %v, want %v", c.name, c.at, got, c.want)
			}
		}
		before := s.do(t, "okta", http.MethodGet, path, nil)
		for name, c := range map[string]struct {
			ops    []map[string]any
			status int
			typ    string
		}{
			"PA08 remove without path":     {[]map[string]any{op("remove", "", nil)}, 400, "noTarget"},
			"PA12 required":                {[]map[string]any{op("remove", "userName", nil)}, 400, ""},
			"PA21 atomic":                  {[]map[string]any{op("replace", "title", "x"), op("replace", "active", "perhaps")}, 400, "invalidValue"},
			"PA22 read-only":               {[]map[string]any{op("replace", "meta.created", "x")}, 400, "mutability"},
			"PA24 malformed path":          {[]map[string]any{op("replace", "emails[type eq", "x")}, 400, "invalidPath"},
			"PA32 no operations":           {nil, 400, "invalidSyntax"},
			"PA41 another's userName":      {[]map[string]any{op("replace", "userName", "BOB")}, 409, "uniqueness"},
			"more operations than allowed": {slices.Repeat([]map[string]any{op("replace", "title", "x")}, 1001), 413, "tooMany"},
		} {
			a := s.do(t, "okta", http.MethodPatch, path, patchOp(c.ops...)).want(t, c.status)
			if c.typ != "" && a.str("scimType") != c.typ {
				t.Errorf("%s: scimType %q, want %q", name, a.str("scimType"), c.typ)
			}
		}
		if after := s.do(t, "okta", http.MethodGet, path, nil); after.raw != before.raw {
			t.Errorf("refused operations left traces:\n%s\n%s", before.raw, after.raw)
		}
		s.do(t, "okta", http.MethodPatch, "/Users/00000000-0000-7000-8000-000000000000", patchOp(op("add", "title", "x"))).want(t, http.StatusNotFound) // PA31

		// PA43: attributes limit the answer, never the store.
		a := s.do(t, "okta", http.MethodPatch, path+"?attributes=userName", patchOp(op("replace", "title", "Dr"))).want(t, http.StatusOK)
		if a.get("emails") != nil || a.str("userName") != "ada" {
			t.Errorf("answer %s", a.raw)
		}
		if after := s.do(t, "okta", http.MethodGet, path, nil); after.get("emails") == nil || after.str("title") != "Dr" {
			t.Errorf("the store lost something: %s", after.raw)
		}
	})
}

func TestUsers_PatchWithoutEffect(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t))
	a := s.do(t, "okta", http.MethodPost, "/Users", user("ada", "title", "Countess")).want(t, http.StatusCreated)
	for _, o := range []map[string]any{op("replace", "title", "Countess"), op("add", "", map[string]any{"active": true}), op("replace", "", map[string]any{"password": "x"})} {
		b := s.do(t, "okta", http.MethodPatch, "/Users/"+a.str("id"), patchOp(o)).want(t, http.StatusOK)
		if b.raw != a.raw {
			t.Errorf("%v changed\n%s\nto\n%s", o, a.raw, b.raw)
		}
	}
}

// TestProfiles checks what a PATCH answers: by profile when the client asks for nothing, 200 when it asks.
func TestProfiles(t *testing.T) {
	for source, want := range map[string]struct{ user, group int }{
		"okta": {200, 204}, "entra": {204, 204}, "strict": {200, 200},
	} {
		t.Run(source, func(t *testing.T) {
			s := newServer(t, databasetest.SQLite(t))
			u, g := "/Users/"+s.createUser(t, source, "ada"), "/Groups/"+s.createGroup(t, source, "Analysts")
			change := patchOp(op("replace", "displayName", "New"))
			if a := s.do(t, source, http.MethodPatch, u, change).want(t, want.user); a.header.Get("ETag") != `W/"2"` {
				t.Errorf("ETag of the user %q", a.header.Get("ETag"))
			}
			if a := s.do(t, source, http.MethodPatch, g, change).want(t, want.group); a.header.Get("ETag") != `W/"2"` {
				t.Errorf("ETag of the group %q", a.header.Get("ETag"))
			}
			s.do(t, source, http.MethodPatch, u+"?attributes=id", change).want(t, http.StatusOK)
			s.do(t, source, http.MethodPatch, g+"?excludedAttributes=members", change).want(t, http.StatusOK)
		})
	}
}

// TestProfiles_Strict checks that the strict profile forgives nothing of what the others do.
func TestProfiles_Strict(t *testing.T) {
	for name, c := range map[string]struct {
		method, path string
		body         any
		strict       int
	}{
		"string boolean":         {http.MethodPost, "/Users", user("x1", "active", "False"), 400},
		"no schemas":             {http.MethodPost, "/Users", map[string]any{"userName": "x2"}, 400},
		"replace of no entry":    {http.MethodPatch, "", patchOp(op("replace", `phoneNumbers[type eq "work"].value`, "5")), 400},
		"dotted key":             {http.MethodPatch, "", patchOp(op("replace", "", map[string]any{"name.familyName": "x"})), 400},
		"word without quotes":    {http.MethodGet, "/Users?filter=userName+eq+ada", nil, 400},
		"sub after value filter": {http.MethodGet, "/Users?filter=emails%5Btype+eq+%22work%22%5D.value+eq+%22x%22", nil, 400},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, databasetest.SQLite(t))
			for source, status := range map[string]int{"strict": c.strict, "okta": 0} {
				path := c.path
				if path == "" {
					path = "/Users/" + s.createUser(t, source, "ada-"+source)
				}
				a := s.do(t, source, c.method, path, c.body)
				if status != 0 && a.status != status || status == 0 && a.status >= 300 {
					t.Errorf("%s: status %d\n%s", source, a.status, a.raw)
				}
			}
		})
	}
}

func TestUsers_Delete(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := newServer(t, db)
		id := s.createUser(t, "okta", "ada", "externalId", "00u1")
		group := s.createGroup(t, "okta", "Analysts", id)
		version := s.do(t, "okta", http.MethodGet, "/Groups/"+group, nil).str("meta.version")
		if a := s.do(t, "okta", http.MethodDelete, "/Users/"+id, nil).want(t, http.StatusNoContent); a.raw != "" {
			t.Errorf("204 with a body %q", a.raw)
		}
		for method, body := range map[string]any{http.MethodGet: nil, http.MethodPut: user("ada"), http.MethodPatch: patchOp(op("add", "title", "x")), http.MethodDelete: nil} {
			s.do(t, "okta", method, "/Users/"+id, body).want(t, http.StatusNotFound) // L01
		}
		if n := jsonText(s.do(t, "okta", http.MethodGet, "/Users", nil).get("totalResults")); n != "0" { // L02
			t.Errorf("%s users", n)
		}
		g := s.do(t, "okta", http.MethodGet, "/Groups/"+group, nil).want(t, http.StatusOK)
		if g.get("members") != nil || g.str("meta.version") == version { // L03
			t.Errorf("group after the deletion: %s", g.raw)
		}
		if again := s.createUser(t, "okta", "ada", "externalId", "00u1"); again == id {
			t.Error("an id was used again")
		}
	})
}

func TestUsers_Projection(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t))
	id := s.do(t, "okta", http.MethodPost, "/Users", user("ada", "title", "Countess", "name", map[string]any{"givenName": "Ada", "familyName": "King"},
		"emails", []any{map[string]any{"value": "a@x.net", "type": "work"}}, enterpriseURN, map[string]any{"department": "E", "division": "D"})).str("id")
	s.createGroup(t, "okta", "Analysts", id)
	for query, names := range map[string][]string{
		"attributes=userName":                                {"id", "schemas", "userName"},                                  // R03
		"attributes=name.familyName":                         {"id", "name", "schemas"},                                      // R04
		"attributes=" + strings.ToUpper(enterpriseURN):       {"id", "schemas", enterpriseURN},                               // R05
		"attributes=" + enterpriseURN + ":department":        {"id", "schemas", enterpriseURN},                               // R05
		"attributes=" + userURN + ":userName,title":          {"id", "schemas", "title", "userName"},                         // R05
		"attributes=groups":                                  {"groups", "id", "schemas"},                                    // C18
		"attributes=password":                                {"id", "schemas"},                                              // C07
		"attributes=nope":                                    {"id", "schemas"},                                              // R08
		"excludedAttributes=emails,name,groups,title,nope":   {"active", "id", "meta", "schemas", enterpriseURN, "userName"}, // R06
		"attributes=userName,title&excludedAttributes=title": {"id", "schemas", "userName"},
	} {
		for _, path := range []string{"/Users/" + id + "?", "/Users?filter=userName+eq+%22ada%22&"} {
			a := s.do(t, "okta", http.MethodGet, path+query, nil).want(t, http.StatusOK)
			doc, _ := a.json.(map[string]any)
			if list := a.list("Resources"); list != nil { // R07
				doc, _ = list[0].(map[string]any)
			}
			var got []string
			for name := range doc {
				got = append(got, name)
			}
			slices.Sort(got)
			want := slices.Sorted(slices.Values(names))
			if !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", query, got, want)
			}
		}
	}
}

func TestUsers_GroupsOfUser(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := newServer(t, db)
		id := s.createUser(t, "okta", "ada")
		odd := "Semi; \u001e \u001f \" group"
		group := s.createGroup(t, "okta", odd, id)
		a := s.do(t, "okta", http.MethodGet, "/Users/"+id, nil).want(t, http.StatusOK)
		if len(a.list("groups")) != 1 || a.str("groups.0.value") != group || a.str("groups.0.$ref") != "http://scim.example/scim/v2/Groups/"+group {
			t.Errorf("groups %v", a.get("groups"))
		}
		if list := s.do(t, "okta", http.MethodGet, "/Users", nil); len(list.list("Resources.0.groups")) != 1 {
			t.Errorf("groups in the list: %s", list.raw)
		}
		// Read-only: what a client says about groups changes nothing.
		s.do(t, "okta", http.MethodPut, "/Users/"+id, user("ada", "groups", []any{})).want(t, http.StatusOK)
		if a := s.do(t, "okta", http.MethodPut, "/Users/"+id, user("ada")); len(a.list("groups")) != 1 {
			t.Errorf("the PUT's answer lacks the group: %s", a.raw)
		}
	})
}

func TestPublicURL(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t), func(o *scim.Options) { o.PublicURL = "https://id.example.com/" })
	a := s.do(t, "okta", http.MethodPost, "/Users", user("ada")).want(t, http.StatusCreated)
	if want := "https://id.example.com/scim/v2/Users/" + a.str("id"); a.header.Get("Location") != want || a.str("meta.location") != want {
		t.Errorf("Location %q, want %q", a.header.Get("Location"), want)
	}
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
			// The second filter is evaluated on documents, which have the label of both.
			for _, filter := range []string{`externalId eq "same"`, `externalId eq "same" or nickName eq "nobody's"`} {
				a := s.do(t, "entra", http.MethodGet, "/Users?filter="+url.QueryEscape(filter), nil).want(t, http.StatusOK)
				equal(t, what+": "+filter, a.names("userName"), []string{want})
			}
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
		for _, filter := range []string{`externalId eq "group"`, `externalId eq "group" or meta.version eq "none"`} {
			l := s.do(t, "entra", http.MethodGet, "/Groups?filter="+url.QueryEscape(filter), nil)
			equal(t, "groups: "+filter, l.names("displayName"), []string{"A"})
		}
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
