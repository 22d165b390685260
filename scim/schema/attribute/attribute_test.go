package attribute_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/scim/schema/attribute"
)

func TestAttribute_Sub(t *testing.T) {
	name := core().Attributes[2]
	for in, want := range map[string]string{
		"first": "first", "FIRST": "first", "$ref": "$ref", "$REF": "$ref", "made": "made",
		"": "", "firs": "", "first ": "", "ﬁrst": "", "title": "",
	} {
		got := ""
		if s := name.Sub(in); s != nil {
			got = s.Name
		}
		if got != want {
			t.Errorf("Sub(%q) = %q, want %q", in, got, want)
		}
	}
	if name.Exact("first") != name.Sub("FIRST") || name.Exact("FIRST") != nil || name.Exact("") != nil {
		t.Error("Exact does not ask for the spelling")
	}
	if (&attribute.Attribute{}).Sub("value") != nil {
		t.Error("an attribute without sub-attributes has one")
	}
}

func TestAttribute_Set(t *testing.T) {
	part := func(mutability string) []attribute.Attribute {
		return []attribute.Attribute{{Name: "value", Type: attribute.String, Mutability: mutability}}
	}
	for _, tc := range []struct {
		name string
		a    attribute.Attribute
		want bool
	}{
		{"members", attribute.Attribute{Type: attribute.Complex, MultiValued: true, SubAttributes: part(attribute.Immutable)}, true},
		{"emails", attribute.Attribute{Type: attribute.Complex, MultiValued: true, SubAttributes: part(attribute.ReadWrite)}, false},
		{"user.groups", attribute.Attribute{Type: attribute.Complex, MultiValued: true, SubAttributes: part(attribute.ReadOnly)}, false},
		{"no mutability declared", attribute.Attribute{Type: attribute.Complex, MultiValued: true, SubAttributes: part("")}, false},
		{"a single object", attribute.Attribute{Type: attribute.Complex, SubAttributes: part(attribute.Immutable)}, false},
		{"no value", attribute.Attribute{Type: attribute.Complex, MultiValued: true}, false},
		{"plain values", attribute.Attribute{Type: attribute.String, MultiValued: true}, false},
	} {
		if got := tc.a.Set(); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

func TestAttribute_Hides(t *testing.T) {
	for returned, want := range map[string]bool{
		"": false, attribute.ReturnedDefault: false, attribute.ReturnedAlways: false, attribute.ReturnedRequest: true, attribute.ReturnedNever: true,
	} {
		a := attribute.Attribute{Type: attribute.Complex, SubAttributes: []attribute.Attribute{{Name: "a"}, {Name: "b", Returned: returned}}}
		if got := a.Hides(); got != want {
			t.Errorf("%q: %v", returned, got)
		}
	}
}

// TestSchema_Document holds what a client reads about each type, with the characteristics that RFC 7643 section 7 gives to it.
func TestSchema_Document(t *testing.T) {
	s := &attribute.Schema{ID: "urn:a", Name: "A", Description: "an A", Attributes: []attribute.Attribute{
		{
			Name: "text", Type: attribute.String, CaseExact: true, Required: true, Uniqueness: attribute.UniqueGlobal, Description: "d",
			CanonicalValues: []string{"a", "b"},
		},
		{Name: "flag", Type: attribute.Boolean, CaseExact: true, Uniqueness: attribute.UniqueServer}, // both mean nothing here
		{Name: "count", Type: attribute.Integer, Mutability: attribute.Immutable},
		{Name: "share", Type: attribute.Decimal, MultiValued: true},
		{Name: "since", Type: attribute.DateTime, Returned: attribute.ReturnedRequest},
		{Name: "cert", Type: attribute.Binary, Mutability: attribute.WriteOnly, Returned: attribute.ReturnedNever},
		{Name: "link", Type: attribute.Reference, ReferenceTypes: []string{"User", "external"}},
		{Name: "whole", Type: attribute.Complex, Uniqueness: attribute.UniqueServer, SubAttributes: []attribute.Attribute{
			{Name: "part", Type: attribute.Boolean, Mutability: attribute.ReadOnly},
		}},
	}}
	// given has the characteristics that every attribute shows.
	given := func(name, kind string, more map[string]any) any {
		out := map[string]any{
			"name": name, "type": kind, "description": "", "multiValued": false, "required": false, "mutability": "readWrite", "returned": "default",
		}
		maps.Copy(out, more)
		return out
	}
	want := map[string]any{
		"schemas": []any{"urn:ietf:params:scim:schemas:core:2.0:Schema"},
		"id":      "urn:a", "name": "A", "description": "an A",
		"meta": map[string]any{"resourceType": "Schema", "location": "https://x.example/scim/v2/Schemas/urn:a"},
		"attributes": []any{
			given("text", "string", map[string]any{
				"caseExact": true, "required": true, "uniqueness": "global", "description": "d", "canonicalValues": []any{"a", "b"},
			}),
			given("flag", "boolean", nil),
			given("count", "integer", map[string]any{"mutability": "immutable", "uniqueness": "none"}),
			given("share", "decimal", map[string]any{"multiValued": true, "uniqueness": "none"}),
			given("since", "dateTime", map[string]any{"returned": "request", "caseExact": false, "uniqueness": "none"}),
			given("cert", "binary", map[string]any{"mutability": "writeOnly", "returned": "never", "caseExact": false, "uniqueness": "none"}),
			given("link", "reference", map[string]any{"caseExact": false, "uniqueness": "none", "referenceTypes": []any{"User", "external"}}),
			given("whole", "complex", map[string]any{"subAttributes": []any{given("part", "boolean", map[string]any{"mutability": "readOnly"})}}),
		},
	}
	if diff := cmp.Diff(want, s.Document("https://x.example/scim/v2")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	t.Run("a caller may write into the document", func(t *testing.T) {
		doc := s.Document("")
		doc["attributes"].([]any)[0].(map[string]any)["canonicalValues"].([]any)[0] = "changed"
		if s.Attributes[0].CanonicalValues[0] != "a" {
			t.Error("the table was changed")
		}
	})
}

// TestCheckExtensions holds the whole text of each error: it is what an administrator reads about a configuration.
func TestCheckExtensions(t *testing.T) {
	sub := func(a ...attribute.Attribute) attribute.Attribute {
		return attribute.Attribute{Name: "desk", Type: attribute.Complex, SubAttributes: a}
	}
	text := func(name string) attribute.Attribute { return attribute.Attribute{Name: name, Type: attribute.String} }
	for _, tc := range []struct {
		name, id string
		attrs    []attribute.Attribute
		want     string // behind `extension schema "<id>": `
	}{
		{"sound", "urn:x:1", []attribute.Attribute{text("a"), text("b"), sub(text("a"), text("b"))}, ""},
		{"URN in capitals", "URN:X:1", []attribute.Attribute{text("a")}, ""},
		{"no attributes", "urn:x:1", nil, ""},
		{"no id", "", nil, `the id must be a URN`},
		{"no URN", "http://x.example/schema", nil, `the id must be a URN`},
		{"blank in the URN", "urn:x y", nil, `the id must be a URN`},
		{"bracket in the URN", "urn:x[1]", nil, `the id must be a URN`},
		{"quote in the URN", `urn:x"`, nil, `the id must be a URN`},
		{"id of the core", coreURN, nil, `the id is taken`},
		{"id of the core in another case", strings.ToUpper(coreURN), nil, `the id is taken`},
		{"id of another extension", "urn:y:1", nil, `the id is taken`},
		{"name with a digit in front", "urn:x:1", []attribute.Attribute{text("1a")}, `attribute "1a": a name is letters, digits, - and _ and starts with a letter`},
		{"no name", "urn:x:1", []attribute.Attribute{text("")}, `attribute "": a name is letters, digits, - and _ and starts with a letter`},
		{"name with a dot", "urn:x:1", []attribute.Attribute{text("a.b")}, `attribute "a.b": a name is letters, digits, - and _ and starts with a letter`},
		{"name twice", "urn:x:1", []attribute.Attribute{text("a"), text("b"), text("a")}, `attribute "a": declared twice`},
		{"name twice in two cases", "urn:x:1", []attribute.Attribute{text("ab"), text("AB")}, `attribute "AB": declared twice`},
		{"no type", "urn:x:1", []attribute.Attribute{{Name: "a"}}, `attribute "a": unknown type ""`},
		{"type in another case", "urn:x:1", []attribute.Attribute{{Name: "a", Type: "String"}}, `attribute "a": unknown type "String"`},
		{"mutability", "urn:x:1", []attribute.Attribute{{Name: "a", Type: attribute.String, Mutability: "readonly"}}, `attribute "a": unknown mutability "readonly"`},
		{"returned", "urn:x:1", []attribute.Attribute{{Name: "a", Type: attribute.String, Returned: "often"}}, `attribute "a": unknown returned "often"`},
		{"uniqueness", "urn:x:1", []attribute.Attribute{{Name: "a", Type: attribute.String, Uniqueness: "yes"}}, `attribute "a": unknown uniqueness "yes"`},
		{"complex without parts", "urn:x:1", []attribute.Attribute{sub()}, `attribute "desk": complex without sub-attributes`},
		{"parts of text", "urn:x:1", []attribute.Attribute{{Name: "a", Type: attribute.String, SubAttributes: []attribute.Attribute{text("b")}}}, `attribute "a": sub-attributes on type "string"`},
		{"complex in complex", "urn:x:1", []attribute.Attribute{sub(sub(text("a")))}, `attribute "desk": attribute "desk": complex within complex`},
		{"name of a part", "urn:x:1", []attribute.Attribute{sub(text("a b"))}, `attribute "desk": attribute "a b": a name is letters, digits, - and _ and starts with a letter`},
		{"part twice", "urn:x:1", []attribute.Attribute{sub(text("a"), text("A"))}, `attribute "desk": attribute "A": declared twice`},
		{"type of a part", "urn:x:1", []attribute.Attribute{sub(attribute.Attribute{Name: "a", Type: "int"})}, `attribute "desk": attribute "a": unknown type "int"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			other := &attribute.Schema{ID: "urn:y:1", Attributes: []attribute.Attribute{text("a")}}
			err := attribute.CheckExtensions([]*attribute.Schema{other, {ID: tc.id, Attributes: tc.attrs}}, "urn:z", coreURN)
			switch {
			case tc.want == "" && err != nil:
				t.Error(err)
			case tc.want != "" && (err == nil || err.Error() != `extension schema `+quoted(tc.id)+`: `+tc.want):
				t.Errorf("%v\nwant %s", err, tc.want)
			}
		})
	}
	t.Run("every characteristic of the RFC is known", func(t *testing.T) {
		var attrs []attribute.Attribute
		for _, typ := range []attribute.Type{
			attribute.String, attribute.Boolean, attribute.Decimal, attribute.Integer, attribute.DateTime, attribute.Reference, attribute.Binary,
		} {
			attrs = append(attrs, attribute.Attribute{Name: string(typ), Type: typ})
		}
		for i, m := range []string{"", attribute.ReadOnly, attribute.ReadWrite, attribute.Immutable, attribute.WriteOnly} {
			attrs[i].Mutability = m
		}
		for i, r := range []string{"", attribute.ReturnedAlways, attribute.ReturnedNever, attribute.ReturnedDefault, attribute.ReturnedRequest} {
			attrs[i].Returned = r
		}
		for i, u := range []string{"", attribute.UniqueNone, attribute.UniqueServer, attribute.UniqueGlobal} {
			attrs[i].Uniqueness = u
		}
		if err := attribute.CheckExtensions([]*attribute.Schema{{ID: "urn:x", Attributes: attrs}}); err != nil {
			t.Error(err)
		}
	})
	t.Run("nothing to check", func(t *testing.T) {
		if err := attribute.CheckExtensions(nil, coreURN); err != nil {
			t.Error(err)
		}
	})
}

// quoted is a text as errors show it.
func quoted(s string) string { return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"` }
