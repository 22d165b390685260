package scim_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

var discoveryLines = map[string]line{
	"D01": func(t *testing.T, c *client) {
		a := c.get(t, "/ServiceProviderConfig")
		for _, path := range []string{"patch.supported", "bulk.supported", "filter.supported", "changePassword.supported", "sort.supported", "etag.supported"} {
			if _, ok := a.get(path).(bool); !ok {
				t.Errorf("%s is no boolean: %v", path, a.get(path))
			}
		}
		for _, path := range []string{"bulk.maxOperations", "bulk.maxPayloadSize", "filter.maxResults"} {
			if !matches(a.get(path), "$int") {
				t.Errorf("%s is no integer: %v", path, a.get(path))
			}
		}
		equal(t, "schemas", a.get("schemas"), []string{"urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"})
		for _, path := range []string{"type", "name", "description"} {
			if a.str("authenticationSchemes.0."+path) == "" {
				t.Errorf("authenticationSchemes without %s: %s", path, a.raw)
			}
		}
	},
	"D02": func(t *testing.T, c *client) {
		a := c.get(t, "/Schemas")
		ids := a.names("id")
		if !matches(a.get("schemas"), "$listResponse") || !slices.Contains(ids, userURN) || !slices.Contains(ids, groupURN) {
			t.Error(a.raw)
		}
	},
	"D03": func(t *testing.T, c *client) {
		a := c.get(t, "/Schemas/"+enterpriseURN)
		equal(t, "id", a.get("id"), enterpriseURN)
		if len(a.list("attributes")) == 0 {
			t.Error(a.raw)
		}
	},
	"D04": func(t *testing.T, c *client) {
		a := c.get(t, "/ResourceTypes")
		equal(t, "names", a.names("name"), []string{"User", "Group"})
		equal(t, "endpoints", a.names("endpoint"), []string{"/Users", "/Groups"})
		equal(t, "schemas", a.names("schema"), []string{userURN, groupURN})
	},
	"D05": func(t *testing.T, c *client) {
		equal(t, "endpoint", c.get(t, "/ResourceTypes/User").get("endpoint"), "/Users")
		c.do(t, http.MethodGet, "/ResourceTypes/Device", nil).want(t, http.StatusNotFound)
	},
	"D06": func(t *testing.T, c *client) {
		for _, path := range []string{"/Schemas", "/ResourceTypes", "/ServiceProviderConfig"} {
			c.do(t, http.MethodGet, path+"?filter=id+pr", nil).want(t, http.StatusForbidden)
		}
	},
	"D07": func(t *testing.T, c *client) {
		a := c.get(t, "/Schemas?startIndex=3&count=1&sortBy=name&sortOrder=descending")
		equal(t, "resources", a.names("id"), c.get(t, "/Schemas").names("id"))
		equal(t, "startIndex", a.get("startIndex"), 1)
	},
	"D08": func(t *testing.T, c *client) {
		// A server whose administrator has made discovery public; the others answer 401.
		c.do(t, http.MethodGet, "/ServiceProviderConfig", nil, "Authorization", "").want(t, http.StatusUnauthorized)
	},
	"D09": func(t *testing.T, c *client) {
		for _, path := range []string{"/Schemas", "/ResourceTypes", "/ServiceProviderConfig"} {
			for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
				c.do(t, method, path, object{}).want(t, http.StatusMethodNotAllowed)
			}
		}
	},
}

var authLines = map[string]line{
	"A01": func(t *testing.T, c *client) {
		a := c.do(t, http.MethodGet, "/Users", nil, "Authorization", "").want(t, http.StatusUnauthorized)
		if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("WWW-Authenticate %q", a.header.Get("WWW-Authenticate"))
		}
	},
	"A02": func(t *testing.T, c *client) {
		a := c.do(t, http.MethodGet, "/Users", nil, "Authorization", "Bearer wrong").want(t, http.StatusUnauthorized)
		equal(t, "status", a.get("status"), "401")
	},
}

var createLines = map[string]line{
	"C01": func(t *testing.T, c *client) {
		_, a := c.create(t, "/Users", person("c01", "name", object{"familyName": "One"}))
		equal(t, "userName", a.get("userName"), "c01")
		equal(t, "family name", a.get("name.familyName"), "One")
		equal(t, "meta.resourceType", a.get("meta.resourceType"), "User")
		for _, path := range []string{"id", "meta.created", "meta.lastModified", "meta.location", "meta.version"} {
			if a.str(path) == "" {
				t.Errorf("%s is missing: %s", path, a.raw)
			}
		}
	},
	"C02": func(t *testing.T, c *client) {
		_, a := c.create(t, "/Users", person("c02"))
		equal(t, "Location", a.header.Get("Location"), a.get("meta.location"))
		equal(t, "id", c.get(t, a.header.Get("Location")).get("id"), a.get("id"))
	},
	"C03": func(t *testing.T, c *client) {
		_, a := c.create(t, "/Users", person("c03", "id", "mine", "meta", object{"created": "2001-01-01T00:00:00Z", "location": "x"},
			"groups", []any{object{"value": "g"}}))
		if a.str("id") == "mine" || strings.HasPrefix(a.str("meta.created"), "2001") || a.str("meta.location") == "x" || a.get("groups") != nil {
			t.Error(a.raw)
		}
	},
	"C04": func(t *testing.T, c *client) {
		c.create(t, "/Users", person("c04"))
		a := c.do(t, http.MethodPost, "/Users", person("c04")).want(t, http.StatusConflict)
		equal(t, "scimType", a.get("scimType"), "uniqueness")
	},
	"C05": func(t *testing.T, c *client) {
		c.create(t, "/Users", person("c05é"))
		c.do(t, http.MethodPost, "/Users", person("C05É")).want(t, http.StatusConflict)
	},
	"C06": func(t *testing.T, c *client) {
		for _, doc := range []object{{"schemas": []string{userURN}}, person(""), person(" ")} {
			a := c.do(t, http.MethodPost, "/Users", doc).want(t, http.StatusBadRequest)
			equal(t, "scimType", a.get("scimType"), "invalidValue")
		}
	},
	"C07": func(t *testing.T, c *client) {
		path, a := c.create(t, "/Users", person("c07", "password", "s3cret-c07"))
		for _, b := range []answer{
			a, c.get(t, path), c.get(t, path+"?attributes=password,userName"), c.get(t, "/Users?filter=userName+eq+%22c07%22"),
			c.patch(t, path, op("replace", "password", "s3cret-c07")),
		} {
			if strings.Contains(b.raw, "s3cret") || strings.Contains(b.raw, `"password"`) {
				t.Error(b.raw)
			}
		}
	},
	"C08": func(t *testing.T, c *client) {
		for _, body := range []string{`{"userName":`, `{"userName":"x",}`, `[]`, ``, `{"userName":"x"} {}`, `{"a":NaN}`, "{\"userName\":\"\xff\"}", `{"userName":"x","userName":"y"}`} {
			a := c.do(t, http.MethodPost, "/Users", body).want(t, http.StatusBadRequest)
			equal(t, "scimType", a.get("scimType"), "invalidSyntax")
		}
	},
	"C09": func(t *testing.T, c *client) { // read, which every request goes through, compares the type
		path, a := c.create(t, "/Users", person("c09"))
		for _, b := range []answer{a, c.get(t, path), c.get(t, "/Users?count=1"), c.do(t, http.MethodGet, "/Users/none", nil)} {
			equal(t, "Content-Type", b.header.Get("Content-Type"), "application/scim+json")
		}
	},
	"C10": func(t *testing.T, c *client) {
		for _, kind := range []string{"application/json", "application/json; charset=utf-8", "application/scim+json;charset=UTF-8"} {
			c.do(t, http.MethodPost, "/Users", person("c10 "+kind), "Content-Type", kind).want(t, http.StatusCreated)
		}
	},
	"C11": func(t *testing.T, c *client) {
		a := c.do(t, http.MethodPost, "/Users", object{"SCHEMAS": []string{userURN}, "USERNAME": "c11", "Name": object{"FAMILYNAME": "Eleven"}}).want(t, http.StatusCreated)
		equal(t, "names", []any{a.get("userName"), a.get("name.familyName")}, []string{"c11", "Eleven"})
	},
	"C12": func(t *testing.T, c *client) {
		for _, doc := range []object{person("c12", "active", "maybe"), person("c12", "name", "Twelve"), person("c12", "title", 12), person("c12", "emails", 12), person("c12", "externalId", 12)} {
			a := c.do(t, http.MethodPost, "/Users", doc).want(t, http.StatusBadRequest)
			equal(t, "scimType", a.get("scimType"), "invalidValue")
		}
	},
	"C13": func(t *testing.T, c *client) {
		a := c.do(t, http.MethodPost, "/Users", person("c13", "emails", []any{object{"value": "a@x", "primary": true}, object{"value": "b@x", "primary": true}}))
		if a.status == http.StatusBadRequest {
			equal(t, "scimType", a.get("scimType"), "invalidValue")
			return
		}
		a.want(t, http.StatusCreated)
		equal(t, "primary", []any{a.get("emails.0.primary"), a.get("emails.1.primary")}, []bool{true, false})
	},
	"C14": func(t *testing.T, c *client) {
		_, a := c.create(t, "/Users", person("c14", "title", nil, "emails", []any{}, "nickName", nil, "roles", nil))
		for _, name := range []string{"title", "emails", "nickName", "roles"} {
			if a.get(name) != nil || strings.Contains(a.raw, `"`+name+`"`) {
				t.Error(a.raw)
			}
		}
	},
	"C15": func(t *testing.T, c *client) {
		_, a := c.create(t, "/Users", person("c15", enterpriseURN, object{"department": "Eng"}))
		equal(t, "schemas", a.get("schemas"), []string{userURN, enterpriseURN})
		_, a = c.create(t, "/Users", person("c15 without"))
		equal(t, "schemas", a.get("schemas"), []string{userURN})
	},
	"C16": func(t *testing.T, c *client) {
		_, a := c.create(t, "/Users", person("c16", "externalId", "Ext-C16"))
		equal(t, "externalId", a.get("externalId"), "Ext-C16")
		equal(t, "found", c.get(t, "/Users?filter=externalId+eq+%22Ext-C16%22").names("userName"), []string{"c16"})
	},
	"C17": func(t *testing.T, c *client) {
		member, m := c.create(t, "/Users", person("c17"))
		path, _ := c.create(t, "/Groups", groupDoc("c17", m.str("id")))
		a := c.get(t, path)
		equal(t, "type", a.get("members.0.type"), "User")
		if !strings.HasSuffix(a.str("members.0.$ref"), member) {
			t.Error(a.raw)
		}
	},
	"C18": func(t *testing.T, c *client) {
		path, m := c.create(t, "/Users", person("c18"))
		_, g := c.create(t, "/Groups", groupDoc("c18", m.str("id")))
		a := c.get(t, path)
		equal(t, "groups", []any{a.get("groups.0.value"), a.get("groups.0.display"), a.get("groups.0.type")}, []any{g.get("id"), "c18", "direct"})
	},
	"C19": func(t *testing.T, c *client) {
		_, a := c.create(t, "/Users", person("c19", "emails", []any{object{"value": "a@x", "type": "parental"}}))
		equal(t, "type", a.get("emails.0.type"), "parental")
	},
	"C20": func(t *testing.T, c *client) {
		for _, doc := range []object{{"schemas": []string{groupURN}}, groupDoc(""), groupDoc(" ")} {
			a := c.do(t, http.MethodPost, "/Groups", doc).want(t, http.StatusBadRequest)
			equal(t, "scimType", a.get("scimType"), "invalidValue")
		}
	},
}
