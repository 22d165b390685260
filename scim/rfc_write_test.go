package scim_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

var putLines = map[string]line{
	"U01": func(t *testing.T, c *client) {
		path, _ := c.create(t, "/Users", person("u01", "title", "Boss", "emails", []any{object{"value": "a@x"}}, enterpriseURN, object{"department": "Eng"}))
		a := c.do(t, http.MethodPut, path, person("u01", "nickName", "U", "active", true)).want(t, http.StatusOK)
		equal(t, "answer", c.get(t, path).json, a.json)
		if a.get("title") != nil || a.get("emails") != nil || a.str("nickName") != "U" || strings.Contains(a.raw, "Eng") {
			t.Error(a.raw)
		}
		equal(t, "schemas", a.get("schemas"), []string{userURN})
	},
	"U02": func(t *testing.T, c *client) {
		path, before := c.create(t, "/Users", person("u02"))
		a := c.do(t, http.MethodPut, path, person("u02", "active", true, "id", "mine", "meta", object{"created": "2001-01-01T00:00:00Z"}, "groups", []any{object{"value": "g"}})).want(t, http.StatusOK)
		equal(t, "id, created, groups", []any{a.get("id"), a.get("meta.created"), a.get("groups")}, []any{before.get("id"), before.get("meta.created"), nil})
	},
	"U03": func(t *testing.T, c *client) {
		c.do(t, http.MethodPut, "/Users/00000000-0000-0000-0000-000000000000", person("u03")).want(t, http.StatusNotFound)
		c.do(t, http.MethodPut, "/Users", person("u03")).want(t, http.StatusMethodNotAllowed)
		equal(t, "created", c.get(t, "/Users?filter=userName+eq+%22u03%22").get("totalResults"), 0)
	},
	"U04": func(t *testing.T, c *client) {
		path, before := c.create(t, "/Users", person("u04"))
		a := c.do(t, http.MethodPut, path, object{"schemas": []string{userURN}, "title": "x"}).want(t, http.StatusBadRequest)
		equal(t, "scimType", a.get("scimType"), "invalidValue")
		equal(t, "user", c.get(t, path).json, before.json)
	},
	"U05": func(t *testing.T, c *client) {
		c.create(t, "/Users", person("u05 taken"))
		path, _ := c.create(t, "/Users", person("u05"))
		a := c.do(t, http.MethodPut, path, person("U05 TAKEN")).want(t, http.StatusConflict)
		equal(t, "scimType", a.get("scimType"), "uniqueness")
		c.do(t, http.MethodPut, path, person("U05")).want(t, http.StatusOK)
	},
	"U06": func(t *testing.T, c *client) {
		_, one := c.create(t, "/Users", person("u06 1"))
		_, two := c.create(t, "/Users", person("u06 2"))
		path, _ := c.create(t, "/Groups", groupDoc("u06", one.str("id")))
		a := c.do(t, http.MethodPut, path, groupDoc("u06", two.str("id"))).want(t, http.StatusOK)
		equal(t, "members", []any{len(a.list("members")), a.get("members.0.value")}, []any{1, two.get("id")})
		a = c.do(t, http.MethodPut, path, groupDoc("u06")).want(t, http.StatusOK)
		equal(t, "members", len(a.list("members")), 0)
	},
}

var deleteLines = map[string]line{
	"L01": func(t *testing.T, c *client) {
		for endpoint, doc := range map[string]object{"/Users": person("l01"), "/Groups": groupDoc("l01")} {
			path, _ := c.create(t, endpoint, doc)
			if a := c.do(t, http.MethodDelete, path, nil).want(t, http.StatusNoContent); a.raw != "" {
				t.Errorf("a body: %s", a.raw)
			}
			for method, body := range map[string]any{
				http.MethodGet: nil, http.MethodPut: doc, http.MethodPatch: patchOp(op("replace", "displayName", "x")), http.MethodDelete: nil,
			} {
				c.do(t, method, path, body).want(t, http.StatusNotFound)
			}
		}
	},
	"L02": func(t *testing.T, c *client) {
		path, before := c.create(t, "/Users", person("l02", "externalId", "L02"))
		c.do(t, http.MethodDelete, path, nil).want(t, http.StatusNoContent)
		equal(t, "listed", c.get(t, "/Users?filter=userName+eq+%22l02%22").get("totalResults"), 0)
		_, again := c.create(t, "/Users", person("l02", "externalId", "L02"))
		if before.get("id") == again.get("id") {
			t.Error("an id is used again")
		}
	},
	"L03": func(t *testing.T, c *client) {
		member, m := c.create(t, "/Users", person("l03"))
		path, _ := c.create(t, "/Groups", groupDoc("l03", m.str("id")))
		c.do(t, http.MethodDelete, member, nil).want(t, http.StatusNoContent)
		equal(t, "members", len(c.get(t, path).list("members")), 0)
	},
}

// bulk sends operations; the answer must be 200.
func (c *client) bulk(t *testing.T, request object) answer {
	t.Helper()
	return c.do(t, http.MethodPost, "/Bulk", request).want(t, http.StatusOK)
}

var bulkLines = map[string]line{
	"B01": func(t *testing.T, c *client) {
		equal(t, "announced", c.get(t, "/ServiceProviderConfig").get("bulk.supported"), true)
		a := c.bulk(t, bulkRequest(bulkOp("POST", "/Users", person("b01"), "bulkId", "1")))
		equal(t, "schemas", a.get("schemas"), []string{"urn:ietf:params:scim:api:messages:2.0:BulkResponse"})
	},
	"B02": func(t *testing.T, c *client) {
		one, _ := c.create(t, "/Users", person("b02 1"))
		two, _ := c.create(t, "/Users", person("b02 2"))
		a := c.bulk(t, bulkRequest(
			bulkOp("POST", "/Users", person("b02 3"), "bulkId", "new"),
			bulkOp("PUT", one, person("b02 1", "title", "x")),
			bulkOp("PATCH", one, patchOp(op("replace", "title", "y"))),
			bulkOp("DELETE", two, nil),
		))
		methods := []string{"POST", "PUT", "PATCH", "DELETE"}
		for i, method := range methods {
			at := fmt.Sprintf("Operations.%d.", i)
			equal(t, at+"method", a.get(at+"method"), method)
			if location := a.str(at + "location"); !strings.HasPrefix(location, c.base+"/Users/") {
				t.Errorf("%slocation %q", at, location)
			}
		}
		equal(t, "bulkId", a.get("Operations.0.bulkId"), "new")
		if got := a.statuses(); got != "201 200 200 204" && got != "201 200 204 204" {
			t.Errorf("statuses %s", got)
		}
		equal(t, "title", c.get(t, one).get("title"), "y")
	},
	"B03": func(t *testing.T, c *client) {
		a := c.bulk(t, bulkRequest(
			bulkOp("POST", "/Users", person("b03"), "bulkId", "u"),
			bulkOp("POST", "/Groups", groupDoc("b03", "bulkId:u"), "bulkId", "g"),
		))
		equal(t, "statuses", a.statuses(), "201 201")
		equal(t, "member", c.get(t, a.str("Operations.1.location")).get("members.0.value"), a.idOf(0))
	},
	"B04": func(t *testing.T, c *client) {
		a := c.bulk(t, bulkRequest(
			bulkOp("POST", "/Groups", groupDoc("b04 a", "bulkId:b"), "bulkId", "a"),
			bulkOp("POST", "/Groups", groupDoc("b04 b", "bulkId:a"), "bulkId", "b"),
		))
		equal(t, "statuses", a.statuses(), "201 201")
		for i := range 2 {
			equal(t, "member", c.get(t, a.str(fmt.Sprintf("Operations.%d.location", i))).get("members.0.value"), a.idOf(1-i))
		}
	},
	"B05": func(t *testing.T, c *client) {
		request := bulkRequest(bulkOp("DELETE", "/Users/none", nil), bulkOp("POST", "/Users", person("b05"), "bulkId", "1"))
		request["failOnErrors"] = 1
		a := c.bulk(t, request)
		equal(t, "results", len(a.list("Operations")), 1)
		equal(t, "created", c.get(t, "/Users?filter=userName+eq+%22b05%22").get("totalResults"), 0)
	},
	"B06": func(t *testing.T, c *client) {
		config := c.get(t, "/ServiceProviderConfig")
		equal(t, "announced", config.get("bulk.maxOperations"), 1000)
		a := c.do(t, http.MethodPost, "/Bulk", bulkRequest(slices.Repeat([]map[string]any{bulkOp("DELETE", "/Users/none", nil)}, 1001)...)).want(t, http.StatusRequestEntityTooLarge)
		if !strings.Contains(a.str("detail"), "1000") {
			t.Error(a.raw)
		}
		large := `{"a":"` + strings.Repeat("x", 1<<20) + `"}`
		equal(t, "announced", config.get("bulk.maxPayloadSize"), 1<<20)
		c.do(t, http.MethodPost, "/Bulk", large).want(t, http.StatusRequestEntityTooLarge)
	},
	"B07": func(t *testing.T, c *client) {
		a := c.bulk(t, bulkRequest(
			bulkOp("POST", "/Users", object{"schemas": []string{userURN}}, "bulkId", "bad"),
			bulkOp("POST", "/Groups", groupDoc("b07", "bulkId:none"), "bulkId", "lost"),
		))
		equal(t, "statuses", a.statuses(), "400 409")
		for i := range 2 {
			at := fmt.Sprintf("Operations.%d.response.", i)
			equal(t, at+"schemas", a.get(at+"schemas"), []string{"urn:ietf:params:scim:api:messages:2.0:Error"})
			if a.str(at+"detail") == "" {
				t.Error(a.raw)
			}
		}
		equal(t, "created", c.get(t, "/Groups?filter=displayName+eq+%22b07%22").get("totalResults"), 0)
	},
	"B08": func(t *testing.T, c *client) {
		// Bulk is supported: the line holds when what is announced is what happens.
		supported := c.get(t, "/ServiceProviderConfig").get("bulk.supported") == true
		a := c.do(t, http.MethodPost, "/Bulk", object{})
		if refused := a.status == http.StatusNotImplemented || a.status == http.StatusNotFound; refused == supported {
			t.Errorf("supported %v, answered %d", supported, a.status)
		}
	},
}

var etagLines = map[string]line{
	"E01": func(t *testing.T, c *client) {
		equal(t, "announced", c.get(t, "/ServiceProviderConfig").get("etag.supported"), true)
	},
	"E02": func(t *testing.T, c *client) {
		path, a := c.create(t, "/Users", person("e02"))
		equal(t, "ETag", a.header.Get("ETag"), a.get("meta.version"))
		b := c.patch(t, path, op("replace", "title", "x"))
		equal(t, "ETag", b.header.Get("ETag"), b.get("meta.version"))
		if a.get("meta.version") == b.get("meta.version") || !strings.HasPrefix(b.str("meta.version"), `W/"`) {
			t.Errorf("versions %v and %v", a.get("meta.version"), b.get("meta.version"))
		}
	},
	"E03": func(t *testing.T, c *client) {
		path, a := c.create(t, "/Users", person("e03"))
		b := c.patch(t, path, op("replace", "title", "x"))
		for method, body := range map[string]any{
			http.MethodPut: person("e03", "title", "y"), http.MethodPatch: patchOp(op("replace", "title", "y")), http.MethodDelete: nil,
		} {
			c.do(t, method, path, body, "If-Match", a.str("meta.version")).want(t, http.StatusPreconditionFailed)
		}
		equal(t, "user", c.get(t, path).json, b.json)
	},
	"E04": func(t *testing.T, c *client) {
		path, a := c.create(t, "/Users", person("e04"))
		a = c.do(t, http.MethodPut, path, person("e04", "title", "y"), "If-Match", a.str("meta.version")).want(t, http.StatusOK)
		c.do(t, http.MethodPatch, path+"?attributes=id", patchOp(op("replace", "title", "z")), "If-Match", a.str("meta.version")).want(t, http.StatusOK)
		c.do(t, http.MethodDelete, path, nil, "If-Match", "*").want(t, http.StatusNoContent)
	},
	"E05": func(t *testing.T, c *client) {
		path, a := c.create(t, "/Users", person("e05"))
		b := c.do(t, http.MethodGet, path, nil, "If-None-Match", a.str("meta.version")).want(t, http.StatusNotModified)
		equal(t, "ETag", b.header.Get("ETag"), a.get("meta.version"))
		c.patch(t, path, op("replace", "title", "x"))
		c.do(t, http.MethodGet, path, nil, "If-None-Match", a.str("meta.version")).want(t, http.StatusOK)
	},
}

var robustLines = map[string]line{
	"M01": func(t *testing.T, c *client) {
		if a := c.do(t, http.MethodGet, "/Me", nil); !slices.Contains([]int{http.StatusOK, http.StatusPermanentRedirect, http.StatusNotImplemented}, a.status) {
			t.Errorf("status %d", a.status)
		}
	},
	"M02": func(t *testing.T, c *client) {
		for _, path := range []string{"/Nothing", "/Users/a/b", "/Devices", "/Users/a/b/c"} {
			a := c.do(t, http.MethodGet, path, nil).want(t, http.StatusNotFound)
			equal(t, "status", a.get("status"), "404")
		}
		if c.source == "strict" { // the others understand it
			c.do(t, http.MethodGet, "/users", nil).want(t, http.StatusNotFound)
		}
	},
	"M03": func(t *testing.T, c *client) {
		path, _ := c.create(t, "/Users", person("m03"))
		for _, p := range []string{"/Users", "/Users/", "/Groups"} {
			a := c.do(t, http.MethodDelete, p, nil).want(t, http.StatusMethodNotAllowed)
			if !strings.Contains(a.header.Get("Allow"), "GET") {
				t.Errorf("Allow %q", a.header.Get("Allow"))
			}
		}
		c.get(t, path)
	},
	"M04": func(t *testing.T, c *client) { // read compares the form of every error
		a := c.do(t, http.MethodGet, "/Users/none", nil).want(t, http.StatusNotFound)
		if _, ok := a.get("status").(string); !ok || a.str("detail") == "" {
			t.Error(a.raw)
		}
	},
	"M05": func(t *testing.T, c *client) {
		for _, name := range []string{"access_token", "token", "bearer_token"} {
			c.do(t, http.MethodGet, "/Users?"+name+"="+c.token, nil, "Authorization", "").want(t, http.StatusUnauthorized)
		}
	},
	"M06": func(t *testing.T, c *client) {
		deep := `{"schemas":["` + userURN + `"],"userName":"m06","x":` + strings.Repeat(`{"a":`, 2000) + "1" + strings.Repeat("}", 2001)
		a := c.do(t, http.MethodPost, "/Users", deep).want(t, http.StatusBadRequest)
		if !strings.Contains(a.str("detail"), "32 levels") {
			t.Error(a.raw)
		}
		a = c.do(t, http.MethodPost, "/Users", person("m06", "title", strings.Repeat("x", 1<<20))).want(t, http.StatusRequestEntityTooLarge)
		if !strings.Contains(a.str("detail"), "1048576 bytes") {
			t.Error(a.raw)
		}
		parentheses := strings.Repeat("(", 10000) + "title+pr" + strings.Repeat(")", 10000)
		a = c.do(t, http.MethodGet, "/Users?filter="+parentheses, nil).want(t, http.StatusBadRequest)
		equal(t, "scimType", a.get("scimType"), "invalidFilter")
		equal(t, "created", c.get(t, "/Users?filter=userName+eq+%22m06%22").get("totalResults"), 0)
	},
}
