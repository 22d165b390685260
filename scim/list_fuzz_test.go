package scim_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/scim"
)

// FuzzListings asks listings for whatever a client can write into a query string and into the body of a search: the
// answer is a list or an error that the client can read, never a fault of the server.
func FuzzListings(f *testing.F) {
	for _, query := range []string{
		"filter=userName+eq+%22ada%22&count=1&startIndex=2", "sortBy=emails.type&sortOrder=descending&cursor=&count=1", "attributes=name.familyName,members&excludedAttributes=groups",
		"filter=members%5Bdisplay+co+%22a%22%5D+or+title+pr&sortBy=displayName", "filter=not+(meta.location+sw+%22http%22)&sortBy=meta.created&cursor=AAAA", "count=%00&%zz",
		`{"filter":"groups.$ref ew \"x\"","sortBy":"userName","count":1,"cursor":""}`, `{"attributes":["a"],"startIndex":-1,"sortOrder":"descending"}`,
	} {
		for kind := range uint8(3) {
			f.Add(query, kind)
		}
	}
	s := newServer(f, databasetest.SQLite(f))
	ada := s.createUser(f, "okta", "ada", "displayName", "Ada")
	s.createUser(f, "okta", "bob", "title", "Boss")
	s.createGroup(f, "okta", "Analysts", ada)
	s.createGroup(f, "okta", "Brands")
	paths := []string{"/Users", "/Groups", ""}
	f.Fuzz(func(t *testing.T, text string, kind uint8) {
		path := scim.DefaultBasePath + paths[int(kind)%len(paths)]
		get := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://scim.example"+path, http.NoBody)
		get.URL.RawQuery = text
		post := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://scim.example"+path+"/.search", strings.NewReader(text))
		for _, r := range []*http.Request{get, post} {
			r.Header.Set("Authorization", "Bearer "+s.tokens["okta"])
			if a := s.send(t, r); a.status != http.StatusOK && a.status != http.StatusBadRequest {
				t.Fatalf("%s %s %q: %d %s", r.Method, path, text, a.status, a.raw)
			}
		}
	})
}
