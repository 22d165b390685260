package scim_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/scim"
)

// bulkOp is one operation of a bulk request; data may be nil, more are further members and their values.
func bulkOp(method, path string, data any, more ...string) map[string]any {
	o := map[string]any{"method": method, "path": path}
	if data != nil {
		o["data"] = data
	}
	for i := 0; i+1 < len(more); i += 2 {
		o[more[i]] = more[i+1]
	}
	return o
}

// bulkRequest is the message of operations.
func bulkRequest(ops ...map[string]any) map[string]any {
	return map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:BulkRequest"}, "Operations": ops}
}

// bulk sends operations and returns the results.
func (s *server) bulk(tb testing.TB, source string, ops ...map[string]any) answer {
	tb.Helper()
	a := s.do(tb, source, http.MethodPost, "/Bulk", bulkRequest(ops...)).want(tb, http.StatusOK)
	if got := a.get("schemas.0"); got != "urn:ietf:params:scim:api:messages:2.0:BulkResponse" {
		tb.Errorf("schemas %v", got)
	}
	return a
}

// statuses are the statuses of the results, in order.
func (a answer) statuses() string {
	var out []string
	for i := range a.list("Operations") {
		out = append(out, a.str(fmt.Sprintf("Operations.%d.status", i)))
	}
	return strings.Join(out, " ")
}

// idOf is the id at the end of the location of a result.
func (a answer) idOf(i int) string {
	location := a.str(fmt.Sprintf("Operations.%d.location", i))
	return location[strings.LastIndexByte(location, '/')+1:]
}

func groupDoc(name string, members ...string) map[string]any {
	doc := map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:Group"}, "displayName": name}
	if len(members) > 0 {
		doc["members"] = values(members...)
	}
	return doc
}

func TestBulk(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := newServer(t, db)
		bob := s.createUser(t, "okta", "bob")
		a := s.bulk(t, "okta",
			bulkOp("POST", "/Groups", groupDoc("Analysts", "bulkId:ada", bob), "bulkId", "g"),
			bulkOp("POST", "/Users", user("ada"), "bulkId", "ada"),
			bulkOp("PATCH", "/Users/"+bob, patchOp(op("replace", "active", false)), "version", `W/"1"`),
			bulkOp("PUT", "/Users/bulkId:ada", user("ada", "title", "Countess")),
			bulkOp("POST", "/Users", user("BOB"), "bulkId", "twice"),
			bulkOp("DELETE", "/Users/"+bob, nil, "version", `W/"1"`),
			bulkOp("GET", "/Users/"+bob, nil),
		)
		if got := a.statuses(); got != "201 201 200 200 409 412 400" {
			t.Fatalf("statuses %s\n%s", got, a.raw)
		}
		ada := a.idOf(1)
		for i, want := range map[int][3]string{
			0: {"POST", "http://scim.example/scim/v2/Groups/" + a.idOf(0), `W/"1"`},
			1: {"POST", "http://scim.example/scim/v2/Users/" + ada, `W/"1"`},
			2: {"PATCH", "http://scim.example/scim/v2/Users/" + bob, `W/"2"`},
			3: {"PUT", "http://scim.example/scim/v2/Users/" + ada, `W/"2"`},
			4: {"POST", "", ""},
			5: {"DELETE", "http://scim.example/scim/v2/Users/" + bob, ""},
		} {
			at := fmt.Sprintf("Operations.%d.", i)
			if got := [3]string{a.str(at + "method"), a.str(at + "location"), a.str(at + "version")}; got != want {
				t.Errorf("result %d: %v, want %v", i, got, want)
			}
		}
		if got := a.str("Operations.4.response.scimType"); got != "uniqueness" || a.str("Operations.4.response.status") != "409" {
			t.Errorf("response of the duplicate: %s", a.raw)
		}
		if a.str("Operations.4.bulkId") != "twice" || a.get("Operations.0.response") != nil {
			t.Errorf("bulkId and response: %s", a.raw)
		}
		group := s.do(t, "okta", http.MethodGet, "/Groups/"+a.idOf(0), nil).want(t, http.StatusOK)
		if len(group.list("members")) != 2 || !strings.Contains(group.raw, ada) {
			t.Errorf("group %s", group.raw)
		}
		if u := s.do(t, "okta", http.MethodGet, "/Users/"+bob, nil); u.get("active") != false {
			t.Errorf("bob %s", u.raw)
		}
		if n := value(t, s, "scim_bridge_scim_errors_total", "idp", "okta", "scim_type", "uniqueness", "status", "409"); n != 1 {
			t.Errorf("%v uniqueness errors are counted", n)
		}
		if n := value(t, s, "scim_bridge_http_requests_total", "idp", "okta", "resource", "bulk", "code", "200"); n != 1 {
			t.Errorf("%v bulk requests are counted", n)
		}
	})
}

// TestBulk_Circles holds B04 on the store: members of each other, and managers.
func TestBulk_Circles(t *testing.T) {
	manages := func(userName, manager string) map[string]any {
		doc := user(userName)
		doc["schemas"] = append(doc["schemas"].([]string), enterpriseURN)
		doc[enterpriseURN] = map[string]any{"manager": map[string]any{"value": manager}}
		return doc
	}
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := newServer(t, db)
		for _, source := range []string{"okta", "strict"} {
			a := s.bulk(t, source,
				bulkOp("POST", "/Groups", groupDoc("one of "+source, "bulkId:2"), "bulkId", "1"),
				bulkOp("POST", "/Groups", groupDoc("two of "+source, "bulkId:1", "bulkId:u"), "bulkId", "2"),
				bulkOp("POST", "/Users", manages("u of "+source, "bulkId:v"), "bulkId", "u"),
				bulkOp("POST", "/Users", manages("v of "+source, "bulkId:u"), "bulkId", "v"),
			)
			if got := a.statuses(); got != "201 201 201 201" {
				t.Fatalf("%s: statuses %s\n%s", source, got, a.raw)
			}
			for i, j := range []int{1, 0} {
				g := s.do(t, source, http.MethodGet, "/Groups/"+a.idOf(i), nil).want(t, http.StatusOK)
				if !strings.Contains(jsonText(g.get("members")), a.idOf(j)) {
					t.Errorf("%s: group %d: %s", source, i, g.raw)
				}
				if v := a.str(fmt.Sprintf("Operations.%d.version", i)); v != g.str("meta.version") {
					t.Errorf("%s: group %d: version %s in the result, %s in the group", source, i, v, g.str("meta.version"))
				}
			}
			for i, j := range map[int]int{2: 3, 3: 2} {
				u := s.do(t, source, http.MethodGet, "/Users/"+a.idOf(i), nil).want(t, http.StatusOK)
				if u.get(enterpriseURN+"|manager.value") != a.idOf(j) {
					t.Errorf("%s: user %d: %s", source, i, u.raw)
				}
			}
		}
		// What cannot be resolved leaves nothing behind, not even for a moment that lasts.
		a := s.bulk(t, "okta",
			bulkOp("POST", "/Groups", groupDoc("half", "bulkId:b"), "bulkId", "a"),
			bulkOp("POST", "/Groups", groupDoc("ONE OF OKTA", "bulkId:a"), "bulkId", "b"),
			bulkOp("POST", "/Users", user("bulkId:self"), "bulkId", "self"),
		)
		if got := a.statuses(); got != "409 409 409" || !strings.Contains(a.str("Operations.2.response.detail"), "bulkId:self cannot be resolved") {
			t.Errorf("statuses %s\n%s", got, a.raw)
		}
		if l := s.do(t, "okta", http.MethodGet, "/Groups?filter=displayName+eq+%22half%22", nil); jsonText(l.get("totalResults")) != "0" {
			t.Errorf("left behind: %s", l.raw)
		}
	})
}

func TestBulk_Refused(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t), func(o *scim.Options) { o.Limits.Operations = 3 })
	one := bulkOp("DELETE", "/Users/0", nil)
	for name, tc := range map[string]struct {
		body   any
		status int
		detail string
	}{
		"no message":          {user("a"), http.StatusBadRequest, "BulkRequest is missing"},
		"no operations":       {bulkRequest(), http.StatusBadRequest, "a list of operations is expected"},
		"too many operations": {bulkRequest(one, one, one, one), http.StatusRequestEntityTooLarge, "a bulk request may have at most 3 operations"},
		"too large":           {`{"a":"` + strings.Repeat("x", 1<<20) + `"}`, http.StatusRequestEntityTooLarge, "1048576 bytes"},
		"no JSON":             {`{"a":`, http.StatusBadRequest, "ends too early"},
	} {
		a := s.do(t, "okta", http.MethodPost, "/Bulk", tc.body).want(t, tc.status)
		if !strings.Contains(a.str("detail"), tc.detail) {
			t.Errorf("%s: detail %q", name, a.str("detail"))
		}
	}
	s.do(t, "okta", http.MethodGet, "/Bulk", nil).want(t, http.StatusMethodNotAllowed)
	s.do(t, "", http.MethodPost, "/Bulk", bulkRequest(one)).want(t, http.StatusUnauthorized)
	// Limits hold for the operations as well.
	many := make([]map[string]any, 4)
	for i := range many {
		many[i] = op("replace", "title", "x")
	}
	a := s.bulk(t, "okta", bulkOp("PATCH", "/Users/"+s.createUser(t, "okta", "ada"), patchOp(many...)))
	if a.statuses() != "413" || !strings.Contains(a.raw, "a PATCH may have at most 3 operations") {
		t.Errorf("PATCH of 4: %s", a.raw)
	}
}

// TestBulk_Large creates a thousand users and a group of them all, in one request.
func TestBulk_Large(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t))
	ops := []map[string]any{nil}
	var refs []string
	for i := range 999 {
		id := fmt.Sprintf("u%d", i)
		refs = append(refs, "bulkId:"+id)
		ops = append(ops, bulkOp("POST", "/Users", user(id), "bulkId", id))
	}
	ops[0] = bulkOp("POST", "/Groups", groupDoc("all", refs...), "bulkId", "all")
	a := s.bulk(t, "okta", ops...)
	if got := a.statuses(); got != strings.TrimSpace(strings.Repeat("201 ", 1000)) {
		t.Fatalf("statuses %s", got)
	}
	if g := s.do(t, "okta", http.MethodGet, "/Groups/"+a.idOf(0), nil); len(g.list("members")) != 999 {
		t.Errorf("%d members", len(g.list("members")))
	}
}
