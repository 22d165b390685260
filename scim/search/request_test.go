package search_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/scim/schema"
	"github.com/matomo-scim/bridge/scim/search"
)

var limits = search.Limits{Page: 50, Filter: 40, Cursors: true}

// scimType is what an error says to a client, "" when it is none of those.
func scimType(err error) string {
	if e, ok := errors.AsType[*schema.Error](err); ok {
		return e.ScimType
	}
	return ""
}

func TestFromQuery(t *testing.T) {
	for text, want := range map[string]search.Request{
		"":                      {Start: 1, Count: 50},
		"startIndex=3&count=7":  {Start: 3, Count: 7},
		"startIndex=-1&count=0": {Start: 1},
		"count=-5":              {Start: 1},
		"count=51":              {Start: 1, Count: 50},
		"count=&startIndex=+4+": {Start: 4, Count: 50},
		"count=99999999999999999999999&startIndex=99999999999999999999999": {Start: 1<<31 - 1, Count: 50},
		"sortBy=+userName+&sortOrder=DESCENDING":                           {Start: 1, Count: 50, SortBy: "userName", Descending: true},
		"sortOrder=ascending&attributes=a,b&attributes=c":                  {Start: 1, Count: 50, Attributes: []string{"a,b", "c"}},
		"excludedAttributes=members&filter=id+pr":                          {Start: 1, Count: 50, Excluded: []string{"members"}, Filter: "id pr"},
		"cursor=":                      {Start: 1, Count: 50, ByCursor: true},
		"cursor=x&count=3&startIndex=": {Start: 1, Count: 3, ByCursor: true, Cursor: "x"},
		"cursor=x&count=1000":          {Start: 1, Count: 50, ByCursor: true, Cursor: "x"},
		"unknown=1":                    {Start: 1, Count: 50},
	} {
		q, err := url.ParseQuery(text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := search.FromQuery(q, limits)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestFromQuery_Refuses(t *testing.T) {
	for text, want := range map[string]string{
		"count=x": schema.InvalidValue, "startIndex=1.0": schema.InvalidValue, "sortOrder=desc": schema.InvalidValue,
		"filter=a&filter=b": schema.InvalidValue, "cursor=&cursor=": schema.InvalidValue,
		"filter=" + strings.Repeat("a", 41): schema.InvalidFilter, "sortBy=" + strings.Repeat("a", 41): schema.InvalidValue,
		"cursor=&count=0": search.InvalidCount, "cursor=&count=-1": search.InvalidCount, "cursor=&count=x": search.InvalidCount,
		"cursor=&startIndex=2": schema.InvalidValue,
	} {
		q, err := url.ParseQuery(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := search.FromQuery(q, limits); scimType(err) != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	off := limits
	off.Cursors = false
	if _, err := search.FromQuery(url.Values{"cursor": {""}}, off); scimType(err) != search.InvalidCursor {
		t.Errorf("switched off: %v", err)
	}
}

// TestFromBody_SaysTheSame writes the same parameters into a query string and a body, with names in any case there.
func TestFromBody_SaysTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q, body := url.Values{}, schema.Document{"schemas": []any{strings.ToUpper(schema.SearchRequestURN)}}
		spell := func(name string) string {
			return rapid.SampledFrom([]string{name, strings.ToLower(name), strings.ToUpper(name)}).Draw(t, "spelling")
		}
		for _, name := range []string{"filter", "sortBy", "sortOrder", "cursor"} {
			if rapid.Bool().Draw(t, name) {
				v := rapid.SampledFrom([]string{"", "id pr", "ascending", "descending", " x "}).Draw(t, "value")
				q.Set(name, v)
				body[spell(name)] = v
			}
		}
		for _, name := range []string{"startIndex", "count"} {
			if rapid.Bool().Draw(t, name) {
				v := rapid.SampledFrom([]string{"0", "1", "-3", "17", "1000000", "99999999999999999999", "1.5", "1e1"}).Draw(t, "value")
				q.Set(name, v)
				body[spell(name)] = json.Number(v)
			}
		}
		for _, name := range []string{"attributes", "excludedAttributes"} {
			if rapid.Bool().Draw(t, name) {
				q[name] = []string{"userName", "emails.value"}
				body[spell(name)] = []any{"userName", "emails.value"}
			}
		}
		fromQuery, err1 := search.FromQuery(q, limits)
		fromBody, err2 := search.FromBody(body, limits, schema.Mode{Strict: true})
		if scimType(err1) != scimType(err2) || (err1 == nil) != (err2 == nil) {
			t.Fatalf("%v: %v\n%v: %v", q, err1, body, err2)
		}
		if diff := cmp.Diff(fromQuery, fromBody); err1 == nil && diff != "" {
			t.Fatalf("%v\n%v\n%s", q, body, diff)
		}
	})
}

func TestFromBody_Modes(t *testing.T) {
	for text, want := range map[string][2]string{ // tolerant, strict; "" is taken
		`{}`:                     {"", schema.InvalidSyntax},
		`{"schemas": ["urn:x"]}`: {"", schema.InvalidSyntax},
		`{"schemas": ["` + schema.SearchRequestURN + `"], "count": "3"}`:           {"", schema.InvalidValue},
		`{"schemas": ["` + schema.SearchRequestURN + `"], "count": null}`:          {"", ""},
		`{"schemas": ["` + schema.SearchRequestURN + `"], "attributes": "a,b"}`:    {"", ""},
		`{"schemas": ["` + schema.SearchRequestURN + `"], "attributes": {}}`:       {schema.InvalidValue, schema.InvalidValue},
		`{"schemas": ["` + schema.SearchRequestURN + `"], "attributes": ["a", 1]}`: {schema.InvalidValue, schema.InvalidValue},
		`{"schemas": ["` + schema.SearchRequestURN + `"], "filter": 7}`:            {schema.InvalidValue, schema.InvalidValue},
		`{"schemas": ["` + schema.SearchRequestURN + `"], "startIndex": true}`:     {schema.InvalidValue, schema.InvalidValue},
		`{"filter": "id pr", "Filter": "title pr"}`:                                {schema.InvalidSyntax, schema.InvalidSyntax},
		`{"schemas": 3}`: {schema.InvalidValue, schema.InvalidValue},
	} {
		doc, err := schema.Decode([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		for i, strict := range []bool{false, true} {
			if _, err := search.FromBody(doc, limits, schema.Mode{Strict: strict}); scimType(err) != want[i] {
				t.Errorf("%s, strict %v: %v, want %q", text, strict, err, want[i])
			}
		}
	}
}

// FuzzFromBody reads whatever a client sends: it is a request within the limits, or an error that the client can read.
func FuzzFromBody(f *testing.F) {
	f.Add(`{"schemas":["`+schema.SearchRequestURN+`"],"filter":"userName pr","startIndex":1,"count":10,"cursor":""}`, true)
	f.Add(`{"COUNT":"-1","sortOrder":"Descending","attributes":["a"],"excludedAttributes":"b"}`, false)
	f.Fuzz(func(t *testing.T, text string, strict bool) {
		doc, err := schema.Decode([]byte(text))
		if err != nil {
			t.Skip()
		}
		r, err := search.FromBody(doc, limits, schema.Mode{Strict: strict})
		switch {
		case err != nil && scimType(err) == "":
			t.Fatalf("%q: %v", text, err)
		case err == nil && (r.Start < 1 || r.Count < 0 || r.Count > limits.Page || len(r.Filter) > limits.Filter || r.ByCursor && r.Count == 0):
			t.Fatalf("%q: %+v", text, r)
		}
	})
}
