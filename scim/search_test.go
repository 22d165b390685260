package scim_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/scim"
)

const (
	searchURN = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
	coreUser  = "urn:ietf:params:scim:schemas:core:2.0:User:"
	coreGroup = "urn:ietf:params:scim:schemas:core:2.0:Group:"
)

// search is a SearchRequest of pairs of name and value.
func search(more ...any) map[string]any {
	body := map[string]any{"schemas": []string{searchURN}}
	for i := 0; i+1 < len(more); i += 2 {
		name, _ := more[i].(string)
		body[name] = more[i+1]
	}
	return body
}

// shortNames are what resources are called, without what follows an @.
func (a answer) shortNames() string {
	var out []string
	for _, r := range a.list("Resources") {
		one := answer{json: r}
		name, _, _ := strings.Cut(strings.ToLower(one.str("userName")+one.str("displayName")), "@")
		out = append(out, name)
	}
	return strings.Join(out, " ")
}

// TestList_Sort sorts the people: by name, by what some of them lack, by lists, and with names in every spelling.
func TestList_Sort(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := newServer(t, db)
		people(t, s) // ada: Zeta, Bob: Abel, carol: Young
		for _, c := range []struct{ query, want string }{
			{"sortBy=name.familyName", "bob carol ada"},                      // S01, S02
			{"sortBy=name.familyName&sortOrder=descending", "ada carol bob"}, // S03
			{"sortBy=name.familyName&sortOrder=Ascending", "bob carol ada"},
			{"sortBy=userName", "ada bob carol"}, // S04: Bob is no capital before ada
			{"sortBy=USERNAME&sortOrder=descending", "carol bob ada"},
			{"sortBy=title", "ada bob carol"},                      // S05: carol has none
			{"sortBy=title&sortOrder=descending", "carol bob ada"}, //
			{"sortBy=displayName", "bob ada carol"},
			{"sortBy=externalId", "ada carol bob"}, // Ext-1 before ext-1
			{"sortBy=externalId&sortOrder=descending", "bob carol ada"},
			{"sortBy=emails", "ada bob carol"}, // S06: the primary address of ada is Ada@y.net
			{"sortBy=emails.value", "ada bob carol"},
			{"sortBy=emails.type", "bob ada carol"},
			{"sortBy=active&filter=active+pr", "bob ada carol"},
			{"sortBy=active&sortOrder=descending&filter=externalId+pr+or+displayName+pr", "carol ada bob"},
			{"sortBy=" + coreUser + "name.familyName", "bob carol ada"},
			{"sortBy=" + enterpriseURN + ":manager.value", "ada bob carol"},
			{"sortBy=" + enterpriseURN + ":department&sortOrder=descending", "carol bob ada"},
			{"sortBy=meta.created&sortOrder=descending", "carol bob ada"},
			{"sortBy=meta.lastModified", "ada bob carol"},
			{"sortBy=id", "ada bob carol"},
			{"sortBy=nope", "ada bob carol"},          // counts as missing everywhere: by id
			{"sortBy=password", "ada bob carol"},      // and so does what nobody may learn of
			{"sortOrder=descending", "ada bob carol"}, // no order without sortBy
			{"sortBy=name.familyName&startIndex=2&count=1", "carol"},
			{"sortBy=name.familyName&filter=title+pr", "bob ada"},
			{"sortBy=userName&filter=title+pr&startIndex=2", "bob"},
		} {
			a := s.do(t, "okta", http.MethodGet, "/Users?attributes=userName&"+c.query, nil).want(t, http.StatusOK)
			if got := a.shortNames(); got != c.want {
				t.Errorf("%s: %s, want %s", c.query, got, c.want)
			}
		}
		for _, query := range []string{"sortBy=name", "sortBy=meta", "sortBy=addresses", "sortBy=userName&sortOrder=up", "sortBy=a&sortBy=b"} {
			s.do(t, "okta", http.MethodGet, "/Users?"+query, nil).want(t, http.StatusBadRequest)
		}
		a := s.do(t, "okta", http.MethodGet, "/Users?sortBy=name", nil)
		if a.str("scimType") != "invalidPath" || !strings.Contains(a.str("detail"), "name.formatted") {
			t.Errorf("sortBy=name: %s", a.raw)
		}
	})
}

// walk follows the cursors of a listing from the first page and returns the ids; each page is shown to see.
func (s *server) walk(tb testing.TB, path string, see func(page int)) []string {
	tb.Helper()
	var ids []string
	cursor, first := "", 0
	for page := range 100 {
		a := s.do(tb, "okta", http.MethodGet, path+"&cursor="+url.QueryEscape(cursor), nil).want(tb, http.StatusOK)
		if a.get("startIndex") != nil || a.get("previousCursor") != nil {
			tb.Fatalf("members of another paging: %s", a.raw)
		}
		for _, r := range a.list("Resources") {
			ids = append(ids, answer{json: r}.str("id"))
		}
		// The total is that of the first page, and on every page.
		if total, _ := strconv.Atoi(jsonText(a.get("totalResults"))); page == 0 {
			first = total
		} else if total != first {
			tb.Errorf("page %d: total %d, on the first %d", page, total, first)
		}
		if n := len(a.list("Resources")); jsonText(a.get("itemsPerPage")) != strconv.Itoa(n) {
			tb.Errorf("itemsPerPage %v of %d", a.get("itemsPerPage"), n)
		}
		if see != nil {
			see(page)
		}
		if cursor = a.str("nextCursor"); cursor == "" {
			return ids
		}
	}
	tb.Fatal("the walk does not end")
	return nil
}

func TestList_Cursors(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := newServer(t, db)
		var ids []string
		for i := range 7 {
			ids = append(ids, s.createUser(t, "okta", fmt.Sprintf("user%d", i), "title", fmt.Sprint(i%2)))
			s.createUser(t, "other", fmt.Sprintf("foreign%d", i))
		}
		slices.Sort(ids)
		for _, query := range []string{"", "sortBy=userName", "sortBy=title", "sortBy=displayName&sortOrder=descending", "filter=userName+sw+%22user%22", "filter=title+pr&sortBy=id", "sortBy=nope"} {
			for _, count := range []string{"1", "2", "7", "8", "99999999999999999999"} { // K02
				got := s.walk(t, "/Users?attributes=userName&count="+count+"&"+query, nil)
				if slices.Sort(got); !slices.Equal(got, ids) {
					t.Errorf("%s, %s a page: %v, want %v", query, count, got, ids)
				}
			}
		}
		first := s.do(t, "okta", http.MethodGet, "/Users?count=2&cursor=&filter=title+pr&sortBy=userName", nil).want(t, http.StatusOK)
		cursor := first.str("nextCursor")
		again := func(source, path string) answer {
			return s.do(t, source, http.MethodGet, path+"cursor="+url.QueryEscape(cursor), nil)
		}
		again("okta", "/Users?filter=title+pr&sortBy=userName&sortOrder=ascending&attributes=id&count=1&").want(t, http.StatusOK)
		// Of another query, resource or source, and not of this server: K03.
		for source, paths := range map[string][]string{
			"okta": {
				"/Users?", "/Users?filter=title+pr&", "/Users?filter=title+pr&sortBy=title&", "/Users?filter=title+pr&sortBy=userName&sortOrder=descending&",
				"/Users?filter=active+pr&sortBy=userName&", "/Groups?filter=title+pr&sortBy=userName&", "?filter=title+pr&sortBy=userName&",
			},
			"other": {"/Users?filter=title+pr&sortBy=userName&"},
		} {
			for _, path := range paths {
				if a := again(source, path).want(t, http.StatusBadRequest); a.str("scimType") != "invalidCursor" {
					t.Errorf("%s for %s: %s", path, source, a.raw)
				}
			}
		}
		for _, bad := range []string{"x", "%20", cursor[1:], cursor + "A", cursor[:len(cursor)-2], strings.ToUpper(cursor), strings.Repeat("A", 70000), "%00", "%C3%A9"} {
			a := s.do(t, "okta", http.MethodGet, "/Users?filter=title+pr&sortBy=userName&cursor="+bad, nil).want(t, http.StatusBadRequest)
			if a.str("scimType") != "invalidCursor" {
				t.Errorf("cursor %.40s: %s", bad, a.raw)
			}
		}
		for _, count := range []string{"0", "-1", "many", "1.5"} {
			if a := s.do(t, "okta", http.MethodGet, "/Users?cursor=&count="+count, nil).want(t, http.StatusBadRequest); a.str("scimType") != "invalidCount" {
				t.Errorf("count %s: %s", count, a.raw)
			}
		}
		s.do(t, "okta", http.MethodGet, "/Users?cursor=&startIndex=1", nil).want(t, http.StatusBadRequest)
		// The name to sort by is not for the logs of a proxy.
		if strings.Contains(cursor, "user1") || len(cursor) < 40 {
			t.Errorf("cursor %q", cursor)
		}
	})
}

// TestList_CursorsElsewhere opens a cursor on another replica, and on one where cursors are switched off.
func TestList_CursorsElsewhere(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := newServer(t, db)
		people(t, s)
		cursor := s.do(t, "okta", http.MethodGet, "/Users?count=1&cursor=", nil).want(t, http.StatusOK).str("nextCursor")
		for off, status := range map[bool]int{false: http.StatusOK, true: http.StatusBadRequest} {
			replica := s.replica(t, func(o *scim.Options) { o.NoCursors = off })
			a := replica.do(t, "okta", http.MethodGet, "/Users?count=1&cursor="+cursor, nil).want(t, status)
			if off && a.str("scimType") != "invalidCursor" || !off && (len(a.list("Resources")) != 1 || a.str("nextCursor") == "") {
				t.Errorf("off %v: %s", off, a.raw)
			}
			announced := replica.do(t, "okta", http.MethodGet, "/ServiceProviderConfig", nil).want(t, http.StatusOK) // K01
			if (announced.get("pagination") == nil) != off {
				t.Errorf("off %v: %s", off, announced.raw)
			}
		}
	})
}

// TestList_CursorsWhileUsersComeAndGo changes the users between any two pages: whoever was there from the first page to
// the last is found once, in every order.
func TestList_CursorsWhileUsersComeAndGo(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := newServer(t, db)
		for round, query := range []string{"", "sortBy=userName", "sortBy=title", "sortBy=displayName&sortOrder=descending", "filter=title+pr", "sortBy=meta.lastModified"} {
			var stay, leave []string
			for i := range 12 {
				id := s.createUser(t, "okta", fmt.Sprintf("user%d-%02d", round, i), "title", fmt.Sprint(i%5))
				if i%3 == 0 {
					leave = append(leave, id)
				} else {
					stay = append(stay, id)
				}
			}
			seen := map[string]int{}
			for _, id := range s.walk(t, "/Users?count=2&"+query, func(page int) {
				if page < len(leave) {
					s.do(t, "okta", http.MethodDelete, "/Users/"+leave[page], nil).want(t, http.StatusNoContent)
					s.createUser(t, "okta", fmt.Sprintf("new%d-%02d", round, page), "title", fmt.Sprint(page))
				}
			}) {
				seen[id]++
			}
			for _, id := range stay {
				if seen[id] != 1 {
					t.Errorf("%q: %s was seen %d times", query, id, seen[id])
				}
			}
			for id, n := range seen {
				if n > 1 {
					t.Errorf("%q: %s was seen %d times", query, id, n)
				}
			}
		}
	})
}

// TestSearch asks by POST what TestList_Filters asks by GET: the answers are the same.
func TestSearch(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := newServer(t, db)
		people(t, s)
		g := s.createGroup(t, "okta", "Analysts")
		a := s.do(t, "okta", http.MethodPost, "/Users/.search", search("filter", `title pr`, "attributes", []string{"userName"}, // X01
			"sortBy", "userName", "sortOrder", "descending", "startIndex", 1, "count", 1)).want(t, http.StatusOK)
		if a.shortNames() != "bob" || jsonText(a.get("totalResults")) != "2" || a.get("Resources.0.title") != nil || a.get("Resources.0.meta") != nil {
			t.Errorf("users: %s", a.raw)
		}
		a = s.do(t, "okta", http.MethodPost, "/Users/.search", search("EXCLUDEDATTRIBUTES", "name,meta", "filter", `userName eq "carol"`)).want(t, http.StatusOK)
		if a.str("Resources.0.userName") != "carol" || a.get("Resources.0.name") != nil || a.get("Resources.0.meta") != nil {
			t.Errorf("excludedAttributes: %s", a.raw)
		}
		a = s.do(t, "okta", http.MethodPost, "/Groups/.search", search()).want(t, http.StatusOK)
		if a.str("Resources.0.id") != g || jsonText(a.get("itemsPerPage")) != "1" {
			t.Errorf("groups: %s", a.raw)
		}
		// K04: by cursor, from an empty one on.
		var got []string
		for cursor := ""; ; {
			page := s.do(t, "okta", http.MethodPost, "/Users/.search", search("cursor", cursor, "count", 2, "attributes", []string{"userName"})).want(t, http.StatusOK)
			got = append(got, strings.Fields(page.shortNames())...)
			if cursor = page.str("nextCursor"); cursor == "" {
				break
			}
		}
		if slices.Sort(got); !slices.Equal(got, []string{"ada", "bob", "carol"}) {
			t.Errorf("walk by POST: %v", got)
		}
		for name, body := range map[string]any{
			"not JSON": "{", "not an object": "[]", "filter no string": search("filter", 1), "filter wrong": search("filter", "userName eq"),
			"attributes": search("attributes", 1), "attributes of numbers": search("attributes", []any{1}), "count": search("count", true),
			"count no integer": search("count", "many"), "order": search("sortOrder", "sideways"), "cursor": search("cursor", "x"), "schemas": search("schemas", 1),
		} {
			if a := s.do(t, "okta", http.MethodPost, "/Users/.search", body); a.status != http.StatusBadRequest {
				t.Errorf("%s: %d %s", name, a.status, a.raw)
			}
		}
		// The RFC to the letter wants the schema named and numbers to be numbers.
		s.createUser(t, "strict", "strict")
		for _, body := range []any{map[string]any{"filter": "userName pr"}, search("count", "1")} {
			s.do(t, "okta", http.MethodPost, "/Users/.search", body).want(t, http.StatusOK)
			s.do(t, "strict", http.MethodPost, "/Users/.search", body).want(t, http.StatusBadRequest)
		}
		if a := s.do(t, "strict", http.MethodPost, "/Users/.search", search("count", 1)).want(t, http.StatusOK); len(a.list("Resources")) != 1 {
			t.Errorf("strict: %s", a.raw)
		}
		for _, path := range []string{"/Users/.search", "/Groups/.search", "/.search"} {
			s.do(t, "okta", http.MethodPut, path, search()).want(t, map[bool]int{true: http.StatusMethodNotAllowed, false: http.StatusNotFound}[path == "/.search"])
		}
	})
}

// TestRoot asks for the resources of all types at once.
func TestRoot(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := newServer(t, db)
		ada := s.createUser(t, "okta", "ada", "displayName", "Ada")
		s.createUser(t, "okta", "bob", "displayName", "M")
		s.createUser(t, "other", "foreign")
		s.createGroup(t, "okta", "Brands", ada)
		s.createGroup(t, "okta", "Analysts", ada)
		names := func(a answer) string {
			var out []string
			for _, r := range a.list("Resources") {
				one := answer{json: r}
				if name := one.str("userName"); name != "" {
					out = append(out, name)
				} else {
					out = append(out, one.str("displayName"))
				}
			}
			return strings.Join(out, " ")
		}
		for _, c := range []struct{ query, want string }{
			{"", "ada bob Brands Analysts"},
			{"startIndex=2&count=2", "bob Brands"},
			{"startIndex=4", "Analysts"},
			{"startIndex=9", ""},
			{"count=0", ""},
			{"sortBy=displayName", "ada Analysts Brands bob"},
			{"sortBy=displayName&sortOrder=descending", "bob Brands Analysts ada"},
			{"sortBy=displayName&startIndex=2&count=2", "Analysts Brands"},
			{"sortBy=userName", "ada bob Brands Analysts"}, // groups have none: last
			{"sortBy=userName&sortOrder=descending", "Analysts Brands bob ada"},
			{"filter=" + url.QueryEscape(`displayName sw "a"`), "ada Analysts"}, // X03
			{"filter=" + url.QueryEscape(`meta.resourceType eq "Group"`), "Brands Analysts"},
			{"filter=" + url.QueryEscape(`meta.resourceType eq "User" and displayName pr`), "ada bob"},
			{"filter=" + url.QueryEscape(coreUser+`displayName pr`), "ada bob"},
			{"filter=" + url.QueryEscape(coreGroup+`displayName pr`), "Brands Analysts"},
			{"filter=" + url.QueryEscape(`userName eq "ada" or members.value eq "`+ada+`" and displayName eq "brands"`), "ada Brands"},
			{"filter=" + url.QueryEscape(`userName ne "ada"`), "bob Brands Analysts"},
			{"filter=" + url.QueryEscape(`members[display eq "ada"]`) + "&sortBy=displayName", "Analysts Brands"},
			{"filter=" + url.QueryEscape(`nope eq "x"`), ""},
		} {
			a := s.do(t, "okta", http.MethodGet, "?"+c.query, nil).want(t, http.StatusOK)
			if got := names(a); got != c.want {
				t.Errorf("%s: %q, want %q", c.query, got, c.want)
			}
		}
		a := s.do(t, "okta", http.MethodPost, "/.search", search("attributes", []string{coreUser + "userName", "members.value"}, "sortBy", "displayName")).want(t, http.StatusOK) // X02
		if names(a) != "ada   bob" || a.str("Resources.1.members.0.value") != ada || a.get("Resources.0.displayName") != nil || jsonText(a.get("totalResults")) != "4" {
			t.Errorf("POST /.search: %q %s", names(a), a.raw)
		}
		for _, query := range []string{"", "sortBy=displayName", "sortBy=meta.created&sortOrder=descending", "filter=id+pr", "sortBy=title"} {
			for _, count := range []string{"1", "2", "3", "4", "5"} {
				if got := s.walk(t, "?count="+count+"&"+query, nil); len(got) != 4 {
					t.Errorf("%s, %s a page: %v", query, count, got)
				}
			}
		}
		for query, scimType := range map[string]string{"filter=active+gt+true": "invalidFilter", "sortBy=name": "invalidPath", "cursor=x": "invalidCursor"} {
			if a := s.do(t, "okta", http.MethodGet, "?"+query, nil).want(t, http.StatusBadRequest); a.str("scimType") != scimType {
				t.Errorf("%s: %s", query, a.raw)
			}
		}
	})
}

// TestMe checks that the alias is refused in the way that the RFC wants (M01), whatever is done to it.
func TestMe(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t))
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		s.do(t, "okta", method, "/Me", "{}").want(t, http.StatusNotImplemented)
	}
	s.do(t, "nobody", http.MethodGet, "/Me", nil).want(t, http.StatusUnauthorized)
}

// TestHead checks on a socket that HEAD tells what GET does, without the body.
func TestHead(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t))
	u := s.createUser(t, "okta", "ada")
	g := s.createGroup(t, "okta", "Analysts", u)
	front := httptest.NewServer(s)
	defer front.Close()
	type reply struct {
		status int
		length int64
		header http.Header
	}
	ask := func(method, path string) reply {
		r, err := http.NewRequestWithContext(t.Context(), method, front.URL+scim.DefaultBasePath+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+s.tokens["okta"])
		resp, err := front.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || method == http.MethodHead && len(body) > 0 {
			t.Errorf("%s %s: %d bytes, %v", method, path, len(body), err)
		}
		return reply{resp.StatusCode, resp.ContentLength, resp.Header}
	}
	for _, path := range []string{"/Users/" + u, "/Groups/" + g, "/Users", "/Groups?count=1", "/Schemas", "/ServiceProviderConfig", "/Users/none", "?count=1"} {
		get, head := ask(http.MethodGet, path), ask(http.MethodHead, path)
		if head.status != get.status || head.length != get.length {
			t.Errorf("%s: HEAD %d with %d bytes, GET %d with %d", path, head.status, head.length, get.status, get.length)
		}
		for _, name := range []string{"ETag", "Content-Type"} {
			if head.header.Get(name) != get.header.Get(name) {
				t.Errorf("%s: %s %q, want %q", path, name, head.header.Get(name), get.header.Get(name))
			}
		}
	}
}

// TestLimits_AreNamed checks that whoever exceeds a limit learns which one it was.
func TestLimits_AreNamed(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t), func(o *scim.Options) {
		o.Limits = scim.Limits{Body: 5000, Operations: 3, Page: 20, Filter: 300}
	})
	id := s.createUser(t, "okta", "ada")
	four := patchOp(op("add", "title", "a"), op("add", "title", "b"), op("add", "title", "c"), op("add", "title", "d"))
	for name, c := range map[string]struct {
		method, path string
		body         any
		status       int
		detail       string
	}{
		"body":       {http.MethodPost, "/Users", `{"userName":"` + strings.Repeat("x", 6000) + `"}`, http.StatusRequestEntityTooLarge, "5000"},
		"operations": {http.MethodPatch, "/Users/" + id, four, http.StatusRequestEntityTooLarge, "3"},
		"filter":     {http.MethodGet, "/Users?filter=title+eq+%22" + strings.Repeat("x", 300) + "%22", nil, http.StatusBadRequest, "300"},
		"search":     {http.MethodPost, "/Users/.search", search("filter", `title eq "`+strings.Repeat("x", 300)+`"`), http.StatusBadRequest, "300"},
		"sortBy":     {http.MethodGet, "/Users?sortBy=" + strings.Repeat("x", 301), nil, http.StatusBadRequest, "300"},
		"depth":      {http.MethodGet, "/Users?filter=" + strings.Repeat("(", 40) + "title+pr" + strings.Repeat(")", 40), nil, http.StatusBadRequest, "32"},
		"JSON":       {http.MethodPost, "/Users", strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40), http.StatusBadRequest, "32"},
	} {
		if a := s.do(t, "okta", c.method, c.path, c.body).want(t, c.status); !strings.Contains(a.str("detail"), c.detail) {
			t.Errorf("%s: %s", name, a.raw)
		}
	}
	config := s.do(t, "okta", http.MethodGet, "/ServiceProviderConfig", nil)
	for path, want := range map[string]string{"filter.maxResults": "20", "pagination.maxPageSize": "20", "bulk.maxPayloadSize": "5000", "bulk.maxOperations": "3"} {
		if got := jsonText(config.get(path)); got != want {
			t.Errorf("%s = %s, want %s", path, got, want)
		}
	}
}

// TestBasePath_Root serves at the root of the host, where the root query has a path of its own.
func TestBasePath_Root(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t), func(o *scim.Options) { o.BasePath = "/" })
	for path, status := range map[string]int{"/": http.StatusOK, "/Users": http.StatusOK, "/Users/": http.StatusOK, "/none": http.StatusNotFound} {
		if rec := s.raw(t, http.MethodGet, path, "Bearer "+s.tokens["okta"]); rec.Code != status {
			t.Errorf("%s: %d, want %d", path, rec.Code, status)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://scim.example/.search", strings.NewReader("{}"))
	r.Header.Set("Authorization", "Bearer "+s.tokens["okta"])
	s.send(t, r).want(t, http.StatusOK)
}
