package filter_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/scim/filter"
	"github.com/matomo-scim/bridge/scim/schema"
)

// keyOf binds an order and gives the key of a document.
func keyOf(t *testing.T, name string, doc schema.Document) filter.Key {
	t.Helper()
	o, err := filter.BindOrder(schema.User(), name, false, filter.Options{Tolerant: true})
	if err != nil {
		t.Fatal(err)
	}
	return o.Key(doc)
}

func TestBindOrder(t *testing.T) {
	for name, want := range map[string]string{
		"": "", "USERNAME": "userName", "emails": "emails.value", "name.FamilyName": "name.familyName", "members": "members", "groups": "groups.value",
		"urn:ietf:params:scim:schemas:core:2.0:user:userName": "userName", "department": schema.EnterpriseURN + ":department",
		schema.EnterpriseURN + ":manager": schema.EnterpriseURN + ":manager.value", "meta.created": "meta.created", "a b": "a b", "id": "id",
		"schemas": "schemas", "password": "password", "x509Certificates": "x509Certificates.value", "name.nope": "name.nope",
	} {
		o, err := filter.BindOrder(schema.User(), name, true, filter.Options{Tolerant: true})
		if got := o.Path.String(); err != nil || got != want || o.Given() != (name != "") {
			t.Errorf("%q: %q, given %v, %v, want %q", name, got, o.Given(), err, want)
		}
		unknown := strings.Contains(" members password nope a b  name.nope", " "+name)
		if o.Known() == unknown {
			t.Errorf("%q: known %v", name, o.Known())
		}
	}
	for _, name := range []string{"name", "meta", "addresses", schema.UserURN + ":name"} {
		_, err := filter.BindOrder(schema.User(), name, false, filter.Options{})
		if e, ok := errors.AsType[*schema.Error](err); !ok || e.ScimType != schema.InvalidPath {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Without tolerance an attribute of an extension needs its URN.
	if o, err := filter.BindOrder(schema.User(), "department", false, filter.Options{}); err != nil || o.Known() {
		t.Errorf("department: %+v, %v", o, err)
	}
}

func TestOrder_Key(t *testing.T) {
	doc := schema.Document{
		"userName": "ADA", "externalId": "Ext", "title": "", "active": true, "password": "x", "profileUrl": "HTTP://x",
		"name":         map[string]any{"familyName": "Straße"},
		"emails":       []any{map[string]any{"value": "b@x"}, map[string]any{"value": "A@x", "primary": true}},
		"phoneNumbers": []any{map[string]any{"type": "work"}, map[string]any{"value": "1"}}, "roles": []any{}, "ims": "no list",
		"meta": map[string]any{"created": "2026-01-01T01:00:00.5+01:00", "lastModified": "yesterday"}, "schemas": []any{"b", "a"},
	}
	for name, want := range map[string]filter.Key{
		"userName": {Text: "ada"}, "externalId": {Text: "Ext"}, "title": {Missing: true}, "nickName": {Missing: true}, "active": {Text: "1"},
		"password": {Missing: true}, "profileUrl": {Text: "HTTP://x"}, "name.familyName": {Text: "straße"}, "emails": {Text: "a@x"}, "emails.type": {Missing: true},
		"phoneNumbers": {Missing: true}, "phoneNumbers.type": {Text: "work"}, "roles": {Missing: true}, "ims": {Missing: true}, "schemas": {Text: "b"},
		"meta.created": filter.TimeKey(time.Date(2026, 1, 1, 0, 0, 0, 500_000_000, time.UTC)), "meta.lastModified": {Missing: true},
		"emails.primary": {Text: "1"}, "nope": {Missing: true}, "department": {Missing: true},
	} {
		if got := keyOf(t, name, doc); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	if got := (filter.Order{}).Key(doc); !got.Missing {
		t.Errorf("no order: %+v", got)
	}
}

// TestKey_OrdersAsValuesDo draws pairs of values: their keys compare as they do.
func TestKey_OrdersAsValuesDo(t *testing.T) {
	ratings, err := schema.NewUser(&schema.Schema{ID: "urn:example:1.0:User", Name: "Rating", Attributes: []schema.Attribute{{Name: "rating", Type: schema.Decimal}}})
	if err != nil {
		t.Fatal(err)
	}
	rating, err := filter.BindOrder(ratings, "urn:example:1.0:User:rating", false, filter.Options{})
	if err != nil {
		t.Fatal(err)
	}
	number := func(f float64) filter.Key {
		text, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		return rating.Key(schema.Document{"urn:example:1.0:User": map[string]any{"rating": json.Number(text)}})
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Float64().Draw(t, "a"), rapid.Float64().Draw(t, "b")
		if got := number(a).Compare(number(b)); got != cmp.Compare(a, b) && a != b { // 0 and -0 are equal
			t.Fatalf("%v and %v: %d", a, b, got)
		}
		year := rapid.Int64Range(-62_135_596_800, 253_402_300_799)
		at := func(name string) time.Time {
			return time.Unix(year.Draw(t, name), rapid.Int64Range(0, 999_999_999).Draw(t, name+" ns")).UTC()
		}
		x, y := at("x"), at("y")
		if got := filter.TimeKey(x).Compare(filter.TimeKey(y)); got != x.Compare(y) {
			t.Fatalf("%v and %v: %d", x, y, got)
		}
		if back := filter.TimeKey(x).Time(); !back.Equal(x) {
			t.Fatalf("%v came back as %v", x, back)
		}
	})
	if number(-math.MaxFloat64).Compare(number(math.MaxFloat64)) != -1 || filter.BoolKey(false).Compare(filter.BoolKey(true)) != -1 {
		t.Error("the ends are the wrong way around")
	}
	if !filter.BoolKey(true).Bool() || filter.BoolKey(false).Bool() {
		t.Error("a boolean came back as another one")
	}
	for _, text := range []string{"", "x", strings.Repeat("x", 22), strings.Repeat("9", 30)} {
		if got := (filter.Key{Text: text}).Time(); !got.IsZero() {
			t.Errorf("%q is the time %v", text, got)
		}
	}
	none, some := filter.Key{Missing: true}, filter.Key{Text: "\U0010FFFF"}
	if none.Compare(some) != 1 || some.Compare(none) != -1 || none.Compare(none) != 0 {
		t.Error("a missing value does not come last")
	}
}

// FuzzBindOrder sorts by whatever a client writes: it is an order that every document has a key in, or an error that
// the client can read.
func FuzzBindOrder(f *testing.F) {
	for _, name := range []string{"userName", "NAME.familyName", schema.EnterpriseURN + ":manager", "meta", "emails.primary", "urn:", "a.b.c", "groups.$ref", "x:y.z"} {
		f.Add(name, true)
	}
	doc := schema.Document{
		"id": "1", "userName": "a", "active": true, "emails": []any{"x", map[string]any{"value": json.Number("1")}}, "name": []any{}, "groups": 3,
		schema.EnterpriseURN: map[string]any{"manager": "m"}, "meta": map[string]any{"created": "2026-01-01T00:00:00Z"},
	}
	f.Fuzz(func(t *testing.T, name string, tolerant bool) {
		o, err := filter.BindOrder(schema.User(), name, false, filter.Options{Tolerant: tolerant})
		if err != nil {
			if e, ok := errors.AsType[*schema.Error](err); !ok || e.ScimType != schema.InvalidPath {
				t.Fatalf("%q: %v", name, err)
			}
			return
		}
		if key := o.Key(doc); key.Missing && key.Text != "" || !o.Known() && !key.Missing {
			t.Fatalf("%q: %+v", name, key)
		}
		// A canonical name is found again.
		again, err := filter.BindOrder(schema.User(), o.Path.String(), false, filter.Options{Tolerant: tolerant})
		if err != nil || again.Known() != o.Known() || o.Known() && again.Path != o.Path {
			t.Fatalf("%q is %q, which is %q: %v", name, o.Path, again.Path, err)
		}
	})
}
