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
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/scim"
)

// people are the users that the filters below choose from.
func people(t *testing.T, s *server) {
	t.Helper()
	for _, u := range []map[string]any{
		user("ada@y.net", "externalId", "Ext-1", "name", map[string]any{"familyName": "Zeta"}, "title", "Boss", "active", true,
			"emails", []any{map[string]any{"value": "Ada@y.net", "type": "work", "primary": true}, map[string]any{"value": "home@x.org", "type": "home"}},
			enterpriseURN, map[string]any{"department": "Eng", "manager": map[string]any{"value": "m-1"}}),
		user("Bob", "displayName", "Bob Babbage", "name", map[string]any{"familyName": "Abel"}, "title", `Sa"y`, "active", false,
			"emails", []any{map[string]any{"value": "bob@z.net", "type": "home"}}),
		user("carol", "externalId", "ext-1", "name", map[string]any{"familyName": "Young"}),
	} {
		s.do(t, "okta", http.MethodPost, "/Users", u).want(t, http.StatusCreated)
	}
}

func TestList_Filters(t *testing.T) {
	const core = "urn:ietf:params:scim:schemas:core:2.0:User:"
	cases := map[string]string{
		`name.familyName eq "Zeta"`: "ada", `name.familyName ne "Zeta"`: "bob carol", `name.familyName co "oun"`: "carol",
		`name.familyName sw "Ab"`: "bob", `name.familyName ew "ta"`: "ada", `title pr`: "ada bob", `not (title pr)`: "carol",
		`name.familyName gt "M"`: "ada carol", `name.familyName le "Young"`: "bob carol",
		`meta.created gt "2015-10-10T14:38:21.8617979-07:00"`: "ada bob carol", `meta.lastModified lt "2015-10-10T14:38:21Z"`: "",
		`name.familyName eq "Abel" or name.familyName eq "Zeta" and title eq "none"`:   "bob",
		`(name.familyName eq "Abel" or name.familyName eq "Zeta") and title eq "Boss"`: "ada",
		`not (name.familyName eq "Abel" or name.familyName eq "Zeta")`:                 "carol",
		`emails[type eq "work" and value co "@x.org"]`:                                 "", `emails[type eq "home" and value co "@x.org"]`: "ada",
		`emails.value ew "@z.net"`: "bob", `name.familyName EQ "Zeta" AND title Pr`: "ada", `NAME.FAMILYNAME eq "ZETA"`: "ada",
		`userName eq "ADA@Y.NET"`: "ada", `externalId eq "ext-1"`: "carol", core + `name.familyName eq "Zeta"`: "ada",
		enterpriseURN + `:department eq "Eng"`: "ada", enterpriseURN + `:manager.value eq "m-1"`: "ada", `active eq false`: "bob",
		`title eq "Sa\"y"`: "bob", `emails co "@y.net"`: "ada", `nope eq "x"`: "", `password pr`: "", `password eq "x"`: "",
		`emails[type eq "work"].value eq "ada@y.net"`: "ada", `userName eq "nobody"`: "", `id pr`: "ada bob carol",
		`((((name.familyName eq "Zeta"))))`: "ada", `meta.resourceType eq "User"`: "ada bob carol", `userName eq bob`: "bob",
		`userName sw "a" and active eq true`: "ada", `userName eq "bob" and title eq "none"`: "", `displayName eq "bob babbage"`: "bob",
		`emails[value eq "bob@z.net" or type eq "work"]`: "ada bob", `emails[type eq "home"]`: "ada bob", `emails pr`: "ada bob",
		`externalId pr`: "ada carol", `displayName ne "x"`: "ada bob carol", `not (displayName eq "Bob Babbage")`: "ada carol",
		`userName gt "b"`: "bob carol", `not (emails.value co "net")`: "carol", `emails[primary eq true and value sw "ada"]`: "ada",
	}
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := newServer(t, db)
		people(t, s)
		for filter, want := range cases {
			a := s.do(t, "okta", http.MethodGet, "/Users?attributes=userName&filter="+url.QueryEscape(filter), nil)
			if a.status != http.StatusOK {
				t.Errorf("%s: %d %s", filter, a.status, a.raw)
				continue
			}
			var got []string
			for _, u := range a.list("Resources") {
				name, _, _ := strings.Cut(strings.ToLower(answer{json: u}.str("userName")), "@")
				got = append(got, name)
			}
			if slices.Sort(got); strings.Join(got, " ") != want || jsonText(a.get("totalResults")) != fmt.Sprint(len(got)) {
				t.Errorf("%s: %v of %v, want %q", filter, got, a.get("totalResults"), want)
			}
		}
	})
}

func TestList_FiltersRefused(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t))
	people(t, s)
	for name, filter := range map[string]string{
		"F30 syntax": `userName eq`, "F31 order of booleans": `active gt true`, "no operator": `userName "x"`,
		"M06 parentheses": strings.Repeat("(", 3000) + `userName eq "x"` + strings.Repeat(")", 3000),
		"too long":        `userName eq "` + strings.Repeat("x", 5000) + `"`, "complex": `name eq "x"`, "trailing": `userName eq "x" )`,
		"no number": `userName eq "x" and (`,
	} {
		a := s.do(t, "okta", http.MethodGet, "/Users?filter="+url.QueryEscape(filter), nil).want(t, http.StatusBadRequest)
		if a.str("scimType") != "invalidFilter" {
			t.Errorf("%s: scimType %q", name, a.str("scimType"))
		}
	}
	// A query string that cannot be read must not lose the filter and list everybody.
	s.do(t, "okta", http.MethodGet, "/Users?filter=userName+eq+%22x%2", nil).want(t, http.StatusBadRequest)
	s.do(t, "okta", http.MethodGet, "/Users?count=many", nil).want(t, http.StatusBadRequest)
	s.do(t, "okta", http.MethodGet, "/Users?filter=userName+eq+%22%00%22", nil).want(t, http.StatusBadRequest)
	s.do(t, "okta", http.MethodGet, "/Users?filter=userName+eq+%22%ff%22", nil).want(t, http.StatusBadRequest)
}

func TestList_Blanks(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t))
	people(t, s)
	for _, q := range []string{"userName+eq+%22bob%22", "userName%20eq%20%22bob%22", "userName+eq+%22BOB%22&startIndex=1&count=100"} { // F36
		if n := jsonText(s.do(t, "okta", http.MethodGet, "/Users?filter="+q, nil).get("totalResults")); n != "1" {
			t.Errorf("%s: %s results", q, n)
		}
	}
}

func TestList_Pages(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := newServer(t, db)
		var ids []string
		for i := range 7 {
			ids = append(ids, s.createUser(t, "okta", fmt.Sprintf("user%d", i)))
			s.createUser(t, "other", fmt.Sprintf("foreign%d", i))
		}
		slices.Sort(ids)
		for _, c := range []struct {
			query              string
			start, count, from int
		}{
			{"", 1, 7, 0},
			{"count=1", 1, 1, 0},
			{"startIndex=3&count=2", 3, 2, 2},
			{"startIndex=6&count=5", 6, 2, 5}, // P02, P03
			{"startIndex=0&count=2", 1, 2, 0},
			{"startIndex=-7&count=2", 1, 2, 0}, // P04
			{"count=0", 1, 0, 0},
			{"count=-3", 1, 0, 0}, // P05, P06
			{"startIndex=99&count=2", 99, 0, 0},
			{"startIndex=8", 8, 0, 0}, // P07
			{"count=1000000", 1, 7, 0},
			{"count=99999999999999999999", 1, 7, 0}, // P08
			{"count=0&filter=userName+sw+%22user%22", 1, 0, 0},
			{"startIndex=2&filter=userName+sw+%22user%22", 2, 6, 1},
			{"startIndex=2&count=3&filter=name.familyName+ne+%22x%22", 2, 3, 1},
			{"count=0&filter=not+(title+pr)", 1, 0, 0},
		} {
			a := s.do(t, "okta", http.MethodGet, "/Users?"+c.query, nil).want(t, http.StatusOK)
			var got []string
			for _, u := range a.list("Resources") {
				got = append(got, answer{json: u}.str("id"))
			}
			if !slices.Equal(got, ids[c.from:c.from+c.count]) {
				t.Errorf("%q: ids %v, want %v", c.query, got, ids[c.from:c.from+c.count])
			}
			for name, want := range map[string]int{"totalResults": 7, "startIndex": c.start, "itemsPerPage": c.count} { // P01
				if jsonText(a.get(name)) != fmt.Sprint(want) {
					t.Errorf("%q: %s %v, want %d", c.query, name, a.get(name), want)
				}
			}
		}
		for query, want := range map[string]int{"count=0&filter=userName+eq+%22user1%22": 1, "startIndex=2&filter=userName+eq+%22user1%22": 1, "count=0&filter=userName+eq+%22x%22": 0} {
			a := s.do(t, "okta", http.MethodGet, "/Users?"+query, nil).want(t, http.StatusOK)
			if jsonText(a.get("totalResults")) != fmt.Sprint(want) || len(a.list("Resources")) != 0 {
				t.Errorf("%s: %s", query, a.raw)
			}
		}
	})
}

func TestList_Groups(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := newServer(t, db)
		ada := s.createUser(t, "okta", "ada")
		a, b := s.createGroup(t, "okta", "Analysts", ada), s.createGroup(t, "okta", "Brands")
		for filter, want := range map[string][]string{
			`displayName eq "ANALYSTS"`: {a}, `displayName sw "b"`: {b}, `members.value eq "` + ada + `"`: {a}, // F33
			`members[value eq "` + ada + `"]`: {a}, `members pr`: {a}, `not (members pr)`: {b}, `members eq "` + ada + `"`: {a},
			`members.value eq "nobody"`: nil, `id eq "` + b + `"`: {b}, `externalId eq "x"`: nil,
			`meta.resourceType eq "Group" and displayName co "a"`: {a, b}, `displayName eq "x" or members pr`: {a},
			`members.display eq "ADA"`: {a}, `members[type eq "User"]`: {a}, `members.value sw "` + ada[:9] + `"`: {a},
			`members.value ne "` + ada + `"`: {b}, `not (members.type pr)`: {b}, `displayName eq "x" and members.type pr`: nil,
			`members[type eq "User" and value eq "` + ada + `"] or title pr`: {a}, `not (members[value co "0"] and nope pr)`: {a, b},
		} {
			list := s.do(t, "okta", http.MethodGet, "/Groups?excludedAttributes=members&filter="+url.QueryEscape(filter), nil).want(t, http.StatusOK)
			var got []string
			for _, g := range list.list("Resources") {
				doc := answer{json: g}
				if got = append(got, doc.str("id")); doc.get("members") != nil {
					t.Errorf("%s: members shown", filter)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", filter, got, want)
			}
		}
		if all := s.do(t, "okta", http.MethodGet, "/Groups", nil); len(all.list("Resources.0.members")) != 1 || all.get("Resources.1.members") != nil {
			t.Errorf("list with members: %s", all.raw)
		}
	})
}

func TestList_ScanIsBounded(t *testing.T) {
	db := databasetest.SQLite(t)
	s := newServer(t, db, func(o *scim.Options) {
		o.Directory = directory.New(db, nil, directory.Options{Sources: []directory.Source{{Name: "okta"}}, ScanLimit: 20})
	})
	seed(t, db, 25)
	if a := s.do(t, "okta", http.MethodGet, "/Users?filter=title+eq+%22x%22", nil).want(t, http.StatusBadRequest); a.str("scimType") != "tooMany" {
		t.Errorf("scimType %q", a.str("scimType"))
	}
	a := s.do(t, "okta", http.MethodGet, "/Users?filter=title+eq+%22x%22+or+userName+eq+%22user1%40example.org%22", nil).want(t, http.StatusBadRequest)
	if a.str("scimType") != "tooMany" {
		t.Errorf("scimType %q", a.str("scimType"))
	}
	// Narrowed down by an index it is answered.
	b := s.do(t, "okta", http.MethodGet, "/Users?filter=locale+eq+%22en-US%22+and+userName+eq+%22user1%40example.org%22", nil).want(t, http.StatusOK)
	if jsonText(b.get("totalResults")) != "1" {
		t.Errorf("totalResults %v", b.get("totalResults"))
	}
}

func TestETags(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := newServer(t, db)
		u, g := "/Users/"+s.createUser(t, "okta", "ada"), "/Groups/"+s.createGroup(t, "okta", "Analysts")
		for _, path := range []string{u, g} {
			a := s.do(t, "okta", http.MethodGet, path, nil)
			tag := a.header.Get("ETag")
			if tag == "" || tag != a.str("meta.version") { // E02
				t.Errorf("%s: ETag %q, meta.version %q", path, tag, a.str("meta.version"))
			}
			for _, same := range []string{tag, strings.TrimPrefix(tag, "W/"), `W/"77", ` + tag, "*"} { // E05
				s.do(t, "okta", http.MethodGet, path, nil, "If-None-Match", same).want(t, http.StatusNotModified)
			}
			s.do(t, "okta", http.MethodGet, path, nil, "If-None-Match", `W/"77"`).want(t, http.StatusOK)
			change := patchOp(op("replace", "externalId", "x"))
			for _, old := range []string{`W/"77"`, `"77"`, "nonsense", `W/"x"`} { // E03
				s.do(t, "okta", http.MethodPatch, path, change, "If-Match", old).want(t, http.StatusPreconditionFailed)
				s.do(t, "okta", http.MethodDelete, path, nil, "If-Match", old).want(t, http.StatusPreconditionFailed)
				put := user("ada")
				put["displayName"], put["schemas"] = "Analysts", []string{userURN, groupURN}
				s.do(t, "okta", http.MethodPut, path, put, "If-Match", old).want(t, http.StatusPreconditionFailed)
			}
			if a := s.do(t, "okta", http.MethodPatch, path+"?attributes=meta", change, "If-Match", `W/"77", `+tag).want(t, http.StatusOK); a.header.Get("ETag") == tag { // E04
				t.Errorf("%s: the ETag did not change", path)
			}
			s.do(t, "okta", http.MethodPatch, path, change, "If-Match", tag).want(t, http.StatusPreconditionFailed)
			// The same preconditions the other way around.
			s.do(t, "okta", http.MethodGet, path, nil, "If-Match", tag).want(t, http.StatusPreconditionFailed)
			s.do(t, "okta", http.MethodGet, path, nil, "If-Match", "*").want(t, http.StatusOK)
			s.do(t, "okta", http.MethodPatch, path, change, "If-None-Match", "*").want(t, http.StatusPreconditionFailed)
			s.do(t, "okta", http.MethodDelete, path, nil, "If-None-Match", `"x", *`).want(t, http.StatusPreconditionFailed)
			s.do(t, "okta", http.MethodDelete, path, nil, "If-Match", "*").want(t, http.StatusNoContent)
		}
	})
}
