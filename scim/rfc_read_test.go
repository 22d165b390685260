package scim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// keys are the names of the members of an answer, in order.
func (a answer) keys() []string {
	doc, _ := a.json.(object)
	out := []string{}
	for k := range doc {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

var readLines = map[string]line{
	"R01": func(t *testing.T, c *client) {
		path, a := c.create(t, "/Users", person("r01", "title", "Boss"))
		equal(t, "user", c.get(t, path).json, a.json)
	},
	"R02": func(t *testing.T, c *client) {
		for _, path := range []string{"/Users/none", "/Groups/none", "/Users/00000000-0000-0000-0000-000000000000", "/Users/" + strings.Repeat("x", 4096)} {
			a := c.do(t, http.MethodGet, path, nil).want(t, http.StatusNotFound)
			equal(t, "status", a.get("status"), "404")
		}
	},
	"R03": func(t *testing.T, c *client) {
		path, _ := c.create(t, "/Users", person("r03", "title", "Boss"))
		equal(t, "members", c.get(t, path+"?attributes=userName").keys(), []string{"id", "schemas", "userName"})
	},
	"R04": func(t *testing.T, c *client) {
		path, _ := c.create(t, "/Users", person("r04", "name", object{"familyName": "Four", "givenName": "R"}))
		equal(t, "name", c.get(t, path+"?attributes=name.familyName").get("name"), object{"familyName": "Four"})
	},
	"R05": func(t *testing.T, c *client) {
		path, _ := c.create(t, "/Users", person("r05", enterpriseURN, object{"department": "Eng", "division": "D"}))
		for _, name := range []string{strings.ToUpper(enterpriseURN) + ":DEPARTMENT", enterpriseURN + ":department"} {
			a := c.get(t, path+"?attributes="+name)
			equal(t, "extension", a.json.(object)[enterpriseURN], object{"department": "Eng"})
		}
		equal(t, "members", c.get(t, path+"?attributes="+strings.ToLower(userURN)+":username").keys(), []string{"id", "schemas", "userName"})
	},
	"R06": func(t *testing.T, c *client) {
		path, _ := c.create(t, "/Users", person("r06", "title", "Boss", "nickName", "R"))
		a := c.get(t, path+"?excludedAttributes=id,title,meta,schemas")
		if a.str("id") == "" || a.get("title") != nil || a.get("meta") != nil || a.str("nickName") != "R" {
			t.Error(a.raw)
		}
	},
	"R07": func(t *testing.T, c *client) {
		want := []string{"id", "schemas", "title"}
		a := c.do(t, http.MethodPost, "/Users?attributes=title", person("r07", "title", "Boss", "nickName", "R")).want(t, http.StatusCreated)
		equal(t, "POST", a.keys(), want)
		path := "/Users/" + a.str("id")
		equal(t, "PATCH", c.do(t, http.MethodPatch, path+"?attributes=title", patchOp(op("replace", "title", "Chief"))).want(t, http.StatusOK).keys(), want)
		equal(t, "PUT", c.do(t, http.MethodPut, path+"?attributes=title", person("r07", "title", "Head")).want(t, http.StatusOK).keys(), want)
		l := c.get(t, "/Users?attributes=title&filter=userName+eq+%22r07%22")
		equal(t, "list", answer{json: l.get("Resources.0")}.keys(), want)
	},
	"R08": func(t *testing.T, c *client) {
		path, _ := c.create(t, "/Users", person("r08"))
		equal(t, "members", c.get(t, path+"?attributes=userName,nope,urn:x:y:z,a.b").keys(), []string{"id", "schemas", "userName"})
	},
}

// five creates users p1 to p5 of a line once and gives the filter that finds them.
func (c *client) five(t *testing.T, prefix string) string {
	t.Helper()
	for i := range 5 {
		c.create(t, "/Users", person(fmt.Sprintf("%s-%d", prefix, i)))
	}
	return "filter=" + url.QueryEscape(`userName sw "`+prefix+`-"`)
}

// page asks for a page and compares its figures.
func (c *client) page(t *testing.T, query string, total, start, items int) answer {
	t.Helper()
	a := c.get(t, "/Users?"+query)
	equal(t, query+": totalResults, startIndex, itemsPerPage, resources",
		[]any{a.get("totalResults"), a.get("startIndex"), a.get("itemsPerPage"), len(a.list("Resources"))}, []int{total, start, items, items})
	return a
}

var pageLines = map[string]line{
	"P01": func(t *testing.T, c *client) {
		a := c.page(t, c.five(t, "p01"), 5, 1, 5)
		for _, name := range []string{"totalResults", "startIndex", "itemsPerPage"} {
			if _, ok := a.get(name).(json.Number); !ok {
				t.Errorf("%s is no number: %v", name, a.get(name))
			}
		}
		equal(t, "schemas", a.get("schemas"), []string{"urn:ietf:params:scim:api:messages:2.0:ListResponse"})
	},
	"P02": func(t *testing.T, c *client) { c.page(t, c.five(t, "p02")+"&count=1", 5, 1, 1) },
	"P03": func(t *testing.T, c *client) {
		filter := c.five(t, "p03")
		seen := map[string]int{}
		for start := 1; start <= 5; start += 2 {
			for _, name := range c.page(t, fmt.Sprintf("%s&startIndex=%d&count=2", filter, start), 5, start, min(2, 6-start)).names("userName") {
				seen[name]++
			}
		}
		equal(t, "each once", seen, map[string]int{"p03-0": 1, "p03-1": 1, "p03-2": 1, "p03-3": 1, "p03-4": 1})
	},
	"P04": func(t *testing.T, c *client) {
		filter := c.five(t, "p04")
		c.page(t, filter+"&startIndex=0", 5, 1, 5)
		c.page(t, filter+"&startIndex=-7", 5, 1, 5)
	},
	"P05": func(t *testing.T, c *client) { c.page(t, c.five(t, "p05")+"&count=0", 5, 1, 0) },
	"P06": func(t *testing.T, c *client) { c.page(t, c.five(t, "p06")+"&count=-3", 5, 1, 0) },
	"P07": func(t *testing.T, c *client) { c.page(t, c.five(t, "p07")+"&startIndex=99", 5, 99, 0) },
	"P08": func(t *testing.T, c *client) { c.page(t, c.five(t, "p08")+"&count=1000000000", 5, 1, 5) },
}

// sorted creates people of a line and gives the filter that finds them.
func (c *client) sorted(t *testing.T, prefix string) string {
	t.Helper()
	mails := func(list ...any) []any { return list }
	mail := func(value string, primary bool) object {
		return object{"value": value + "@" + prefix, "primary": primary}
	}
	for _, doc := range []object{
		person(prefix+"-b", "name", object{"familyName": "young"}, "emails", mails(mail("c", false), mail("y", false))),
		person(prefix+"-C", "name", object{"familyName": "Abel"}, "emails", mails(mail("a", false), mail("z", true))),
		person(prefix+"-a", "title", "none"),
		person(prefix+"-D", "name", object{"familyName": "Zeta"}, "emails", mails(mail("b", true), mail("x", false))),
	} {
		c.create(t, "/Users", doc)
	}
	return "/Users?filter=" + url.QueryEscape(`userName sw "`+prefix+`-"`) + "&sortBy="
}

// order lists the last letters of the userNames of a list.
func (c *client) order(t *testing.T, path string) string {
	t.Helper()
	out := ""
	for _, name := range c.get(t, path).names("userName") {
		out += name[len(name)-1:]
	}
	return out
}

var sortLines = map[string]line{
	"S01": func(t *testing.T, c *client) {
		equal(t, "announced", c.get(t, "/ServiceProviderConfig").get("sort.supported"), true)
	},
	"S02": func(t *testing.T, c *client) {
		equal(t, "order", c.order(t, c.sorted(t, "s02")+"name.familyName"), "CbDa")
	},
	"S03": func(t *testing.T, c *client) {
		equal(t, "order", c.order(t, c.sorted(t, "s03")+"name.familyName&sortOrder=descending"), "aDbC")
	},
	"S04": func(t *testing.T, c *client) { equal(t, "order", c.order(t, c.sorted(t, "s04")+"userName"), "abCD") },
	"S05": func(t *testing.T, c *client) {
		path := c.sorted(t, "s05") + "title"
		if got := c.order(t, path); got[0] != 'a' {
			t.Errorf("ascending: %s, a first", got)
		}
		if got := c.order(t, path+"&sortOrder=descending"); got[3] != 'a' {
			t.Errorf("descending: %s, a last", got)
		}
	},
	"S06": func(t *testing.T, c *client) { equal(t, "order", c.order(t, c.sorted(t, "s06")+"emails"), "DbCa") },
}

// searchBody is the body of a search; more are further members and their values.
func searchBody(filter string, more ...any) object {
	doc := object{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:SearchRequest"}, "filter": filter}
	for i := 0; i+1 < len(more); i += 2 {
		name, _ := more[i].(string)
		doc[name] = more[i+1]
	}
	return doc
}

var searchLines = map[string]line{
	"X01": func(t *testing.T, c *client) {
		c.five(t, "x01")
		a := c.do(t, http.MethodPost, "/Users/.search", searchBody(`userName sw "x01-"`, "attributes", []string{"userName"}, "startIndex", 1, "count", 2)).want(t, http.StatusOK)
		equal(t, "totalResults, resources", []any{a.get("totalResults"), len(a.list("Resources"))}, []int{5, 2})
		equal(t, "members", answer{json: a.get("Resources.0")}.keys(), []string{"id", "schemas", "userName"})
	},
	"X02": func(t *testing.T, c *client) {
		c.create(t, "/Users", person("x02", "externalId", "x02-user"))
		c.create(t, "/Groups", object{"schemas": []string{groupURN}, "displayName": "x02", "externalId": "x02-group"})
		a := c.do(t, http.MethodPost, "/.search", searchBody(`externalId eq "x02-user" or externalId eq "x02-group"`)).want(t, http.StatusOK)
		kinds := a.names("meta.resourceType")
		slices.Sort(kinds)
		equal(t, "kinds", kinds, []string{"Group", "User"})
	},
	"X03": func(t *testing.T, c *client) {
		c.create(t, "/Users", person("x03", "externalId", "x03-user"))
		c.create(t, "/Groups", object{"schemas": []string{groupURN}, "displayName": "x03", "externalId": "x03-group"})
		a := c.get(t, "/?filter="+url.QueryEscape(`externalId eq "x03-user" or externalId eq "x03-group"`))
		equal(t, "totalResults", a.get("totalResults"), 2)
	},
}

// walk follows cursors to the end and counts who was seen.
func walk(t *testing.T, next func(cursor string) answer) map[string]int {
	t.Helper()
	seen, cursor := map[string]int{}, ""
	for range 10 {
		a := next(cursor)
		for _, name := range a.names("userName") {
			seen[name]++
		}
		if cursor = a.str("nextCursor"); cursor == "" {
			return seen
		}
	}
	t.Error("the walk has no end")
	return seen
}

var cursorLines = map[string]line{
	"K01": func(t *testing.T, c *client) {
		a := c.get(t, "/ServiceProviderConfig")
		equal(t, "announced", []any{a.get("pagination.cursor"), a.get("pagination.index")}, []bool{true, true})
		equal(t, "default", a.get("pagination.defaultPaginationMethod"), "index")
	},
	"K02": func(t *testing.T, c *client) {
		filter := c.five(t, "k02")
		seen := walk(t, func(cursor string) answer {
			return c.get(t, "/Users?"+filter+"&count=2&cursor="+url.QueryEscape(cursor))
		})
		equal(t, "each once", seen, map[string]int{"k02-0": 1, "k02-1": 1, "k02-2": 1, "k02-3": 1, "k02-4": 1})
	},
	"K03": func(t *testing.T, c *client) {
		a := c.do(t, http.MethodGet, "/Users?cursor=nonsense&count=2", nil).want(t, http.StatusBadRequest)
		equal(t, "scimType", a.get("scimType"), "invalidCursor")
	},
	"K04": func(t *testing.T, c *client) {
		c.five(t, "k04")
		seen := walk(t, func(cursor string) answer {
			return c.do(t, http.MethodPost, "/Users/.search", searchBody(`userName sw "k04-"`, "count", 2, "cursor", cursor)).want(t, http.StatusOK)
		})
		equal(t, "each once", seen, map[string]int{"k04-0": 1, "k04-1": 1, "k04-2": 1, "k04-3": 1, "k04-4": 1})
	},
}
