package scim_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// mail is an e-mail address; more are further members and their values.
func mail(value, kind string, more ...any) object {
	out := object{"value": value, "type": kind}
	for i := 0; i+1 < len(more); i += 2 {
		name, _ := more[i].(string)
		out[name] = more[i+1]
	}
	return out
}

// rich creates a user with one of everything.
func (c *client) rich(t *testing.T, userName string) string {
	t.Helper()
	path, _ := c.create(t, "/Users", person(userName, "title", "Boss", "name", object{"familyName": "Old", "givenName": "G"},
		"emails", []any{mail("w@x", "work", "primary", true, "display", "W"), mail("h@x", "home")},
		enterpriseURN, object{"department": "Eng", "division": "D"}))
	return path
}

// group creates a group of new members and returns its path and their ids.
func (c *client) group(t *testing.T, name string, members int) (path string, ids []string) {
	t.Helper()
	for i := range members {
		_, a := c.create(t, "/Users", person(fmt.Sprintf("%s %d", name, i)))
		ids = append(ids, a.str("id"))
	}
	path, _ = c.create(t, "/Groups", groupDoc(name, ids...))
	return path, ids
}

// ids are the values of a group's members, sorted.
func (a answer) ids() []string {
	out := []string{}
	for _, m := range a.list("members") {
		out = append(out, answer{json: m}.str("value"))
	}
	slices.Sort(out)
	return out
}

var patchLines = map[string]line{
	"PA01": func(t *testing.T, c *client) {
		path, _ := c.create(t, "/Users", person("pa01"))
		equal(t, "title", c.patch(t, path, op("add", "title", "Boss")).get("title"), "Boss")
	},
	"PA02": func(t *testing.T, c *client) {
		path := c.rich(t, "pa02")
		a := c.patch(t, path, op("add", "", object{"nickName": "N", "name": object{"middleName": "M"}, "emails": []any{mail("o@x", "other")}}))
		equal(t, "name", a.get("name"), object{"familyName": "Old", "givenName": "G", "middleName": "M"})
		equal(t, "nickName, emails", []any{a.get("nickName"), len(a.list("emails"))}, []any{"N", 3})
	},
	"PA03": func(t *testing.T, c *client) {
		a := c.patch(t, c.rich(t, "pa03"), op("add", "emails", []any{mail("o@x", "other")}))
		equal(t, "values", []any{len(a.list("emails")), a.get("emails.2.value")}, []any{3, "o@x"})
	},
	"PA04": func(t *testing.T, c *client) {
		path := c.rich(t, "pa04")
		before := c.get(t, path)
		equal(t, "user", c.patch(t, path, op("add", "emails", []any{mail("h@x", "home")}), op("add", "title", "Boss")).json, before.json)
	},
	"PA05": func(t *testing.T, c *client) {
		equal(t, "title", c.patch(t, c.rich(t, "pa05"), op("add", "title", "Chief")).get("title"), "Chief")
	},
	"PA06": func(t *testing.T, c *client) {
		a := c.patch(t, c.rich(t, "pa06"), op("add", "emails", []any{mail("o@x", "other", "primary", true)}))
		equal(t, "primary", []any{a.get("emails.0.primary"), a.get("emails.2.primary")}, []bool{false, true})
	},
	"PA07": func(t *testing.T, c *client) {
		a := c.patch(t, c.rich(t, "pa07"), op("remove", "title", nil), op("remove", "emails", nil))
		equal(t, "removed", []any{a.get("title"), a.get("emails")}, []any{nil, nil})
	},
	"PA08": func(t *testing.T, c *client) { c.refused(t, c.rich(t, "pa08"), "noTarget", op("remove", "", nil)) },
	"PA09": func(t *testing.T, c *client) {
		a := c.patch(t, c.rich(t, "pa09"), op("remove", `emails[type eq "work"]`, nil))
		equal(t, "emails", a.get("emails"), []any{mail("h@x", "home")})
	},
	"PA10": func(t *testing.T, c *client) {
		equal(t, "name", c.patch(t, c.rich(t, "pa10"), op("remove", "name.givenName", nil)).get("name"), object{"familyName": "Old"})
	},
	"PA11": func(t *testing.T, c *client) {
		a := c.patch(t, c.rich(t, "pa11"), op("remove", `emails[type eq "work"].display`, nil))
		equal(t, "emails", a.get("emails"), []any{mail("w@x", "work", "primary", true), mail("h@x", "home")})
	},
	"PA12": func(t *testing.T, c *client) {
		c.refused(t, c.rich(t, "pa12"), "invalidValue|mutability", op("remove", "userName", nil))
		path, _ := c.create(t, "/Groups", groupDoc("pa12"))
		c.refused(t, path, "invalidValue|mutability", op("remove", "displayName", nil))
	},
	"PA13": func(t *testing.T, c *client) {
		a := c.patch(t, c.rich(t, "pa13"), op("replace", "title", "Chief"), op("replace", "nickName", "N"))
		equal(t, "values", []any{a.get("title"), a.get("nickName")}, []string{"Chief", "N"})
	},
	"PA14": func(t *testing.T, c *client) {
		a := c.patch(t, c.rich(t, "pa14"), op("replace", "name", object{"familyName": "New"}))
		equal(t, "name", a.get("name"), object{"familyName": "New", "givenName": "G"})
	},
	"PA15": func(t *testing.T, c *client) {
		a := c.patch(t, c.rich(t, "pa15"), op("replace", "emails", []any{mail("n@x", "other")}))
		equal(t, "emails", a.get("emails"), []any{mail("n@x", "other")})
	},
	"PA16": func(t *testing.T, c *client) {
		a := c.patch(t, c.rich(t, "pa16"), op("replace", "", object{"title": "Chief", "emails": []any{mail("n@x", "other")}}))
		equal(t, "values", []any{a.get("title"), a.get("emails")}, []any{"Chief", []any{mail("n@x", "other")}})
	},
	"PA17": func(t *testing.T, c *client) {
		a := c.patch(t, c.rich(t, "pa17"), op("replace", `emails[type eq "work"].value`, "n@x"))
		equal(t, "values", []any{a.get("emails.0.value"), a.get("emails.0.display"), a.get("emails.1.value")}, []string{"n@x", "W", "h@x"})
	},
	"PA18": func(t *testing.T, c *client) {
		a := c.patch(t, c.rich(t, "pa18"), op("replace", `emails[type eq "work"]`, mail("n@x", "work")))
		equal(t, "emails", a.get("emails"), []any{mail("n@x", "work"), mail("h@x", "home")})
	},
	"PA19": func(t *testing.T, c *client) {
		path := c.rich(t, "pa19")
		replace := op("replace", `emails[type eq "other"].value`, "n@x")
		if c.source == "strict" {
			c.refused(t, path, "noTarget", replace)
			return
		}
		equal(t, "created", c.patch(t, path, replace).get("emails.2"), mail("n@x", "other")) // as Entra wants it
	},
	"PA20": func(t *testing.T, c *client) {
		a := c.patch(t, c.rich(t, "pa20"), op("add", `emails[type eq "other"].value`, "n@x"))
		equal(t, "created", a.get("emails.2"), mail("n@x", "other"))
	},
	"PA21": func(t *testing.T, c *client) {
		c.refused(t, c.rich(t, "pa21"), "invalidValue", op("replace", "title", "Chief"), op("replace", "active", 7))
		path, _ := c.group(t, "pa21", 2)
		c.refused(t, path, "mutability", op("remove", "members", nil), op("replace", "displayName", "x"), op("replace", "id", "y"))
	},
	"PA22": func(t *testing.T, c *client) {
		path := c.rich(t, "pa22")
		for _, name := range []string{"id", "meta.created", "meta", "groups"} {
			c.refused(t, path, "mutability", op("replace", name, "x"))
		}
	},
	"PA23": func(t *testing.T, c *client) {
		c.refused(t, c.rich(t, "pa23"), "invalidSyntax|invalidValue", op("merge", "title", "x"))
	},
	"PA24": func(t *testing.T, c *client) {
		path := c.rich(t, "pa24")
		for _, p := range []string{`emails[type eq "work"`, `emails[`, `a b`, `.title`, `emails[type eq "work"]value`, `title.`} {
			c.refused(t, path, "invalidPath|invalidFilter", op("replace", p, "x"))
		}
	},
	"PA25": func(t *testing.T, c *client) {
		path := c.rich(t, "pa25")
		for _, p := range []string{"nope", "name.nope", enterpriseURN + ":nope", `emails[type eq "work"].nope`} {
			c.refused(t, path, "invalidPath|noTarget", op("replace", p, "x"))
		}
	},
	"PA26": func(t *testing.T, c *client) {
		a := c.patch(t, c.rich(t, "pa26"), op("replace", enterpriseURN+":department", "Ops"))
		equal(t, "extension", a.json.(object)[enterpriseURN], object{"department": "Ops", "division": "D"})
	},
	"PA27": func(t *testing.T, c *client) {
		a := c.patch(t, c.rich(t, "pa27"), op("add", enterpriseURN, object{"department": "Ops"}))
		equal(t, "extension", a.json.(object)[enterpriseURN], object{"department": "Ops", "division": "D"})
		a = c.patch(t, "/Users/"+a.str("id"), op("remove", enterpriseURN, nil))
		equal(t, "schemas", a.get("schemas"), []string{userURN})
	},
	"PA28": func(t *testing.T, c *client) {
		path, _ := c.create(t, "/Users", person("pa28"))
		a := c.patch(t, path, op("add", "", object{enterpriseURN: object{"department": "Ops"}}))
		equal(t, "schemas", a.get("schemas"), []string{userURN, enterpriseURN})
		equal(t, "extension", a.json.(object)[enterpriseURN], object{"department": "Ops"})
	},
	"PA29": func(t *testing.T, c *client) {
		a := c.patch(t, c.rich(t, "pa29"), op("replace", userURN+":name.familyName", "New"))
		equal(t, "familyName", a.get("name.familyName"), "New")
	},
	"PA30": func(t *testing.T, c *client) {
		a := c.patch(t, c.rich(t, "pa30"), op("REPLACE", "NAME.FAMILYNAME", "New"), op("Add", "NickName", "N"))
		equal(t, "values", []any{a.get("name.familyName"), a.get("nickName")}, []string{"New", "N"})
	},
	"PA31": func(t *testing.T, c *client) {
		c.do(t, http.MethodPatch, "/Users/00000000-0000-0000-0000-000000000000", patchOp(op("replace", "title", "x"))).want(t, http.StatusNotFound)
	},
	"PA32": func(t *testing.T, c *client) {
		path := c.rich(t, "pa32")
		for _, body := range []any{
			patchOp(), object{"Operations": []any{op("replace", "title", "x")}}, object{"schemas": []string{userURN}, "Operations": []any{op("replace", "title", "x")}},
		} {
			c.do(t, http.MethodPatch, path, body).want(t, http.StatusBadRequest)
		}
		equal(t, "title", c.get(t, path).get("title"), "Boss")
	},
	"PA33": func(t *testing.T, c *client) {
		path, ids := c.group(t, "pa33", 3)
		equal(t, "members", c.patch(t, path, op("remove", `members[value eq "`+ids[1]+`"]`, nil)).ids(), []string{ids[0], ids[2]})
	},
	"PA34": func(t *testing.T, c *client) {
		path, _ := c.group(t, "pa34", 2)
		equal(t, "members", c.patch(t, path, op("remove", "members", nil)).ids(), []string{})
		equal(t, "members", c.patch(t, path, op("remove", "members", nil)).ids(), []string{}) // again
	},
	"PA35": func(t *testing.T, c *client) {
		path, ids := c.group(t, "pa35", 3)
		a := c.patch(t, path, op("Remove", "members", []any{object{"$ref": nil, "value": ids[0]}, object{"$ref": nil, "value": ids[2]}}))
		equal(t, "members", a.ids(), []string{ids[1]})
	},
	"PA36": func(t *testing.T, c *client) {
		path := c.rich(t, "pa36")
		before := c.get(t, path).str("meta.lastModified")
		if after := c.patch(t, path, op("replace", "title", "x")).str("meta.lastModified"); after <= before {
			t.Errorf("lastModified %s, then %s", before, after)
		}
	},
	"PA37": func(t *testing.T, c *client) {
		path := c.rich(t, "pa37")
		equal(t, "active", c.patch(t, path, op("Replace", "active", "False")).get("active"), false)
		equal(t, "active", c.patch(t, path, op("replace", "active", "true")).get("active"), true)
	},
	"PA38": func(t *testing.T, c *client) {
		a := c.patch(t, c.rich(t, "pa38"), op("replace", "", object{"name.familyName": "New", enterpriseURN + ":department": "Ops"}))
		equal(t, "values", []any{a.get("name.familyName"), a.get("name.givenName"), a.json.(object)[enterpriseURN]}, []any{"New", "G", object{"department": "Ops", "division": "D"}})
	},
	"PA39": func(t *testing.T, c *client) {
		path := c.rich(t, "pa39")
		a := c.do(t, http.MethodPatch, path+"?attributes=title", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"title","value":null}]}`).want(t, http.StatusOK)
		equal(t, "title", []any{a.get("title"), c.get(t, path).get("title")}, []any{nil, nil})
	},
	"PA40": func(t *testing.T, c *client) {
		path := c.rich(t, "pa40")
		a := c.patch(t, path, op("replace", `emails[type eq "work" and value ew "@x"].display`, "both"))
		equal(t, "display", []any{a.get("emails.0.display"), a.get("emails.1.display")}, []any{"both", nil})
		// With or, a filter that matches nothing does not say what would have to be created.
		c.refused(t, path, "noTarget", op("replace", `emails[type eq "a" or type eq "b"].display`, "x"))
	},
	"PA41": func(t *testing.T, c *client) {
		c.create(t, "/Users", person("pa41 taken"))
		path := c.rich(t, "pa41")
		a := c.do(t, http.MethodPatch, path, patchOp(op("replace", "userName", "PA41 taken"))).want(t, http.StatusConflict)
		equal(t, "scimType", a.get("scimType"), "uniqueness")
		equal(t, "userName", c.get(t, path).get("userName"), "pa41")
	},
	"PA42": func(t *testing.T, c *client) {
		path, ids := c.group(t, "pa42", 30)
		c.patch(t, path, op("remove", "members", nil))
		var work sync.WaitGroup
		for _, id := range ids {
			work.Go(func() {
				if a := c.do(t, http.MethodPatch, path, patchOp(op("add", "members", values(id)))); a.status != http.StatusOK && a.status != http.StatusNoContent {
					t.Errorf("status %d", a.status)
				}
			})
		}
		work.Wait()
		slices.Sort(ids)
		equal(t, "members", c.get(t, path).ids(), ids)
	},
	"PA43": func(t *testing.T, c *client) {
		path := c.rich(t, "pa43")
		a := c.do(t, http.MethodPatch, path+"?attributes=userName", patchOp(op("replace", "nickName", "N"))).want(t, http.StatusOK)
		equal(t, "answer", a.keys(), []string{"id", "schemas", "userName"})
		b := c.get(t, path)
		if b.str("title") != "Boss" || b.str("nickName") != "N" || len(b.list("emails")) != 2 || !strings.Contains(b.raw, "Eng") {
			t.Error(b.raw)
		}
	},
}
