package directory_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/scim/filter"
	"github.com/matomo-scim/bridge/scim/schema"
)

// testBase is what locations begin with.
const testBase = "https://scim.example/scim/v2"

// shown is a resource as a client sees it, and what it is compared with: the documents are put together here by hand,
// members included, which the store never does.
type shown struct {
	id  string
	doc schema.Document
}

// crowd makes users and groups that are few and alike, so that comparisons are often close, and gives what a client
// sees of those of okta.
func (s store) crowd() (users, groups []shown) {
	email := func(value, kind string, primary bool) any {
		m := map[string]any{"value": value}
		if kind != "" {
			m["type"] = kind
		}
		if primary {
			m["primary"] = true
		}
		return m
	}
	name := func(family string) map[string]any { return map[string]any{"familyName": family} }
	s.user("ldap", "foreign") // of nobody's business
	ada := s.user("okta", "ada", "displayName", "Ada", "externalId", "A", "title", "Boss", "name", name("Zeta"),
		"emails", []any{email("b@x.org", "home", false), email("Ada@y.net", "work", true)})
	bob := s.user("okta", "Bob", "displayName", "ada", "externalId", "a", "active", false, "emails", []any{email("a@x.org", "", false)})
	eve := s.user("okta", "eve", "name", name("abel"), "title", "boss", "emails", []any{email("ada@y.net", "work", false)})
	esz := s.user("okta", "Straße", "displayName", "É", "externalId", "b%", "nickName", "%_", "active", true)
	s.user("okta", "zoë", "displayName", "zz", schema.EnterpriseURN, map[string]any{"employeeNumber": "7", "manager": map[string]any{"value": "m-1"}})
	// Letters that fold with others or with none, the ends of the planes, and what LIKE and JSON treat in their own ways.
	s.user("okta", "\u212aelvin", "displayName", "", "externalId", " ", "title", "", "emails", []any{email("", "work", true), map[string]any{"display": "x"}})
	s.user("okta", "ma\u017f\u017f", "displayName", "\u0130\u0131", "externalId", "\u03c2\u03a3", "title", "\u03c3", "emails", []any{email("\u03c3@x.org", "WORK", false), email("\u03a3@X.ORG", "\u212a", false)})
	s.user("okta", "\U0010ffff", "displayName", "\uffff", "externalId", "\ue000", "name", name("\ud7ff"), "emails", []any{email(`\_"%`, "", false), email("b@x.org", "", true)})
	s.user("okta", "e\u0301", "displayName", `a\"'_`, "externalId", "A ", "active", false, "name", name("\U0001f600"))
	// Whose active was removed is what they were, and is found by it.
	s.set(bob, "active", nil)
	s.set(eve, "active", nil)
	s.group("ldap", "Analysts")
	inner := s.group("okta", "Inner", esz.ID)
	all := []directory.Group{
		inner, s.group("okta", "Analysts", ada.ID, bob.ID), s.group("okta", "brands", bob.ID), s.group("okta", "Ärzte", ada.ID, eve.ID, inner.ID),
		s.group("okta", "Nobody"), s.group("okta", "zz", "somebody who is not here yet"),
	}
	page, err := s.Users(s.tb.Context(), directory.Query{Source: "okta", Start: 1, Count: 100, Groups: true})
	if err != nil {
		s.tb.Fatal(err)
	}
	meta := func(kind, id, created, modified string, version int64) map[string]any {
		return map[string]any{
			"resourceType": kind, "created": created, "lastModified": modified,
			"location": testBase + "/" + kind + "s/" + id, "version": fmt.Sprintf("W/%q", fmt.Sprint(version)),
		}
	}
	for _, u := range page.Items {
		d := s.decode(u.Document)
		d["active"], d["id"], d["meta"] = u.Active, u.ID, meta("User", u.ID, u.Created.Format(directory.TimeFormat), u.Modified.Format(directory.TimeFormat), u.Version)
		var in []any
		for _, g := range u.Groups {
			in = append(in, map[string]any{"value": g.ID, "display": g.Name, "type": "direct", "$ref": testBase + "/Groups/" + g.ID})
		}
		if in != nil {
			d["groups"] = in
		}
		users = append(users, shown{u.ID, d})
	}
	for _, g := range all {
		d := s.decode(g.Document)
		d["id"], d["meta"] = g.ID, meta("Group", g.ID, g.Created.Format(directory.TimeFormat), g.Modified.Format(directory.TimeFormat), g.Version)
		var members []any
		err := s.Members(s.tb.Context(), g.ID, func(m directory.Member) error {
			members = append(members, map[string]any{"value": m.ID, "type": string(m.Kind), "display": m.Display, "$ref": testBase + "/" + string(m.Kind) + "s/" + m.ID})
			return nil
		})
		if err != nil {
			s.tb.Fatal(err)
		}
		if members != nil {
			d["members"] = members
		}
		groups = append(groups, shown{g.ID, d})
	}
	return users, groups
}

// decode reads a stored document.
func (s store) decode(document []byte) schema.Document {
	s.tb.Helper()
	d, err := schema.Decode(document)
	if err != nil {
		s.tb.Fatal(err)
	}
	return d
}

// vocabulary is what filters are made of: words of the crowd, so that they often match.
type vocabulary struct {
	texts, names, inner []string // inner in brackets, of list
	list                string
	dates               []string // of the crowd, in other zones, and a little off
}

// words collects the vocabulary of a type.
func words(list string, names []string, all ...[]shown) vocabulary {
	v := vocabulary{
		list: list, inner: []string{"value", "type", "display", "$ref", "nope"}, names: names,
		texts: []string{"a", "A", "ada", "AD", "b", "z", "%", "é", "É", "ß", "x.org", "work", "User", "group", "boss", "", "m-1", `W/"1"`, " ", "\u212a", "k", "\u017f", "s", "\u0130", "\u0131", "I", "i", "\u03c2", "\u03c3", "\u03a3", "\uffff", "\U0010ffff", "\ud7ff", "\ue000", "e\u0301", `\`, `"`, "'", "_", "\U0001f600", "@", testBase, testBase + "/Users/"},
	}
	for _, list := range all {
		for _, r := range list {
			created, _ := sub(r.doc, "meta", "created").(string)
			at, _ := schema.ParseTime(created) // a wrong one would not bind
			for _, off := range []time.Duration{0, 1, -1, time.Microsecond} {
				v.dates = append(v.dates, at.Add(off).In(time.FixedZone("", 5*3600+1800)).Format(time.RFC3339Nano))
			}
			v.texts = append(v.texts, r.id, r.id[:20], r.id[len(r.id)-4:], testBase+"/Users/"+r.id, "s/"+r.id)
		}
	}
	return v
}

// filters draws filters over the vocabulary.
func (v vocabulary) filters() *rapid.Generator[string] {
	ops := rapid.SampledFrom([]string{"eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "eq", "ne"})
	quoted := rapid.Map(rapid.SampledFrom(v.texts), func(s string) string {
		b, _ := json.Marshal(s) // a string always encodes
		return string(b)
	})
	comparison := func(names []string) *rapid.Generator[string] {
		return rapid.Custom(func(t *rapid.T) string {
			name := rapid.SampledFrom(names).Draw(t, "name")
			if name == "meta.created" || name == "meta.lastModified" {
				return name + " " + ops.Draw(t, "op") + ` "` + rapid.SampledFrom(v.dates).Draw(t, "date") + `"`
			}
			switch rapid.IntRange(0, 7).Draw(t, "kind") {
			case 0:
				return name + " pr"
			case 1:
				return name + " " + rapid.SampledFrom([]string{"eq", "ne"}).Draw(t, "op") + " null"
			}
			return name + " " + ops.Draw(t, "op") + " " + quoted.Draw(t, "value")
		})
	}
	leaf := rapid.OneOf(comparison(v.names), comparison(v.names), rapid.Custom(func(t *rapid.T) string {
		in := comparison(v.inner)
		f := in.Draw(t, "in")
		switch rapid.IntRange(0, 3).Draw(t, "shape") {
		case 0:
			f += rapid.SampledFrom([]string{" and ", " or "}).Draw(t, "join") + in.Draw(t, "in")
		case 1:
			f = "not (" + f + ")"
		}
		return v.list + "[" + f + "]"
	}), rapid.SampledFrom([]string{"active eq true", "active ne true", `active eq "False"`, "active eq null", "active pr", "emails[primary eq true]", `emails.primary ne "True"`, `emails[type eq "work"].value eq "ada@y.net"`, "employeeNumber eq 7", `meta.created gt "2020-01-01T00:00:00Z"`, `meta.lastModified le "2020-01-01T00:00:00Z"`, `meta.resourceType eq "User"`}))
	return rapid.Custom(func(t *rapid.T) string {
		f := leaf.Draw(t, "leaf")
		for range rapid.IntRange(0, 3).Draw(t, "size") {
			f = strings.NewReplacer("F", f, "G", leaf.Draw(t, "other")).Replace(rapid.SampledFrom([]string{"(F) and (G)", "(F) or (G)", "not (F)", "(G) and not (F)"}).Draw(t, "shape"))
		}
		return f
	})
}

// keys say what a resource is sorted by, independently of the code under test: present or not, and the text in order.
var keys = map[string]func(schema.Document) (string, bool){
	"userName":        func(d schema.Document) (string, bool) { return folded(d["userName"]) },
	"displayName":     func(d schema.Document) (string, bool) { return folded(d["displayName"]) },
	"externalId":      func(d schema.Document) (string, bool) { s, ok := d["externalId"].(string); return s, ok },
	"title":           func(d schema.Document) (string, bool) { return folded(d["title"]) },
	"id":              func(d schema.Document) (string, bool) { return folded(d["id"]) },
	"active":          func(d schema.Document) (string, bool) { b, ok := d["active"].(bool); return fmt.Sprint(b), ok },
	"name.familyName": func(d schema.Document) (string, bool) { return folded(sub(d, "name", "familyName")) },
	"meta.created":    func(d schema.Document) (string, bool) { return folded(sub(d, "meta", "created")) },
	"meta.lastModified": func(d schema.Document) (string, bool) {
		return folded(sub(d, "meta", "lastModified"))
	},
	"emails": func(d schema.Document) (string, bool) {
		list, _ := d["emails"].([]any)
		for i, v := range slices.Backward(list) { // the primary one, else the first
			if m, _ := v.(map[string]any); i == 0 || m["primary"] == true {
				return folded(m["value"])
			}
		}
		return "", false
	},
	schema.EnterpriseURN + ":manager.value": func(d schema.Document) (string, bool) {
		e, _ := d[schema.EnterpriseURN].(map[string]any)
		s, ok := sub(e, "manager", "value").(string)
		return s, ok
	},
	"meta.location": func(d schema.Document) (string, bool) { s, ok := sub(d, "meta", "location").(string); return s, ok },
	"nope":          func(schema.Document) (string, bool) { return "", false },
	"password":      func(schema.Document) (string, bool) { return "", false },
}

// folded is a key that is compared without case. Nobody is sorted by an empty text.
func folded(v any) (string, bool) {
	s, _ := v.(string)
	return schema.Fold(s), s != ""
}

func sub(d schema.Document, name, sub string) any {
	m, _ := d[name].(map[string]any)
	return m[sub]
}

// expected are the ids of the resources that match, in order.
func expected(all []shown, matches func(shown) bool, by string, descending bool) []string {
	var out []shown
	for _, r := range all {
		if matches(r) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b shown) int {
		c := 0
		if by != "" {
			ka, oka := keys[by](a.doc)
			kb, okb := keys[by](b.doc)
			switch {
			case oka && okb:
				c = strings.Compare(ka, kb)
			case oka:
				c = -1
			case okb:
				c = 1
			}
		}
		if c = cmp.Or(c, strings.Compare(a.id, b.id)); descending {
			c = -c
		}
		return c
	})
	ids := make([]string, len(out))
	for i, r := range out {
		ids[i] = r.id
	}
	return ids
}

// question is a filter and an order for one type.
type question struct {
	filter, by string
	descending bool
}

// bind binds a question; skip is called when the filter does not fit the type.
func (q question) bind(rt *schema.ResourceType, skip func(...any)) directory.Query {
	opt := filter.Options{Tolerant: true}
	e, err := filter.Parse(q.filter, opt)
	if err != nil {
		skip(err)
	}
	b, err := filter.Bind(e, rt, opt)
	if err != nil {
		skip(err)
	}
	order, err := filter.BindOrder(rt, q.by, q.descending, opt)
	if err != nil {
		skip(err)
	}
	return directory.Query{Source: "okta", Base: testBase, Filter: &b, Order: order}
}

// walks checks that every way through the pages gives want: by number, by cursor, and the total alone. More may be
// found on the pages of a cursor than fit one; a page is what page returns.
func walks(t *rapid.T, want []string, page func(start, count int, cursor bool, after *directory.Position) (ids []string, total int, next *directory.Position)) {
	size := rapid.IntRange(1, len(want)+2).Draw(t, "size")
	var got []string
	for start := 1; ; start += size {
		ids, total, _ := page(start, size, false, nil)
		if total != len(want) {
			t.Fatalf("page of %d from %d: total %d, want %d", size, start, total, len(want))
		}
		if len(ids) == 0 {
			break
		}
		got = append(got, ids...)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("by number, %d a page:\n%v, want\n%v", size, got, want)
	}
	if ids, total, _ := page(1, 0, false, nil); len(ids) != 0 || total != len(want) {
		t.Fatalf("total alone: %v of %d", ids, total)
	}
	got = nil
	for after, i := (*directory.Position)(nil), 0; ; i++ {
		ids, total, next := page(1, size, true, after)
		if got = append(got, ids...); len(ids) > size || total >= 0 && total != len(want) || i > len(want)+2 {
			t.Fatalf("by cursor, %d a page: %d of %d, page %d", size, len(ids), total, i)
		}
		if after = next; after == nil {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("by cursor, %d a page:\n%v, want\n%v", size, got, want)
	}
}

// TestListings_AgreeWithMatch is the contract of listings: whatever part of a filter or an order the database does, the
// answer is the one that evaluating all documents gives, on pages of every size.
func TestListings_AgreeWithMatch(t *testing.T) {
	run(t, func(t *testing.T, s store) {
		users, groups := s.crowd()
		everyone := append(slices.Clone(users), groups...)
		orders := []string{""}
		for by := range keys {
			orders = append(orders, by)
		}
		slices.Sort(orders)
		asks := func(rt *rapid.T, v vocabulary) question {
			return question{v.filters().Draw(rt, "filter"), rapid.SampledFrom(orders).Draw(rt, "by"), rapid.Bool().Draw(rt, "descending")}
		}
		userWords := words("emails", []string{
			"id", "userName", "externalId", "displayName", "emails", "emails.type", "title", "name.familyName", "groups", "groups.value",
			"groups.display", "groups.$ref", "meta.resourceType", "meta.location", "meta.version", "meta.created", "meta.lastModified", "nope", "password", "members.value", schema.UserURN + ":userName", schema.EnterpriseURN + ":employeeNumber",
		}, users, groups)
		groupWords := words("members", []string{
			"id", "displayName", "externalId", "members", "members.value", "members.display", "members.type", "members.$ref", "members.nope",
			"meta.resourceType", "meta.location", "meta.version", "meta.created", "nope", "title", "userName", schema.GroupURN + ":displayName",
		}, users, groups)
		t.Run("users", func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				ask := asks(rt, userWords)
				q := ask.bind(schema.User(), rt.Skip)
				want := expected(users, func(r shown) bool { return q.Filter.Match(r.doc) }, ask.by, ask.descending && ask.by != "")
				walks(rt, want, func(start, count int, cursor bool, after *directory.Position) (ids []string, total int, next *directory.Position) {
					q.Start, q.Count, q.Cursor, q.After, q.Counted = start, count, cursor, after, after != nil
					page, err := s.Users(t.Context(), q)
					if err != nil {
						rt.Fatal(err)
					}
					for _, u := range page.Items {
						ids = append(ids, u.ID)
					}
					return ids, page.Total, page.Next
				})
			})
		})
		t.Run("groups", func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				ask := asks(rt, groupWords)
				q := ask.bind(schema.Group(), rt.Skip)
				want := expected(groups, func(r shown) bool { return q.Filter.Match(r.doc) }, ask.by, ask.descending && ask.by != "")
				walks(rt, want, func(start, count int, cursor bool, after *directory.Position) (ids []string, total int, next *directory.Position) {
					q.Start, q.Count, q.Cursor, q.After, q.Counted = start, count, cursor, after, after != nil
					page, err := s.Groups(t.Context(), q)
					if err != nil {
						rt.Fatal(err)
					}
					for _, g := range page.Items {
						ids = append(ids, g.ID)
					}
					return ids, page.Total, page.Next
				})
			})
		})
		t.Run("all", func(t *testing.T) {
			both := userWords
			both.names = append(slices.Clone(both.names), groupWords.names...)
			rapid.Check(t, func(rt *rapid.T) {
				ask := asks(rt, both)
				uq, gq := ask.bind(schema.User(), rt.Skip), ask.bind(schema.Group(), rt.Skip)
				matches := func(r shown) bool {
					if _, ok := r.doc["userName"]; ok {
						return uq.Filter.Match(r.doc)
					}
					return gq.Filter.Match(r.doc)
				}
				want := expected(everyone, matches, ask.by, ask.descending && ask.by != "")
				if ask.by == "" { // users first
					want = append(expected(users, matches, "", false), expected(groups, matches, "", false)...)
				}
				walks(rt, want, func(start, count int, cursor bool, after *directory.Position) (ids []string, total int, next *directory.Position) {
					for _, q := range []*directory.Query{&uq, &gq} {
						q.Start, q.Count, q.Cursor, q.After, q.Counted = start, count, cursor, after, after != nil
					}
					page, err := s.Resources(t.Context(), uq, gq)
					if err != nil {
						rt.Fatal(err)
					}
					for _, r := range page.Items {
						if r.User != nil {
							ids = append(ids, r.User.ID)
						} else {
							ids = append(ids, r.Group.ID)
						}
					}
					return ids, page.Total, page.Next
				})
			})
		})
	})
}
