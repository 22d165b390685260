package scim_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/matomo-scim/bridge/scim"
)

// What identity providers do beyond the lines of the RFC, each as a line that complaints and rules refer to.

// leavers are deactivated in every form there is, and stay findable.
func leavers(t *testing.T, c *client) {
	for i, body := range []any{
		patchOp(op("replace", "active", false)), patchOp(op("Replace", "active", "False")), patchOp(op("replace", "", object{"active": false})),
		patchOp(op("replace", "", object{"active": "false"})), patchOp(op("add", "active", false)), person(fmt.Sprintf("leaver %d", 5), "active", false),
	} {
		path, _ := c.create(t, "/Users", person(fmt.Sprintf("leaver %d", i), "active", true))
		method := http.MethodPatch
		if i == 5 {
			method = http.MethodPut
		}
		if a := c.do(t, method, path, body); a.status != http.StatusNoContent && a.get("active") != false {
			t.Errorf("form %d: %d %s", i, a.status, a.raw)
		}
		equal(t, fmt.Sprintf("form %d", i), c.get(t, path).get("active"), false)
		equal(t, "found", len(c.get(t, "/Users?filter="+url.QueryEscape(fmt.Sprintf(`userName eq "leaver %d" and active eq false`, i))).list("Resources")), 1)
	}
}

// reactivation answers with the new state, and memberships are as they were.
func reactivation(t *testing.T, c *client) {
	path, ids := c.group(t, "reactivation", 1)
	for _, active := range []bool{false, true, false, true} {
		a := c.do(t, http.MethodPatch, "/Users/"+ids[0]+"?attributes=active", patchOp(op("replace", "", object{"active": active}))).want(t, http.StatusOK)
		equal(t, "answer", a.get("active"), active)
		equal(t, "members", c.get(t, path).ids(), ids)
		equal(t, "groups", len(c.get(t, "/Users/"+ids[0]).list("groups")), 1)
	}
}

// partialReplace names one thing and touches nothing else; an id that came along is ignored.
func partialReplace(t *testing.T, c *client) {
	path, ids := c.group(t, "partial", 2)
	a := c.patch(t, path, op("replace", "", object{"id": path[len("/Groups/"):], "displayName": "partial renamed"}))
	slices.Sort(ids)
	equal(t, "name, members", []any{a.get("displayName"), a.ids()}, []any{"partial renamed", ids})
	user := c.rich(t, "partial")
	before := c.get(t, user)
	b := c.patch(t, user, op("replace", "", object{"displayName": "Only"}))
	equal(t, "emails, name", []any{b.get("emails"), b.get("name")}, []any{before.get("emails"), before.get("name")})
}

// unknownMember must not sink the members that are known, and joins when it arrives.
func unknownMember(t *testing.T, c *client) {
	path, ids := c.group(t, "unknown", 1)
	equal(t, "members", c.patch(t, path, op("add", "members", values("ext-late", ids[0]))).ids(), ids)
	_, late := c.create(t, "/Users", person("late", "externalId", "ext-late"))
	ids = append(ids, late.str("id"))
	slices.Sort(ids)
	equal(t, "members", c.get(t, path).ids(), ids)
}

// emptyGroup is emptied in every form, also when it is empty already.
func emptyGroup(t *testing.T, c *client) {
	path, ids := c.group(t, "empty", 1)
	for _, o := range []map[string]any{
		op("replace", "members", []any{}), op("replace", "", object{"members": []any{}}), op("remove", "members", nil),
		{"op": "replace", "path": "members", "value": nil},
		{"op": "remove", "path": "members", "value": nil},
	} {
		for range 2 {
			equal(t, fmt.Sprint(o), c.patch(t, path, o).ids(), []string{})
		}
		c.patch(t, path, op("add", "members", values(ids...)))
	}
}

// memberSet holds that members are a set: what is there is not added, what is not is not missed.
func memberSet(t *testing.T, c *client) {
	path, ids := c.group(t, "set", 2)
	before := c.get(t, path)
	a := c.patch(t, path, op("add", "members", []any{object{"value": ids[0]}, object{"value": ids[0], "display": "twice", "type": "User", "$ref": "x"}}),
		op("remove", `members[value eq "00000000-0000-0000-0000-000000000000"]`, nil))
	equal(t, "group", a.json, before.json) // the version too
}

// ownName is no conflict, for groups as for users.
func ownName(t *testing.T, c *client) {
	path, _ := c.create(t, "/Groups", groupDoc("own"))
	c.do(t, http.MethodPut, path, groupDoc("own")).want(t, http.StatusOK)
	c.do(t, http.MethodPut, path, groupDoc("OWN")).want(t, http.StatusOK)
	a := c.do(t, http.MethodPost, "/Groups", groupDoc("Own")).want(t, http.StatusConflict)
	equal(t, "scimType", a.get("scimType"), "uniqueness")
}

// manyMembers come and go without a hidden page, in well under a minute.
func manyMembers(t *testing.T, c *client) {
	const n = 1200
	ids := seed(t, c.s.db, n)
	path, _ := c.create(t, "/Groups", groupDoc("many"))
	start := time.Now()
	a := c.do(t, http.MethodPatch, path, patchOp(op("add", "members", values(ids...)))).want(t, http.StatusNoContent)
	if took := time.Since(start); took > 10*time.Second || a.raw != "" {
		t.Errorf("%s, %d bytes", took, len(a.raw))
	}
	slices.Sort(ids)
	equal(t, "members", c.get(t, path).ids(), ids)
	equal(t, "one less", len(c.patch(t, path, op("Remove", "members", values(ids[0]))).ids()), n-1)
}

// oddBodies have what no schema has, nulls and empty strings: nothing is refused, and what has a value is kept.
func oddBodies(t *testing.T, c *client) {
	const own = "urn:example:unknown:2.0:User"
	path, a := c.create(t, "/Users", object{
		"schemas": []string{userURN, own, "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/User"}, "userName": "odd",
		"favouriteColour": "blue", own: object{"badge": 7}, "addresses": nil, "roles": []any{}, "title": "", "nickName": nil,
		"name": object{"familyName": "", "givenName": nil, "nick": "x"}, "emails": []any{object{"value": "O'Dd+1@Example.org", "type": nil}},
	})
	for _, b := range []answer{a, c.get(t, path)} {
		equal(t, "kept", []any{b.get("favouriteColour"), b.json.(object)[own], b.get("title"), b.get("name"), b.get("emails")}, []any{
			"blue", object{"badge": 7}, "", object{"familyName": "", "nick": "x"}, []any{object{"value": "O'Dd+1@Example.org"}},
		})
		if strings.Contains(b.raw, "null") {
			t.Error(b.raw)
		}
	}
	// A PUT of what was read changes nothing, whatever was in it.
	b := c.do(t, http.MethodPut, path, a.raw).want(t, http.StatusOK)
	equal(t, "put back", b.json, a.json)
}

// managers come as a string, an object, a list of one; an empty value or a remove clears them.
func managers(t *testing.T, c *client) {
	path, _ := c.create(t, "/Users", person("managed"))
	for i, o := range []map[string]any{
		op("Add", "manager", "m-1"), op("Add", enterpriseURN+":manager", "m-1"), op("Replace", enterpriseURN+":manager", object{"value": "m-1"}),
		op("Add", "manager", []any{object{"$ref": "../Users/m-1", "value": "m-1"}}), op("replace", "", object{enterpriseURN + ":manager": "m-1"}),
		op("replace", enterpriseURN+":manager.value", "m-1"), op("replace", "", object{enterpriseURN: object{"manager": object{"managerId": "m-1"}}}),
	} {
		equal(t, fmt.Sprintf("form %d", i), c.patch(t, path, o).get(enterpriseURN+"|manager.value"), "m-1")
		away := []map[string]any{op("Remove", "manager", nil), op("Replace", enterpriseURN+":manager", object{"value": ""}), op("replace", enterpriseURN+":manager", "")}[i%3]
		equal(t, fmt.Sprintf("cleared %d", i), c.patch(t, path, away).get(enterpriseURN+"|manager"), nil)
	}
}

// passwords of any kind are taken, and never seen again.
func passwords(t *testing.T, c *client) {
	for i, password := range []string{"x", "9Kq2!vTz0Lm", strings.Repeat("p", 1000), " \t\"\\", "пароль"} {
		path, a := c.create(t, "/Users", person(fmt.Sprintf("password %d", i), "password", password))
		b := c.patch(t, path, op("replace", "", object{"password": password}))
		equal(t, "user", b.json, a.json)
	}
}

// answers have the status that providers wait for.
func answers(t *testing.T, c *client) {
	user, a := c.create(t, "/Users", person("answers"))
	equal(t, "Location", a.header.Get("Location"), a.get("meta.location"))
	c.do(t, http.MethodPut, user, person("answers")).want(t, http.StatusOK)
	group, _ := c.create(t, "/Groups", groupDoc("answers"))
	wanted := map[string][2]int{"okta": {200, 204}, "entra": {204, 204}, "strict": {200, 200}}[c.source]
	c.do(t, http.MethodPatch, user, patchOp(op("replace", "title", "x"))).want(t, wanted[0])
	c.do(t, http.MethodPatch, group, patchOp(op("replace", "displayName", "answers 2"))).want(t, wanted[1])
	for _, path := range []string{user, group} {
		c.do(t, http.MethodPatch, path+"?attributes=id", patchOp(op("replace", "externalId", "x"))).want(t, http.StatusOK)
		c.do(t, http.MethodDelete, path, nil).want(t, http.StatusNoContent)
		c.do(t, http.MethodDelete, path, nil).want(t, http.StatusNotFound)
	}
}

// lookUps of groups and e-mail addresses do not care about case.
func lookUps(t *testing.T, c *client) {
	c.create(t, "/Groups", groupDoc("Look-Ups"))
	c.create(t, "/Users", person("look-ups", "emails", []any{mail("Look@Ups.org", "work")}))
	equal(t, "group", c.get(t, "/Groups?filter="+url.QueryEscape(`displayName eq "look-ups"`)).names("displayName"), []string{"Look-Ups"})
	for _, filter := range []string{`emails.value eq "LOOK@ups.org"`, `emails[type eq "WORK" and value eq "look@ups.ORG"]`, `emails[type eq "work"].value eq "look@ups.org"`} {
		equal(t, filter, c.get(t, "/Users?filter="+url.QueryEscape(filter)).names("userName"), []string{"look-ups"})
	}
}

// withoutMembers is how Entra asks for groups.
func withoutMembers(t *testing.T, c *client) {
	path, ids := c.group(t, "without", 2)
	for _, p := range []string{path + "?excludedAttributes=members", path + "?attributes=id,displayName", "/Groups?excludedAttributes=members&filter=displayName+eq+%22without%22"} {
		if a := c.get(t, p); strings.Contains(a.raw, ids[0]) || strings.Contains(a.raw, "members") {
			t.Errorf("%s: %s", p, a.raw)
		}
	}
	for method, body := range map[string]any{http.MethodPut: groupDoc("without", ids...), http.MethodPatch: patchOp(op("add", "members", values(ids...)))} {
		a := c.do(t, method, path+"?excludedAttributes=members", body).want(t, http.StatusOK)
		if strings.Contains(a.raw, "members") {
			t.Errorf("%s: %s", method, a.raw)
		}
	}
	equal(t, "members", len(c.get(t, path).ids()), 2)
}

// apart: what one source says, another neither sees nor changes, and both may use the same labels.
func apart(t *testing.T, c *client) {
	other := &client{base: c.base, token: c.s.tokens["other"], source: "other", s: c.s}
	path, mine := c.create(t, "/Users", person("apart", "externalId", "same"))
	group, _ := c.create(t, "/Groups", object{"schemas": []string{groupURN}, "displayName": "Apart", "externalId": "same", "members": values(mine.str("id"))})
	for p, doc := range map[string]object{path: person("x"), group: groupDoc("x")} {
		for method, body := range map[string]any{http.MethodGet: nil, http.MethodPut: doc, http.MethodPatch: patchOp(op("replace", "displayName", "x")), http.MethodDelete: nil} {
			other.do(t, method, p, body).want(t, http.StatusNotFound)
		}
	}
	for _, p := range []string{"/Users?filter=externalId+eq+%22same%22", "/Groups?filter=externalId+eq+%22same%22", "/Users", "/Groups?filter=members.value+eq+%22" + mine.str("id") + "%22"} {
		equal(t, p, other.get(t, p).get("totalResults"), 0)
	}
	other.create(t, "/Users", person("apart too", "externalId", "same"))
	// A member of another source is nobody, and waits like any other.
	theirs, _ := other.create(t, "/Groups", object{"schemas": []string{groupURN}, "displayName": "Apart", "externalId": "same", "members": values(mine.str("id"))})
	equal(t, "members", other.get(t, theirs).ids(), []string{})
	// Within a source a label is unique, and so is a person over all of them: whether two are one, people decide.
	c.do(t, http.MethodPost, "/Users", person("apart three", "externalId", "same")).want(t, http.StatusConflict)
	a := other.do(t, http.MethodPost, "/Users", person("APART")).want(t, http.StatusConflict)
	if !strings.Contains(a.str("detail"), c.source) {
		t.Errorf("detail %s", a.raw)
	}
}

// ids are opaque, and no reference of a bulk request could be meant.
func ids(t *testing.T, c *client) {
	for i := range 20 {
		_, a := c.create(t, "/Users", person(fmt.Sprintf("ids %d", i)))
		if id := a.str("id"); len(id) != 36 || strings.Contains(strings.ToLower(id), "bulkid") {
			t.Errorf("id %q", id)
		}
	}
}

// honest discovery has no nulls and lists only schemas that can be read.
func honest(t *testing.T, c *client) {
	for _, path := range []string{"/ServiceProviderConfig", "/Schemas", "/ResourceTypes"} {
		if a := c.get(t, path); strings.Contains(a.raw, "null") {
			t.Error(a.raw)
		}
	}
	for _, rt := range c.get(t, "/ResourceTypes").list("Resources") {
		one := answer{json: rt}
		c.get(t, one.str("endpoint"))
		c.get(t, "/Schemas/"+one.str("schema"))
	}
	config := c.get(t, "/ServiceProviderConfig")
	equal(t, "patch, filter", []any{config.get("patch.supported"), config.get("filter.supported")}, []bool{true, true})
	if n, err := config.get("bulk.maxOperations").(interface{ Int64() (int64, error) }).Int64(); err != nil || n < 100 {
		t.Errorf("bulk.maxOperations %d, %v", n, err) // authentik sizes its requests by it
	}
}

// explained errors name the attribute and the value, and can be found in the log.
func explained(t *testing.T, c *client) {
	c.create(t, "/Users", person("explained"))
	for detail, a := range map[string]answer{
		`userName "Explained" is taken`: c.do(t, http.MethodPost, "/Users", person("Explained")),
		`name.familyName`:               c.do(t, http.MethodPost, "/Users", person("x", "name", object{"familyName": 7})),
		`the number 7`:                  c.do(t, http.MethodPost, "/Users", person("x", "title", 7)),
		`operation 2`:                   c.do(t, http.MethodPatch, c.rich(t, "explained 2"), patchOp(op("replace", "title", "x"), op("replace", "nope", "x"))),
		`userName: the attribute`:       c.do(t, http.MethodPost, "/Users", object{"schemas": []string{userURN}}),
		`invalid filter at byte 12`:     c.do(t, http.MethodGet, "/Users?filter=userName+eq+", nil),
		`invalid JSON at byte 13`:       c.do(t, http.MethodPost, "/Users", `{"userName": }`),
	} {
		if !strings.Contains(a.str("detail"), detail) || a.header.Get("X-Request-Id") == "" {
			t.Errorf("%d %q, want %q", a.status, a.str("detail"), detail)
		}
	}
}

// onTheWire: no User-Agent, any content type, brackets and dollars in the URL, a slash at its end.
func onTheWire(t *testing.T, c *client) {
	c.create(t, "/Users", person("wire", "emails", []any{mail("wire@x", "work")}))
	host := strings.TrimSuffix(strings.TrimPrefix(c.base, "http://"), scim.DefaultBasePath)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	lines := bufio.NewReader(conn)
	for _, target := range []string{"/Users/?filter=emails[type%20eq%20%22work%22].value%20eq%20%22wire@x%22", "/Users?filter=userName+eq+%22wire%22&$x=[]", "/Groups/"} {
		_, err := fmt.Fprintf(conn, "GET %s%s HTTP/1.1\r\nHost: scim\r\nAuthorization: bearer %s\r\nUser-Agent:\r\nAccept: */*\r\n\r\n", scim.DefaultBasePath, target, c.token)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(lines, nil)
		if err != nil {
			t.Fatal(err)
		}
		a := read(t, resp).want(t, http.StatusOK)
		if strings.HasPrefix(target, "/Users") {
			equal(t, target, a.names("userName"), []string{"wire"})
		}
	}
	for i, kind := range []string{"", "application/json", "application/scim+json; charset=utf-8", "text/plain"} {
		c.do(t, http.MethodPost, "/Users/", person(fmt.Sprintf("wire %d", i)), "Content-Type", kind, "Accept", kind).want(t, http.StatusCreated)
	}
}
