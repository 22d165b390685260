package attribute_test

import (
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/scim/schema/attribute"
)

const (
	coreURN  = "urn:test:core:2.0:Thing"
	extURN   = "urn:test:ext:2.0:Thing"
	plainURN = "urn:test:plain:1.0" // ends in a version, which reads as attribute and sub-attribute
)

// core has an attribute of each shape.
func core() *attribute.Schema {
	return &attribute.Schema{ID: coreURN, Name: "Thing", Attributes: []attribute.Attribute{
		{Name: "title", Type: attribute.String},
		{Name: "x-509_v3", Type: attribute.Binary},
		{Name: "name", Type: attribute.Complex, SubAttributes: []attribute.Attribute{
			{Name: "first", Type: attribute.String},
			{Name: "$ref", Type: attribute.Reference},
			{Name: "made", Type: attribute.DateTime, Mutability: attribute.ReadOnly},
		}},
		{Name: "parts", Type: attribute.Complex, MultiValued: true, SubAttributes: []attribute.Attribute{
			{Name: "value", Type: attribute.String, Mutability: attribute.Immutable},
			{Name: "weight", Type: attribute.Decimal, Returned: attribute.ReturnedRequest},
		}},
	}}
}

// extensions overlap with the core (title) and with each other (colour).
func extensions() []*attribute.Schema {
	return []*attribute.Schema{
		{ID: extURN, Name: "Ext", Attributes: []attribute.Attribute{
			{Name: "colour", Type: attribute.String},
			{Name: "title", Type: attribute.String},
			{Name: "owner", Type: attribute.Complex, SubAttributes: []attribute.Attribute{{Name: "value", Type: attribute.String}}},
		}},
		{ID: plainURN, Name: "Plain", Attributes: []attribute.Attribute{
			{Name: "colour", Type: attribute.Integer},
			{Name: "size", Type: attribute.Integer},
		}},
	}
}

func index() *attribute.Index {
	common := []attribute.Attribute{{Name: "id", Type: attribute.String, Mutability: attribute.ReadOnly}}
	return attribute.NewIndex(common, core(), extensions())
}

func TestIndex_LookupName(t *testing.T) {
	x := index()
	for _, tc := range []struct {
		name, want string // "-": not found
		short      bool
	}{
		{name: "title", want: "title"},
		{name: "TITLE", want: "title"},
		{name: "id", want: "id"},
		{name: "X-509_V3", want: "x-509_v3"},
		{name: "name.first", want: "name.first"},
		{name: "Name.FIRST", want: "name.first"},
		{name: "name.$REF", want: "name.$ref"},
		{name: "parts.weight", want: "parts.weight"},
		{name: "name.", want: "name"},
		{name: "name.last", want: "-"},
		{name: "title.first", want: "-"},
		{name: "name.first.x", want: "-"},
		{name: "nothing", want: "-"},
		{name: "", want: "-"},

		{name: coreURN, want: ""},
		{name: strings.ToUpper(coreURN), want: ""},
		{name: coreURN + ":title", want: "title"},
		{name: coreURN + ":id", want: "id"},
		{name: strings.ToLower(coreURN) + ":NAME.first", want: "name.first"},
		{name: coreURN + ":size", want: "-"},
		{name: coreURN + ":", want: "-"},

		{name: extURN, want: extURN},
		{name: strings.ToUpper(extURN), want: extURN},
		{name: extURN + ":title", want: extURN + ":title"},
		{name: extURN + ":owner.value", want: extURN + ":owner.value"},
		{name: extURN + ":owner.VALUE", want: extURN + ":owner.value"},
		{name: extURN + ":owner.name", want: "-"},
		{name: extURN + ":id", want: "-"},
		{name: plainURN, want: plainURN},
		{name: plainURN + ":size", want: plainURN + ":size"},
		{name: "urn:test:plain:1.1", want: "-"},
		{name: "urn:test:plain", want: "-"},
		{name: "urn:other:Thing:title", want: "-"},

		{name: "owner", want: extURN + ":owner", short: true},
		{name: "OWNER.value", want: extURN + ":owner.value", short: true},
		{name: "size", want: plainURN + ":size", short: true},
		{name: "colour", want: extURN + ":colour", short: true}, // the first of two
		{name: "owner.size", want: "-"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ref, ok := x.LookupName(tc.name)
			switch {
			case !ok && tc.want != "-":
				t.Errorf("not found, want %q", tc.want)
			case ok && (ref.String() != tc.want || ref.Short != tc.short):
				t.Errorf("%q, short %v; want %q, %v", ref, ref.Short, tc.want, tc.short)
			}
		})
	}
}

// names are all names that the index of the tests has, with their URNs.
func names(x *attribute.Index) []string {
	out := []string{"id"}
	add := func(prefix string, s *attribute.Schema) {
		for _, a := range s.Attributes {
			out = append(out, prefix+a.Name)
			for _, sub := range a.SubAttributes {
				out = append(out, prefix+a.Name+"."+sub.Name)
			}
		}
	}
	add("", x.Schema)
	for _, e := range x.Extensions {
		out = append(out, e.ID)
		add(e.ID+":", e)
	}
	return out
}

// TestIndex_RoundTrip checks that what a name was found to mean, written out, means the same, and that case never matters.
func TestIndex_RoundTrip(t *testing.T) {
	x := index()
	all := names(x)
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(all).Draw(t, "name")
		odd := strings.Map(func(r rune) rune {
			if rapid.Bool().Draw(t, "upper") {
				return unicode.ToUpper(r)
			}
			return r
		}, name)
		want, ok := x.LookupName(name)
		if !ok || want.String() != name || want.Short {
			t.Fatalf("%q is found as %q, %v", name, want, ok)
		}
		got, ok := x.LookupName(odd)
		if !ok || got != want {
			t.Fatalf("%q is found as %q, %v", odd, got, ok)
		}
		if got.Extension == nil {
			if again, ok := x.LookupName(coreURN + ":" + odd); !ok || again != want {
				t.Fatalf("%q with the core URN is found as %q, %v", odd, again, ok)
			}
		}
	})
}

func TestIndex_URN(t *testing.T) {
	x := index()
	for _, tc := range []struct {
		urn          string
		want         int
		known, spelt bool
	}{
		{coreURN, -1, true, true},
		{extURN, 0, true, true},
		{plainURN, 1, true, true},
		{strings.ToLower(extURN), 0, true, true},
		{strings.ToUpper(extURN), 0, true, false},
		{"urn:other", 0, false, false},
		{"", 0, false, false},
	} {
		if i, ok := x.URN(tc.urn); ok != tc.known || i != tc.want {
			t.Errorf("URN(%q) = %d, %v", tc.urn, i, ok)
		}
		if _, ok := x.Spelt(tc.urn); ok != tc.spelt {
			t.Errorf("Spelt(%q) = %v", tc.urn, ok)
		}
	}
}

// TestIndex_Tables checks that what the index hands out are the attributes of the schemas themselves, not copies.
func TestIndex_Tables(t *testing.T) {
	s, ext := core(), extensions()
	x := attribute.NewIndex(nil, s, ext)
	if x.Schema != s || x.Core.Find("TITLE") != &s.Attributes[0] || x.Ext[1].Find("size") != &ext[1].Attributes[1] {
		t.Error("the attributes were copied")
	}
	if ref, _ := x.LookupName("name.first"); ref.Sub != &s.Attributes[2].SubAttributes[0] || ref.Attr != &s.Attributes[2] {
		t.Errorf("%+v", ref)
	}
	if x.Core.Find("id") != nil {
		t.Error("an attribute nobody declared")
	}
	if a := x.Core.Find(""); a != nil {
		t.Errorf("no name finds %v", a)
	}
}

func TestIndex_LookupCostsNothing(t *testing.T) {
	x := index()
	for _, name := range []string{"title", "name.first", extURN + ":owner.value"} {
		if n := testing.AllocsPerRun(100, func() { x.LookupName(name) }); n != 0 {
			t.Errorf("LookupName(%q) in the spelling of the schema takes %v allocations", name, n)
		}
	}
}

func TestRef(t *testing.T) {
	x := index()
	doc := map[string]any{
		"title": "t",
		"name":  map[string]any{"first": "f"},
		extURN:  map[string]any{"colour": "red", "owner": map[string]any{"value": "o"}},
	}
	for _, tc := range []struct {
		name, leaf string
		value      any
		readOnly   bool
	}{
		{"title", "title", "t", false},
		{"id", "id", nil, true},
		{"name", "name", doc["name"], false},
		{"name.first", "first", doc["name"], false}, // Value is that of the attribute
		{"name.made", "made", doc["name"], true},
		{"parts.value", "value", nil, false},
		{extURN + ":colour", "colour", "red", false},
		{extURN + ":title", "title", nil, false},
		{extURN + ":owner.value", "value", map[string]any{"value": "o"}, false},
		{extURN, "", doc[extURN], false},
		{plainURN, "", nil, false},
		{plainURN + ":size", "size", nil, false},
		{coreURN, "", doc, false},
	} {
		ref, ok := x.LookupName(tc.name)
		if !ok {
			t.Errorf("%s is not found", tc.name)
			continue
		}
		leaf := ""
		if a := ref.Leaf(); a != nil {
			leaf = a.Name
		}
		if leaf != tc.leaf || ref.ReadOnly() != tc.readOnly {
			t.Errorf("%s: leaf %q, read-only %v", tc.name, leaf, ref.ReadOnly())
		}
		if diff := cmp.Diff(tc.value, ref.Value(doc)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
	t.Run("an extension that is no object has no values", func(t *testing.T) {
		ref, _ := x.LookupName(extURN + ":colour")
		if got := ref.Value(map[string]any{extURN: "red"}); got != nil {
			t.Errorf("%v", got)
		}
	})
}
