package scim_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/scim"
)

// The lines of the RFC checklist, each a subtest that carries its id, over real HTTP, on both engines and for every
// profile that it is about. The lines of a part share a server, and each makes the resources it needs.

// line tests one line of the checklist.
type line func(t *testing.T, c *client)

// tolerant marks a line that is not in the RFC: the profile strict refuses what it is about.
var tolerant = map[string]bool{"F34": true, "PA35": true, "PA37": true, "PA38": true}

// parts are the lines by part.
var parts = map[string]map[string]line{
	"D": discoveryLines, "A": authLines, "C": createLines, "R": readLines, "P": pageLines, "S": sortLines, "F": filterLines,
	"X": searchLines, "U": putLines, "PA": patchLines, "L": deleteLines, "B": bulkLines, "E": etagLines, "M": robustLines, "K": cursorLines,
}

// client speaks to a server as an identity provider does.
type client struct {
	base, token string
	source      string // the profile that it has
	s           *server
}

// do makes a request; path is below the base path, or a whole URL. Body is as for server.do.
func (c *client) do(tb testing.TB, method, path string, body any, headers ...string) answer {
	tb.Helper()
	var text []byte
	switch b := body.(type) {
	case nil:
	case string:
		text = []byte(b)
	default:
		var err error
		if text, err = json.Marshal(b); err != nil {
			tb.Fatal(err)
		}
	}
	if strings.HasPrefix(path, "/") {
		path = c.base + path
	}
	r, err := http.NewRequestWithContext(tb.Context(), method, path, bytes.NewReader(text))
	if err != nil {
		tb.Fatal(err)
	}
	r.Header.Set("Content-Type", scim.ContentType)
	r.Header.Set("Authorization", "Bearer "+c.token)
	for i := 0; i+1 < len(headers); i += 2 {
		if r.Header.Set(headers[i], headers[i+1]); headers[i+1] == "" {
			r.Header.Del(headers[i])
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		tb.Fatal(err)
	}
	return read(tb, resp)
}

// get reads a resource or list that is there.
func (c *client) get(tb testing.TB, path string) answer {
	tb.Helper()
	return c.do(tb, http.MethodGet, path, nil).want(tb, http.StatusOK)
}

// create creates a resource and returns its path and the answer.
func (c *client) create(tb testing.TB, endpoint string, doc any) (string, answer) {
	tb.Helper()
	a := c.do(tb, http.MethodPost, endpoint, doc).want(tb, http.StatusCreated)
	return endpoint + "/" + a.str("id"), a
}

// patch changes a resource and returns it as it then is.
func (c *client) patch(tb testing.TB, path string, ops ...map[string]any) answer {
	tb.Helper()
	a := c.do(tb, http.MethodPatch, path, patchOp(ops...))
	if a.status != http.StatusOK && a.status != http.StatusNoContent {
		tb.Fatalf("PATCH: status %d\n%s", a.status, a.raw)
	}
	return c.get(tb, path)
}

// refused makes sure that a PATCH is refused with a scimType, and returns the resource, which must be as before.
func (c *client) refused(tb testing.TB, path string, scimTypes string, ops ...map[string]any) answer {
	tb.Helper()
	before := c.get(tb, path)
	a := c.do(tb, http.MethodPatch, path, patchOp(ops...)).want(tb, http.StatusBadRequest)
	if !slices.Contains(strings.Split(scimTypes, "|"), a.str("scimType")) {
		tb.Errorf("scimType %q, want %s\n%s", a.str("scimType"), scimTypes, a.raw)
	}
	after := c.get(tb, path)
	if before.raw != after.raw {
		tb.Errorf("changed all the same\nbefore %s\nafter  %s", before.raw, after.raw)
	}
	return after
}

// names are the userNames or displayNames of a list answer, in its order.
func (a answer) names(name string) []string {
	out := []string{}
	for _, r := range a.list("Resources") {
		out = append(out, answer{json: r}.str(name))
	}
	return out
}

// equal compares what JSON values look like.
func equal(tb testing.TB, what string, got, want any) {
	tb.Helper()
	if jsonText(got) != jsonText(want) {
		tb.Errorf("%s: %s, want %s", what, jsonText(got), jsonText(want))
	}
}

// person is a user document whose schemas are complete, as strict wants them; more are members and their values.
func person(userName string, more ...any) map[string]any {
	doc := user(userName, more...)
	if doc[enterpriseURN] != nil {
		doc["schemas"] = []string{userURN, enterpriseURN}
	}
	return doc
}

// object is short for a JSON object.
type object = map[string]any

func TestRFC(t *testing.T) {
	for _, source := range []string{"okta", "entra", "strict"} { // the profiles generic, entra and strict
		t.Run(source, func(t *testing.T) {
			databasetest.Run(t, func(t *testing.T, db *database.DB) {
				s := newServer(t, db)
				front := httptest.NewServer(s)
				t.Cleanup(front.Close)
				c := &client{base: front.URL + scim.DefaultBasePath, token: s.tokens[source], source: source, s: s}
				for _, part := range slices.Sorted(maps.Keys(parts)) {
					for _, id := range slices.Sorted(maps.Keys(parts[part])) {
						if source != "strict" || !tolerant[id] {
							t.Run(id, func(t *testing.T) { parts[part][id](t, c) })
						}
					}
				}
			})
		})
	}
}

// TestRFC_EveryLineHasATest reads the checklist, where it is at hand.
func TestRFC_EveryLineHasATest(t *testing.T) {
	have := map[string]bool{}
	for _, lines := range parts {
		for id := range lines {
			have[id] = true
		}
	}
	if len(have) != 170 {
		t.Errorf("%d lines are tested, want 170", len(have))
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "shared", "scim", "RFC.md"))
	if err != nil {
		return // only who builds the bridge has it
	}
	listed := regexp.MustCompile(`(?m)^\| ([A-Z]{1,2}[0-9]{2}) \|`).FindAllSubmatch(text, -1)
	if len(listed) != len(have) {
		t.Errorf("%d lines in the checklist, %d tests", len(listed), len(have))
	}
	for _, m := range listed {
		if !have[string(m[1])] {
			t.Errorf("line %s has no test", m[1])
		}
	}
}
