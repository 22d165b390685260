package projection_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/scim/schema/attribute"
	"github.com/matomo-scim/bridge/scim/schema/projection"
)

const (
	coreURN = "urn:test:core:Thing"
	extURN  = "urn:test:ext:Thing"
)

// index has an attribute for each value of "returned", on top and below.
func index() *attribute.Index {
	parts := []attribute.Attribute{
		{Name: "value", Type: attribute.String},
		{Name: "kind", Type: attribute.String},
		{Name: "fixed", Type: attribute.String, Returned: attribute.ReturnedAlways},
		{Name: "costly", Type: attribute.String, Returned: attribute.ReturnedRequest},
		{Name: "secret", Type: attribute.String, Returned: attribute.ReturnedNever},
	}
	common := []attribute.Attribute{
		{Name: "id", Type: attribute.String, Returned: attribute.ReturnedAlways},
		{Name: "meta", Type: attribute.Complex, SubAttributes: []attribute.Attribute{{Name: "version", Type: attribute.String}}},
	}
	core := &attribute.Schema{ID: coreURN, Attributes: []attribute.Attribute{
		{Name: "title", Type: attribute.String},
		{Name: "tags", Type: attribute.String, MultiValued: true},
		{Name: "name", Type: attribute.Complex, SubAttributes: []attribute.Attribute{{Name: "first", Type: attribute.String}, {Name: "last", Type: attribute.String}}},
		{Name: "parts", Type: attribute.Complex, MultiValued: true, SubAttributes: parts},
		{Name: "costly", Type: attribute.String, Returned: attribute.ReturnedRequest},
		{Name: "heavy", Type: attribute.Complex, Returned: attribute.ReturnedRequest, SubAttributes: []attribute.Attribute{{Name: "a", Type: attribute.String}}},
		{Name: "secret", Type: attribute.String, Returned: attribute.ReturnedNever},
	}}
	ext := &attribute.Schema{ID: extURN, Attributes: []attribute.Attribute{
		{Name: "colour", Type: attribute.String},
		{Name: "costly2", Type: attribute.String, Returned: attribute.ReturnedRequest},
		{Name: "owner", Type: attribute.Complex, SubAttributes: []attribute.Attribute{{Name: "value", Type: attribute.String}, {Name: "name", Type: attribute.String}}},
	}}
	return attribute.NewIndex(common, core, []*attribute.Schema{ext})
}

type object = map[string]any

// stored has a value for every attribute, and some that no schema has.
func stored() object {
	return object{
		"id": "1", "title": "t", "costly": "c", "secret": "s", "Kept": "k", "heavy": object{"a": "x"},
		"meta":  object{"version": "v"},
		"tags":  []any{"a", "b"},
		"name":  object{"first": "f", "last": "l", "Odd": "o"},
		"parts": []any{object{"value": "p", "kind": "k", "fixed": "f", "costly": "c", "secret": "s"}, object{"value": "q"}, object{"kind": "r"}},
		extURN:  object{"colour": "red", "costly2": "c", "owner": object{"value": "o", "name": "n"}, "Desk": "d"},
	}
}

// with is the least answer and more.
func with(more object) object {
	out := object{"id": "1"}
	maps.Copy(out, more)
	return out
}

// byDefault is the answer to a client that asks for nothing.
func byDefault(change func(object)) object {
	out := object{
		"id": "1", "title": "t", "Kept": "k",
		"meta":  object{"version": "v"},
		"tags":  []any{"a", "b"},
		"name":  object{"first": "f", "last": "l", "Odd": "o"},
		"parts": []any{object{"value": "p", "kind": "k", "fixed": "f"}, object{"value": "q"}, object{"kind": "r"}},
		extURN:  object{"colour": "red", "owner": object{"value": "o", "name": "n"}, "Desk": "d"},
	}
	change(out)
	return out
}

// without is the default answer less some attributes.
func without(names ...string) object {
	return byDefault(func(o object) {
		for _, n := range names {
			delete(o, n)
		}
	})
}

// TestApply names attributes and excludedAttributes as they stand in a query, with commas between names.
func TestApply(t *testing.T) {
	for _, tc := range []struct {
		name, attributes, excluded string
		want                       object
	}{
		{"nothing asked", "", "", without()},
		{"blank", " , ,", ",", without()},
		{"one", "title", "", with(object{"title": "t"})},
		{"blanks around", " title ,  tags", "", with(object{"title": "t", "tags": []any{"a", "b"}})},
		{"twice", "title,TITLE,title", "", with(object{"title": "t"})},
		{"a filter behind a name", `title[type eq "a,b"],tags[value eq "x"]`, "", with(object{"title": "t", "tags": []any{"a", "b"}})},
		{"what is always there", "id", "", with(nil)},
		{"what is on request", "costly", "", with(object{"costly": "c"})},
		{"an object on request", "heavy", "", with(object{"heavy": object{"a": "x"}})},
		{"a part of an object on request", "heavy.a", "", with(object{"heavy": object{"a": "x"}})},
		{"what is never there", "secret", "", with(nil)},
		{"never, in a list", "parts.secret", "", with(object{"parts": []any{object{"fixed": "f"}}})},
		{"on request, in a list", "parts.costly", "", with(object{"parts": []any{object{"fixed": "f", "costly": "c"}}})},
		{"a list shows what is returned by default", "parts", "", with(object{
			"parts": []any{object{"value": "p", "kind": "k", "fixed": "f"}, object{"value": "q"}, object{"kind": "r"}},
		})},
		{"values of which nothing is left go", "parts.value", "", with(object{
			"parts": []any{object{"value": "p", "fixed": "f"}, object{"value": "q"}},
		})},
		{"sub-attribute", "name.first", "", with(object{"name": object{"first": "f"}})},
		{"sub-attributes", "name.first,name.last", "", with(object{"name": object{"first": "f", "last": "l"}})},
		{"a part and the whole", "name.first,name", "", with(object{"name": object{"first": "f", "last": "l", "Odd": "o"}})},
		{"the whole and a part", "name,name.first", "", with(object{"name": object{"first": "f", "last": "l", "Odd": "o"}})},
		{"a part no schema has", "name.odd", "", with(nil)},
		{"kept although no schema has it", "kept", "", with(object{"Kept": "k"})},
		{"unknown", "nope,name.nope,urn:x:y", "", with(nil)},
		{"unknown beside known", "nope,title", "", with(object{"title": "t"})},
		{"the core by its URN", coreURN, "", func() object {
			o := without("meta", "Kept", extURN)
			o["costly"], o["heavy"] = "c", object{"a": "x"}
			return o
		}()},
		{"core attribute by URN", strings.ToUpper(coreURN) + ":title", "", with(object{"title": "t"})},
		{"extension", extURN, "", with(object{extURN: object{"colour": "red", "owner": object{"value": "o", "name": "n"}, "Desk": "d"}})},
		{"extension attribute", extURN + ":colour", "", with(object{extURN: object{"colour": "red"}})},
		{"extension attribute on request", extURN + ":costly2", "", with(object{extURN: object{"costly2": "c"}})},
		{"extension sub-attribute", extURN + ":owner.name", "", with(object{extURN: object{"owner": object{"name": "n"}}})},
		{"extension attribute without URN", "colour", "", with(object{extURN: object{"colour": "red"}})},

		{"excluded", "", "title", without("title")},
		{"excluded in another case", "", "TITLE,Tags", without("title", "tags")},
		{"what is always there stays", "", "id", without()},
		{"excluded sub-attribute", "", "name.first", byDefault(func(o object) { o["name"] = object{"last": "l", "Odd": "o"} })},
		{"excluded from the values of a list", "", "parts.value", byDefault(func(o object) {
			o["parts"] = []any{object{"kind": "k", "fixed": "f"}, object{"kind": "r"}}
		})},
		{"always, in a list, stays", "", "parts.fixed", without()},
		{"excluded part and whole", "", "name.first,name", without("name")},
		{"excluded extension", "", extURN, without(extURN)},
		{"excluded extension attribute", "", extURN + ":owner", byDefault(func(o object) {
			o[extURN] = object{"colour": "red", "Desk": "d"}
		})},
		{"excluded extension sub-attribute", "", extURN + ":owner.value", byDefault(func(o object) {
			o[extURN] = object{"colour": "red", "Desk": "d", "owner": object{"name": "n"}}
		})},
		{"excluded core", "", coreURN, with(object{"meta": object{"version": "v"}, "Kept": "k", extURN: without()[extURN]})},
		{"excluded although no schema has it", "", "KEPT", without("Kept")},
		{"excluded and unknown", "", "nope", without()},

		{"both, not related", "title", "tags", with(object{"title": "t"})},
		{"both, the same", "title", "title", with(nil)},
		{"both, a part", "name", "name.first", with(object{"name": object{"last": "l", "Odd": "o"}})},
		{"both, all parts asked", "name.first", "name.first", with(nil)},
		{"both, the whole excluded", "name.first", "name", with(nil)},
		{"both, in a list", "parts.value,parts.kind", "parts.kind", with(object{
			"parts": []any{object{"value": "p", "fixed": "f"}, object{"value": "q"}},
		})},
		{"both, in an extension", extURN, extURN + ":colour", with(object{extURN: object{"owner": object{"value": "o", "name": "n"}, "Desk": "d"}})},
	} {
		t.Run(tc.name, func(t *testing.T) {
			doc := stored()
			got := projection.Parse(index(), []string{tc.attributes}, []string{tc.excluded}).Apply(doc)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(stored(), doc); diff != "" {
				t.Errorf("the document was changed:\n%s", diff)
			}
		})
	}
}

// TestApply_OddDocuments holds that values which do not fit the schema are shown as they are, or not at all, and crash nothing.
func TestApply_OddDocuments(t *testing.T) {
	for name, tc := range map[string]struct {
		doc, want  object
		attributes string
	}{
		"text for an object":             {object{"name": "x"}, object{"name": "x"}, "name.first"},
		"text in a list of objects":      {object{"parts": []any{"x"}}, object{"parts": []any{"x"}}, "parts.value"},
		"an object for a list":           {object{"parts": object{"value": "x"}}, object{"parts": object{"value": "x"}}, "parts.value"},
		"an empty list stays":            {object{"parts": []any{}}, object{"parts": []any{}}, "parts.value"},
		"an extension that is no object": {object{extURN: "x"}, object{}, extURN},
		"an empty extension":             {object{extURN: object{}}, object{}, extURN},
		"nothing":                        {object{}, object{}, "title"},
		"null":                           {object{"title": nil}, object{}, "title"},
	} {
		t.Run(name, func(t *testing.T) {
			got := projection.Parse(index(), []string{tc.attributes}, nil).Apply(tc.doc)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("no document", func(t *testing.T) {
		if got := projection.Parse(index(), nil, nil).Apply(nil); len(got) != 0 {
			t.Errorf("%v", got)
		}
	})
}

// somebody asks for some of these names.
var asked = []string{
	"id", "title", "tags", "name", "name.first", "name.last", "parts", "parts.value", "parts.fixed", "parts.costly", "costly", "heavy", "heavy.a", "secret", "meta",
	"meta.version", "kept", "nope", coreURN, extURN, extURN + ":colour", extURN + ":owner", extURN + ":owner.value", "owner.name", extURN + ":costly2",
}

// TestAny checks for any two parameters that the answer is a part of the document, that asking again changes nothing, that the order and the case of names do
// not matter, and that Wants never denies what Apply shows.
func TestAny(t *testing.T) {
	x := index()
	query := rapid.SliceOfN(rapid.SampledFrom(asked), 0, 4)
	rapid.Check(t, func(t *rapid.T) {
		attributes, excluded := query.Draw(t, "attributes"), query.Draw(t, "excluded")
		p := projection.Parse(x, attributes, excluded)
		got := p.Apply(stored())
		if !within(got, stored()) {
			t.Fatalf("%v is no part of the document", got)
		}
		if _, ok := got["secret"]; ok || got["id"] != "1" {
			t.Fatalf("%v", got)
		}
		if diff := cmp.Diff(got, p.Apply(got)); diff != "" {
			t.Fatalf("the second time (-first +second):\n%s", diff)
		}
		other := projection.Parse(x, []string{strings.ToUpper(strings.Join(rapid.Permutation(attributes).Draw(t, "order"), ","))}, rapid.Permutation(excluded).Draw(t, "order"))
		if diff := cmp.Diff(got, other.Apply(stored())); diff != "" {
			t.Fatalf("in another order and case (-want +got):\n%s", diff)
		}
		for _, name := range []string{"id", "title", "tags", "name", "parts", "costly", "heavy", "secret", "meta", extURN} {
			if _, shown := got[name]; shown && !p.Wants(name) {
				t.Fatalf("Wants(%s) denies what is shown: %v", name, got)
			}
		}
		if p.Given() != (len(attributes)+len(excluded) > 0) {
			t.Fatalf("Given() = %v", p.Given())
		}
	})
}

// TestAny_Complement checks that what attributes shows and what excludedAttributes leaves share no attribute but those that are always returned.
func TestAny_Complement(t *testing.T) {
	x := index()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"title", "tags", "name", "meta", "kept", extURN}).Draw(t, "name")
		shown := projection.Parse(x, []string{name}, nil).Apply(stored())
		left := projection.Parse(x, nil, []string{name}).Apply(stored())
		for key := range shown {
			if _, both := left[key]; both && key != "id" {
				t.Fatalf("%s is shown and left", key)
			}
		}
		if len(shown)+len(left) != len(without())+1 { // id is in both
			t.Fatalf("shown %v, left %v", shown, left)
		}
	})
}

// within reports whether part has nothing that whole has not.
func within(part, whole any) bool {
	switch p := part.(type) {
	case object:
		w, ok := whole.(object)
		for k, v := range p {
			if !ok || !within(v, w[k]) {
				return false
			}
		}
		return ok
	case []any:
		w, ok := whole.([]any)
		for _, e := range p {
			found := false
			for _, f := range w {
				found = found || within(e, f)
			}
			if !found {
				return false
			}
		}
		return ok
	default:
		return part == whole
	}
}

func TestWants(t *testing.T) {
	for _, tc := range []struct {
		attributes, excluded, name string
		want                       bool
	}{
		{"", "", "title", true},
		{"", "", "costly", false},
		{"", "", "secret", false},
		{"", "", "kept", true},
		{"", "", extURN, true},
		{"", "", extURN + ":costly2", false},
		{"", "title", "title", false},
		{"", "title", "TITLE", false},
		{"", "title", coreURN + ":title", false},
		{"", "name.first", "name", true},
		{"", "id", "id", true},
		{"", extURN, extURN + ":colour", false},
		{"", extURN + ":colour", extURN, true},
		{"", extURN + ":owner", "owner", false},
		{"", coreURN, "title", false},
		{"", coreURN, "meta", true},
		{"title", "", "title", true},
		{"title", "", "tags", false},
		{"title", "", "id", true},
		{"costly", "", "costly", true},
		{"heavy.a", "", "heavy", true},
		{"secret", "", "secret", false},
		{"parts.value", "", "parts", true},
		{"parts.value", "parts", "parts", false},
		{"parts.value", "parts.value", "parts", true}, // not worth a closer look
		{extURN, "", extURN + ":colour", true},
		{extURN + ":colour", "", extURN, true},
		{extURN + ":colour", "", extURN + ":owner", false},
		{extURN + ":owner.value", "", "owner", true},
		{coreURN, "", "title", true},
		{coreURN, "", extURN, false},
		{"kept", "", "Kept", true},
		{"other", "", "kept", false},
		{"", "kept", "KEPT", false},
	} {
		p := projection.Parse(index(), []string{tc.attributes}, []string{tc.excluded})
		if got := p.Wants(tc.name); got != tc.want {
			t.Errorf("attributes=%s&excludedAttributes=%s: Wants(%s) = %v", tc.attributes, tc.excluded, tc.name, got)
		}
	}
}

func TestZeroValue(t *testing.T) {
	var p projection.Projection
	doc := stored()
	if diff := cmp.Diff(stored(), p.Apply(doc)); diff != "" || p.Given() || !p.Wants("costly") {
		t.Errorf("the zero value hides something:\n%s", diff)
	}
}

func BenchmarkApply(b *testing.B) {
	for name, names := range map[string]string{"default": "", "asked": "title,name.first,parts.value"} {
		b.Run(name, func(b *testing.B) {
			p, doc := projection.Parse(index(), []string{names}, nil), stored()
			b.ReportAllocs()
			for b.Loop() {
				p.Apply(doc)
			}
		})
	}
}
